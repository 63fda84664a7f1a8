"""Checks that no other user of the machine can redirect a path or has created its file.

The owner of a folder, and users who may write to it, can replace its files by symbolic links. So a
path is trusted if each folder and link on the way, and the file at its end, belong to us or to
root, and no other user may write to them. Three cases are allowed:

- parent folders with the sticky bit, such as `/tmp`: only a file's owner can replace it;
- write access for a private group, such as many systems give each user: the owner's primary group
  without known members. Members of other groups are unknown, since a directory service need not
  list its users. An access control list excludes this case, since it may let anybody write;
- our own links: the path that they lead to is checked in the same way.
"""

import errno
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from eventstore.errors import PathUntrusted

OTHERS_ACCESS = 0o077
"""Permissions that only the owner of a secret may have."""

_ACL = "system.posix_acl_access"
_OTHERS_WRITE = 0o022
_ROOT = Path("/")


class _Step(msgspec.Struct, frozen=True):
    """A folder, link or file on a path; `last` marks the file that the path leads to."""

    path: Path
    status: os.stat_result
    last: bool


def check_trusted(path: Path, forbidden: int = 0) -> None:
    """Refuses a path that another user may have created or can redirect.

    Args:
        path: Absolute, of an existing file or folder.
        forbidden: Permissions that it may not have, such as `OTHERS_ACCESS`.

    Raises:
        PathUntrusted: The message says in one line what is wrong and how to repair it.
        OSError: It does not exist, or cannot be checked.
    """
    _refuse_loop(path)
    for step in _steps(path):
        _check(path, step)
        if step.last and step.status.st_mode & forbidden:
            raise PathUntrusted(f"others than its owner can use {path}: chmod 600 it")


def check_way(path: Path) -> None:
    """As `check_trusted`, but the file at the end of the path may be another user's."""
    _refuse_loop(path)
    for step in _steps(path):
        if not step.last:
            _check(path, step)


def read_trusted(path: Path, forbidden: int = 0) -> bytes:
    """The bytes of a file with a trusted path; raises as `check_trusted` does."""
    check_trusted(path, forbidden)
    return path.read_bytes()


def make_trusted_folder(path: Path, mode: int) -> None:
    """Creates a folder if it is missing, and checks that it is trusted.

    Args:
        path: Absolute. Missing parents are created, too, writable for us only.
        mode: Permissions of a new folder.

    Raises:
        PathUntrusted: Another user may have created the folder, or can replace it.
        OSError: It cannot be created.
    """
    if not path.exists():
        if not path.parent.exists():
            make_trusted_folder(path.parent, 0o755)
        for step in _steps(path.parent, last=False):
            _check(path, step)
        path.mkdir(mode, exist_ok=True)
    check_trusted(path)
    path.mkdir(exist_ok=True)  # raises if it is not a folder


def check_output(path: Path) -> None:
    """Refuses, if we are root, an output path that another user can redirect.

    Args:
        path: Of a file to create or replace, or of a pipe or device.

    Raises:
        PathUntrusted: A parent is not trusted, or an existing file is another user's.
    """
    if os.geteuid() != 0:
        return
    path = path.absolute()
    with suppress(OSError):  # opening the file will raise the same
        _refuse_loop(path)
        for step in _steps(path):
            if step.last:
                _check_owner(path, step)
            else:
                _check(path, step)


def check_folder(folder: Path) -> None:
    """Refuses a folder in which another user can redirect paths; allows sticky folders.

    Raises:
        PathUntrusted: The message says in one line what is wrong and how to repair it.
        OSError: It does not exist, or cannot be checked.
    """
    _refuse_loop(folder)
    for step in _steps(folder, last=False):
        _check(folder, step)


def make_output_folder(path: Path, mode: int = 0o700) -> None:
    """Creates a folder if it is missing; refused as `check_output` refuses a file.

    Args:
        mode: Permissions of a new folder, by default for us alone.
    """
    if os.geteuid() == 0:
        make_trusted_folder(path.absolute(), mode)
    else:
        path.mkdir(mode=mode, parents=True, exist_ok=True)


