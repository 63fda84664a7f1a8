"""Paths that another user may have created or can change, with files of real users."""

import grp
import os
import pwd
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eventstore.errors import PathUntrusted
from eventstore.trusted_paths import (
    OTHERS_ACCESS,
    check_output,
    check_trusted,
    check_way,
    deny_others_writing,
    make_output_folder,
    make_trusted_folder,
    open_trusted_file,
    read_trusted,
)
from tests.other_users import as_root, give, link_of_nobody, share, share_by_list

Prepare = Callable[[Path], Path]


def ours(at: Path) -> Path:
    at.mkdir()
    (at / "end").mkdir()
    return at / "end"


def below_a_sticky_folder(at: Path) -> Path:
    end = ours(at)
    at.chmod(0o1777)
    return end


def through_our_link(at: Path) -> Path:
    end = ours(at)
    (at / "link").symlink_to("../" + at.name + "/end")
    assert (at / "link").samefile(end)
    return at / "link"


def through_our_links_in_a_row(at: Path) -> Path:
    link = through_our_link(at)
    (at / "first").symlink_to(link)
    return at / "first"


def with_a_group_of_our_own(at: Path) -> Path:
    end = ours(at)
    for path in (at, end):
        path.chmod(0o775)
    return end


def of_nobody(at: Path) -> Path:
    return give(ours(at))


def below_a_folder_of_nobody(at: Path) -> Path:
    end = ours(at)
    give(at)
    return end


def below_a_sticky_folder_of_nobody(at: Path) -> Path:
    end = below_a_sticky_folder(at)
    give(at)
    return end


def through_a_link_of_nobody(at: Path) -> Path:
    link = through_our_link(at)
    give(link)
    return link


def below_a_link_of_nobody(at: Path) -> Path:
    ours(at)
    return link_of_nobody(at.with_name("link"), at) / "end"


def through_our_link_to_a_folder_of_nobody(at: Path) -> Path:
    end = of_nobody(at)
    at.with_name("link").symlink_to(end)
    return at.with_name("link")


def through_our_link_to_a_link_of_nobody(at: Path) -> Path:
    link = through_a_link_of_nobody(at)
    at.with_name("first").symlink_to(link)
    return at.with_name("first")


def shared_with_a_group(at: Path) -> Path:
    return share(ours(at))


def below_a_folder_shared_with_a_group(at: Path) -> Path:
    end = ours(at)
    share(at)
    return end


def shared_by_an_access_control_list(at: Path) -> Path:
    return share_by_list(ours(at))


def below_a_folder_shared_by_an_access_control_list(at: Path) -> Path:
    end = ours(at)
    share_by_list(at)
    return end


def open_to_all(at: Path) -> Path:
    end = ours(at)
    end.chmod(0o777)
    return end


def sticky_itself(at: Path) -> Path:
    end = ours(at)
    end.chmod(0o1777)
    return end


def below_a_folder_open_to_all(at: Path) -> Path:
    end = ours(at)
    at.chmod(0o777)
    return end


GOOD: tuple[Prepare, ...] = (
    *(ours, below_a_sticky_folder, through_our_link, through_our_links_in_a_row),
    *(with_a_group_of_our_own,),
)
BAD: tuple[Prepare, ...] = (
    *(of_nobody, below_a_folder_of_nobody, below_a_sticky_folder_of_nobody),
    *(through_a_link_of_nobody, below_a_link_of_nobody),
    *(through_our_link_to_a_folder_of_nobody, through_our_link_to_a_link_of_nobody),
    *(shared_with_a_group, below_a_folder_shared_with_a_group),
    *(shared_by_an_access_control_list, below_a_folder_shared_by_an_access_control_list),
    *(open_to_all, sticky_itself, below_a_folder_open_to_all),
)


@pytest.mark.parametrize("prepare", GOOD)
def test_a_path_with_trusted_owners_only_is_trusted(tmp_path: Path, prepare: Prepare) -> None:
    path = prepare(tmp_path / "at")
    check_trusted(path)
    check_output(path)
    make_trusted_folder(path, 0o700)
    make_trusted_folder(path / "two" / "more", 0o711)
    assert stat.S_IMODE((path / "two" / "more").stat().st_mode) == 0o711
    (path / "file").write_text("words")
    assert read_trusted(path / "file") == b"words"


