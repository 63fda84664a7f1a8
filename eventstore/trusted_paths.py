"""Paths that no other user of the machine can lead elsewhere, and files that none has prepared.

Whoever owns a folder, or may write to it, can put a symbolic link in the place of what is in it.
So a path is trusted when each folder and each link on the way, and what is at its end, belongs to
us or to root, and nobody else may write to it. Three things are no reason to refuse:

- folders with the sticky bit on the way, such as `/tmp`: what is in them is its owner's;
- a group that may write, but has nobody in it but us, as the group of its own that many systems
  give to each user: the primary group of the owner, and without members that we know of. Of other
  groups nobody can say who is in them, since a directory need not list its users. Not so below an
  access control list, which may let anybody write;
- a link of ours: the path that it leads to is looked at in the same way.
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
"""Permissions that nobody but the owner of a secret has."""

_ACL = "system.posix_acl_access"
_OTHERS_WRITE = 0o022
_ROOT = Path("/")


class _Step(msgspec.Struct, frozen=True):
    """A folder, link or file on the way of a path; `last` is what the path leads to."""

    path: Path
    status: os.stat_result
    last: bool


def check_trusted(path: Path, forbidden: int = 0) -> None:
    """Refuses a path that another user could have prepared, or could lead elsewhere.

    Args:
        path: Absolute, and of something that is there.
        forbidden: Permissions that what is there may not have, such as `OTHERS_USE`.

    Raises:
        PathUntrusted: In one line what is wrong, and what to do about it.
        OSError: There is nothing, or it cannot be looked at.
    """
    _refuse_circle(path)
    for step in _steps(path):
        _check(path, step)
        if step.last and step.status.st_mode & forbidden:
            raise PathUntrusted(f"others than its owner can use {path}: chmod 600 it")


def check_way(path: Path) -> None:
    """As `check_trusted`, but for what the path leads to, which may be another user's."""
    _refuse_circle(path)
    for step in _steps(path):
        if not step.last:
            _check(path, step)


def read_trusted(path: Path, forbidden: int = 0) -> bytes:
    """The bytes of a file whose path is trusted; raises as `check_trusted` does."""
    check_trusted(path, forbidden)
    return path.read_bytes()


def make_trusted_folder(path: Path, mode: int) -> None:
    """Makes a folder where there is none, and looks at the one that is there then.

    Args:
        path: Absolute. The folders above it are made, too; only we can write to those.
        mode: Its permissions, if it is made.

    Raises:
        PathUntrusted: Another user could have prepared it, or could put another in its place.
        OSError: It cannot be made.
    """
    if not path.exists():
        if not path.parent.exists():
            make_trusted_folder(path.parent, 0o755)
        for step in _steps(path.parent, last=False):
            _check(path, step)
        path.mkdir(mode, exist_ok=True)
    check_trusted(path)
    path.mkdir(exist_ok=True)  # an error where it is no folder


def check_output(path: Path) -> None:
    """Refuses, where we are root, to write a file where another user could lead us elsewhere.

    Args:
        path: Of a file to be made or replaced, or of a pipe or device.

    Raises:
        PathUntrusted: The way to it is not trusted, or what is there is another user's.
    """
    if os.geteuid() != 0:
        return
    path = path.absolute()
    with suppress(OSError):  # there is no way to it, as whoever writes it will hear, too
        _refuse_circle(path)
        for step in _steps(path):
            if step.last:
                _check_owner(path, step)
            else:
                _check(path, step)


def check_folder(folder: Path) -> None:
    """Refuses a folder in which another user could lead us elsewhere, but for sticky ones.

    Raises:
        PathUntrusted: In one line what is wrong, and what to do about it.
        OSError: It is not there, or cannot be looked at.
    """
    _refuse_circle(folder)
    for step in _steps(folder, last=False):
        _check(folder, step)


def make_output_folder(path: Path, mode: int = 0o700) -> None:
    """Makes a folder where there is none; refused as `check_output` refuses a file.

    Args:
        mode: Its permissions, if it is made; without it, for us alone.
    """
    if os.geteuid() == 0:
        make_trusted_folder(path.absolute(), mode)
    else:
        path.mkdir(mode=mode, parents=True, exist_ok=True)


def open_trusted_file(path: Path, flags: int, mode: int = 0o644) -> int:
    """The descriptor of a file in a trusted folder, where others may once have put something.

    Args:
        mode: Its permissions, if it is made.

    Raises:
        PathUntrusted: It is a link, no regular file, or another user's; or it is to be written, and
            has another name, which may be that of a file elsewhere.
        OSError: It cannot be opened or made.
    """
    try:
        cautious = flags & ~os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, cautious, mode)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):  # of a pipe without a reader
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
    """Lets nobody but the owner write to a folder of ours, such as one of a loose umask."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        status = os.fstat(descriptor)
        if status.st_uid == os.geteuid() and status.st_mode & _OTHERS_WRITE:
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & ~_OTHERS_WRITE)
    finally:
        os.close(descriptor)


def _refuse_circle(path: Path) -> None:
    """Raises an OSError where links lead in a circle."""
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
    """All that the way of a path leads through, from the root on, its links' targets included."""
    for part in (*reversed(path.parents), path):
        status, at_end = part.lstat(), last and part == path
        is_link = stat.S_ISLNK(status.st_mode)
        yield _Step(part, status, at_end and not is_link)
        if is_link:
            yield from _steps(part.parent / part.readlink(), at_end)


def trusted_owners() -> set[int]:
    """Users whose files are as good as ours."""
    # Where a container or sandbox shows root's files as another user's, the first folder tells.
    return {0, os.geteuid(), _ROOT.stat().st_uid}


def _others_can_write(step: _Step) -> bool:
    mode = step.status.st_mode
    if stat.S_ISLNK(mode) or (mode & stat.S_ISVTX and not step.last):
        return False
    return others_can_write(step.path, step.status)


def others_can_write(path: Path, status: os.stat_result) -> bool:
    """Whether others than the owners that are trusted can write to a file or folder."""
    if status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and (_has_acl(path) or _has_others(status))


def _has_acl(path: Path) -> bool:
    """Whether the group's permissions are the mask of an access control list."""
    if not hasattr(os, "getxattr"):  # as on macOS, where the lists have no mask
        return False
    try:
        os.getxattr(path, _ACL, follow_symlinks=False)
    except OSError as error:
        return error.errno not in (errno.ENODATA, errno.ENOTSUP)
    return True


def _has_others(status: os.stat_result) -> bool:
    """Whether the group has, or could have, members beside the owners that are trusted."""
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
    """The groups that are one user's alone: root's, ours, a file's owner's.

    A primary group may be many users', and a directory that does not list them is no proof: one's
    own has one's number or name.
    """
    groups = set()
    for uid in {*trusted_owners(), owner}:
        with suppress(KeyError):
            user = pwd.getpwuid(uid)
            same = user.pw_gid == uid or grp.getgrgid(user.pw_gid).gr_name == user.pw_name
            groups |= {user.pw_gid} if same else set()
    return groups


def owner_of(status: os.stat_result) -> str:
    """A user as messages name them."""
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
