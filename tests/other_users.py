"""Files that other users of the machine have made, which takes root; CI is root."""

import os
import pwd
import struct
from pathlib import Path

import pytest

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="makes files of other users")

NOBODY = pwd.getpwnam("nobody")


def give(path: Path) -> Path:
    """Make it nobody's: the user as whom the embedded server of root runs."""
    os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid, follow_symlinks=False)
    return path


def link_of_nobody(path: Path, target: Path) -> Path:
    """A symbolic link that nobody has made."""
    path.symlink_to(target)
    return give(path)


def share(path: Path) -> Path:
    """Let the members of a group with others in it write there."""
    os.chown(path, -1, NOBODY.pw_gid)
    path.chmod(path.stat().st_mode | 0o020)
    return path


def share_by_list(path: Path) -> Path:
    """Let nobody write there by an access control list; the group stays our own."""
    mine = 0xFFFF_FFFF
    # Tag, permissions and id of: owner, the user, group, mask, others (linux/posix_acl_xattr.h).
    entries = ((1, 7, mine), (2, 7, NOBODY.pw_uid), (4, 0, mine), (16, 7, mine), (32, 0, mine))
    text = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    os.setxattr(path, "system.posix_acl_access", text)
    return path