@as_root
@pytest.mark.parametrize("prepare", BAD)
def test_a_path_that_another_user_can_redirect_is_refused(tmp_path: Path, prepare: Prepare) -> None:
    """The message has one line, and nothing is created."""
    path = prepare(tmp_path / "at")
    for refuse in (check_trusted, lambda path: make_trusted_folder(path, 0o700)):
        with pytest.raises(PathUntrusted, match=r"user nobody|chmod go-w") as caught:
            refuse(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(PathUntrusted):
        make_output_folder(path)
    for make in (make_output_folder, lambda path: make_trusted_folder(path, 0o700)):
        if prepare is not sticky_itself:
            with pytest.raises(PathUntrusted):
                make(path / "two" / "more")
            assert not (path / "two").exists()
    (path / "file").write_text("prepared")
    if prepare is not sticky_itself:
        with pytest.raises(PathUntrusted):
            read_trusted(path / "file")
        with pytest.raises(PathUntrusted):
            check_output(path / "file")


@as_root
def test_the_file_at_the_end_of_a_checked_way_may_be_another_users(tmp_path: Path) -> None:
    """Such as the embedded server's data. The parents may not."""
    check_way(of_nobody(tmp_path / "at"))
    with pytest.raises(PathUntrusted):
        check_way(through_a_link_of_nobody(tmp_path / "other"))
    with pytest.raises(PathUntrusted):
        check_way(below_a_folder_of_nobody(tmp_path / "third"))


@as_root
def test_another_users_dangling_link_is_refused(tmp_path: Path) -> None:
    """Otherwise root would create its target."""
    link = link_of_nobody(tmp_path / "link", tmp_path / "nothing")
    for check in (check_trusted, check_way, check_output):
        with pytest.raises(PathUntrusted, match="user nobody"):
            check(link)


def test_a_loop_of_links_is_an_oserror(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels"):
        check_trusted(tmp_path / "a")


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o601])
def test_a_secret_that_others_can_use_is_refused(tmp_path: Path, bits: int) -> None:
    secret = tmp_path / "secret"
    secret.write_text("word")
    secret.chmod(bits)
    with pytest.raises(PathUntrusted, match=f"use {secret}: chmod 600 it"):
        read_trusted(secret, OTHERS_ACCESS)
    assert read_trusted(secret) == b"word"


def test_output_may_go_to_devices_and_pipes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/null"), Path("/dev/stdout"), tmp_path / "pipe", tmp_path / "new"):
        check_output(path)
    assert not (tmp_path / "new").exists(), "the check creates nothing"


@as_root
def test_output_is_not_written_to_another_users_file(tmp_path: Path) -> None:
    """As in `/tmp`, where every user may create files."""
    tmp_path.chmod(0o1777)
    (tmp_path / "page.html").touch()
    give(tmp_path / "page.html")
    with pytest.raises(PathUntrusted, match="user nobody"):
        check_output(tmp_path / "page.html")


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_only_a_regular_file_is_opened_as_our_own(tmp_path: Path, kind: str) -> None:
    """Pipes are not waited for, links not followed, and no file is created."""
    path = tmp_path / "file"
    if kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(PathUntrusted, match="move it away"):
        open_trusted_file(path, os.O_RDONLY)
    if kind == "link":
        with pytest.raises(PathUntrusted):
            open_trusted_file(path, os.O_WRONLY | os.O_CREAT)
    assert not (tmp_path / "elsewhere").exists()


@as_root
def test_no_file_of_another_user_is_opened_as_our_own(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    give(path)
    with pytest.raises(PathUntrusted, match="move it away"):
        open_trusted_file(path, os.O_RDWR)


def test_a_file_with_another_name_is_read_but_not_written_as_our_own(tmp_path: Path) -> None:
    """A user who could once write to the folder may have linked a file from elsewhere."""
    path = tmp_path / "file"
    path.write_text("words")
    (tmp_path / "elsewhere").hardlink_to(path)
    os.close(open_trusted_file(path, os.O_RDONLY))
    for flags in (os.O_RDWR, os.O_WRONLY | os.O_APPEND, os.O_WRONLY | os.O_CREAT):
        with pytest.raises(PathUntrusted, match="another name"):
            open_trusted_file(path, flags)
    with pytest.raises(PathUntrusted, match="another name"):
        open_trusted_file(path, os.O_WRONLY | os.O_TRUNC)
    assert path.read_text() == "words"


def test_a_folder_of_a_permissive_umask_becomes_unwritable_for_others(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o2777)
    deny_others_writing(tmp_path / "open")
    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o2755
    (tmp_path / "link").symlink_to("open")
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        deny_others_writing(tmp_path / "link")


@as_root
def test_a_group_with_unknown_members_counts_as_others(tmp_path: Path) -> None:
    """A directory service need not list its groups and users."""
    unknown = 54_321
    tmp_path.chmod(0o775)
    os.chown(tmp_path, -1, unknown)
    with pytest.raises(PathUntrusted, match="chmod go-w"):
        check_trusted(tmp_path)
    os.chown(tmp_path, -1, os.getegid())
    check_trusted(tmp_path)


@as_root
def test_a_shared_primary_group_counts_as_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory service lists no users, and this user's primary group is shared."""
    me = pwd.getpwuid(os.geteuid())
    fields: list[Any] = [*me]
    fields[3] = grp.getgrnam("users").gr_gid
    monkeypatch.setattr(pwd, "getpwall", list)
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: pwd.struct_passwd(fields))
    tmp_path.chmod(0o775)
    os.chown(tmp_path, -1, fields[3])
    with pytest.raises(PathUntrusted, match="chmod go-w"):
        check_trusted(tmp_path)