def open_trusted_file(path: Path, flags: int, mode: int = 0o644) -> int:
    """Opens a file in a trusted folder, in which others may have left files; its descriptor.

    Args:
        mode: Permissions of a new file.

    Raises:
        PathUntrusted: It is a link, not a regular file, or another user's; or `flags` allow writing
            and the file has a hard link elsewhere.
        OSError: It cannot be opened or created.
    """
    try:
        cautious = flags & ~os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, cautious, mode)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):  # ENXIO: a pipe without a reader
            raise
        kind = "link" if error.errno == errno.ELOOP else "pipe"
        raise PathUntrusted(f"{path} is a {kind}: move it away") from error
    try:
        _check_opened(path, os.fstat(descriptor), writing=bool(flags & (os.O_WRONLY | os.O_RDWR)))
        if flags & os.O_TRUNC:
            os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_opened(path: Path, status: os.stat_result, *, writing: bool) -> None:
    if not stat.S_ISREG(status.st_mode) or status.st_uid not in trusted_owners():
        raise PathUntrusted(f"{path} is another user's, or no regular file: move it away")
    if writing and status.st_nlink > 1:
        raise PathUntrusted(f"{path} has another name (a hard link): move it away")


def deny_others_writing(folder: Path) -> None:
    """Removes other users' write access to a folder of ours, as a permissive umask leaves it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        status = os.fstat(descriptor)
        if status.st_uid == os.geteuid() and status.st_mode & _OTHERS_WRITE:
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & ~_OTHERS_WRITE)
    finally:
        os.close(descriptor)


def _refuse_loop(path: Path) -> None:
    """Raises an OSError if links form a loop."""
    with suppress(FileNotFoundError):
        path.stat()


def _check_owner(path: Path, step: _Step) -> None:
    if step.status.st_uid not in trusted_owners():
        raise PathUntrusted(_owner_message(path, step))


def _check(path: Path, step: _Step) -> None:
    _check_owner(path, step)
    if _others_can_write(step):
        raise PathUntrusted(f"others than its owner can write to {step.path}: chmod go-w it")


def _steps(path: Path, last: bool = True) -> Iterator[_Step]:
    """Each folder, link and file on a path from the root on, including the links' targets."""
    for part in (*reversed(path.parents), path):
        status, at_end = part.lstat(), last and part == path
        is_link = stat.S_ISLNK(status.st_mode)
        yield _Step(part, status, at_end and not is_link)
        if is_link:
            yield from _steps(part.parent / part.readlink(), at_end)


def trusted_owners() -> set[int]:
    """The users whose files we trust: root and ourselves."""
    # A container or sandbox may show root's files as another user's; `/` then has that owner.
    return {0, os.geteuid(), _ROOT.stat().st_uid}


def _others_can_write(step: _Step) -> bool:
    mode = step.status.st_mode
    if stat.S_ISLNK(mode) or (mode & stat.S_ISVTX and not step.last):
        return False
    return others_can_write(step.path, step.status)


def others_can_write(path: Path, status: os.stat_result) -> bool:
    """Whether untrusted users can write to a file or folder."""
    if status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and (_has_acl(path) or _has_others(status))


def _has_acl(path: Path) -> bool:
    """Whether the group's permission bits are the mask of an access control list."""
    if not hasattr(os, "getxattr"):  # as on macOS, whose lists have no mask
        return False
    try:
        os.getxattr(path, _ACL, follow_symlinks=False)
    except OSError as error:
        return error.errno not in (errno.ENODATA, errno.ENOTSUP)
    return True


def _has_others(status: os.stat_result) -> bool:
    """Whether the group has, or could have, untrusted members."""
    group, owners, users = status.st_gid, trusted_owners(), pwd.getpwall()
    if group not in _private_groups(status.st_uid):
        return True
    try:
        members = set(grp.getgrgid(group).gr_mem)
    except KeyError:
        members = set()
    members |= {user.pw_name for user in users if user.pw_gid == group}
    return bool(members - {user.pw_name for user in users if user.pw_uid in owners})


def _private_groups(owner: int) -> set[int]:
    """The private groups of root, ourselves and a file's owner.

    A primary group is private if it has its user's number or name. Other primary groups may have
    more members than a directory service lists.
    """
    groups = set()
    for uid in {*trusted_owners(), owner}:
        with suppress(KeyError):
            user = pwd.getpwuid(uid)
            same = user.pw_gid == uid or grp.getgrgid(user.pw_gid).gr_name == user.pw_name
            groups |= {user.pw_gid} if same else set()
    return groups


def owner_of(status: os.stat_result) -> str:
    """A file's owner as messages name them."""
    try:
        return f"user {pwd.getpwuid(status.st_uid).pw_name}"
    except KeyError:
        return f"user id {status.st_uid}"


def _owner_message(path: Path, step: _Step) -> str:
    below = "" if step.path == path else f", and {path} leads through it"
    return (
        f"{step.path} belongs to {owner_of(step.status)}{below}: start as that user, or choose a "
        "path of your own"
    )
