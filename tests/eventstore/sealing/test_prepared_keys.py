"""Keys and checkpoints that another user of the machine has created or can change."""

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from eventstore.errors import EventStoreError, PathUntrusted
from eventstore.sealing.checkpoint_files import CheckpointFiles
from eventstore.sealing.signing_keys import KeyLocation, list_keys, open_signer, read_signer
from tests.eventstore.sealing.building_seals import replace_unrecorded
from tests.eventstore.sealing.test_checkpoint_files import note, sizes
from tests.other_users import as_root, give, link_of_nobody, share

SECRET = "the secret of root\n"


@pytest.fixture
def place(tmp_path: Path) -> KeyLocation:
    made = KeyLocation(tmp_path / "keys")
    open_signer(made)
    return made


@pytest.fixture
def own(place: KeyLocation, tmp_path: Path) -> KeyLocation:
    """An operator's key, elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    place.key.rename(tmp_path / "elsewhere" / "own.key")
    return KeyLocation(place.folder, tmp_path / "elsewhere" / "own.key")


@pytest.fixture
def files(tmp_path: Path) -> CheckpointFiles:
    made = CheckpointFiles(tmp_path / "checkpoints", 7)
    made.append([note(1)])
    return made


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secret").chmod(0o600)
    return tmp_path / "secret"


def known_and_added_to(files: CheckpointFiles) -> None:
    files.known()
    files.append([note(2)])


def refused_by_all(place: KeyLocation, *uses: Callable[[KeyLocation], object]) -> None:
    for use in uses or (open_signer, read_signer, replace_unrecorded):
        with pytest.raises(EventStoreError, match=r"user nobody|chmod") as caught:
            use(place)
        assert "\n" not in str(caught.value)


@as_root
@pytest.mark.parametrize("name", ["seal.key", "log-name"])
def test_a_key_or_name_of_another_user_is_refused(place: KeyLocation, name: str) -> None:
    give(place.folder / name)
    refused_by_all(place)


@as_root
def test_a_list_of_keys_of_another_user_is_refused(place: KeyLocation) -> None:
    """Otherwise auditors would get another user's key as ours."""
    give(place.vkeys)
    refused_by_all(place, open_signer, replace_unrecorded, list_keys)
    place.vkeys.unlink()
    link_of_nobody(place.vkeys, place.folder / "log-name")
    refused_by_all(place, open_signer, replace_unrecorded, list_keys)


@as_root
@pytest.mark.parametrize("prepare", [give, share, lambda path: path.chmod(0o777)])
def test_a_folder_of_keys_that_another_user_can_change_is_refused(
    place: KeyLocation, prepare: Callable[[Path], object]
) -> None:
    prepare(place.folder)
    refused_by_all(place, open_signer, read_signer, replace_unrecorded, list_keys)


@as_root
def test_no_key_is_made_in_a_folder_that_another_user_has_prepared(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(0o700)
    give(tmp_path / "keys")
    refused_by_all(KeyLocation(tmp_path / "keys"), open_signer)
    assert list((tmp_path / "keys").iterdir()) == []
    (tmp_path / "real").mkdir()
    refused_by_all(KeyLocation(link_of_nobody(tmp_path / "link", tmp_path / "real")), open_signer)
    assert list((tmp_path / "real").iterdir()) == []


@as_root
def test_an_operators_key_that_another_user_can_change_is_refused(own: KeyLocation) -> None:
    """The file, its folder, or a link on the path."""
    assert own.file
    open_signer(own)
    give(own.file)
    refused_by_all(own)
    os.chown(own.file, 0, 0)
    give(own.file.parent)
    refused_by_all(own)
    os.chown(own.file.parent, 0, 0)
    link = link_of_nobody(own.file.with_name("link"), own.file)
    refused_by_all(KeyLocation(own.folder, link))


def test_an_operators_key_may_be_our_link(own: KeyLocation, tmp_path: Path) -> None:
    """Mounted secrets often are links."""
    assert own.file
    (tmp_path / "link").symlink_to(own.file)
    assert read_signer(KeyLocation(own.folder, tmp_path / "link")).public == read_signer(own).public


@as_root
@pytest.mark.parametrize("name", [".latest", "latest", ".lock", "{day}", "2999-01-01.checkpoints"])
def test_checkpoints_are_not_written_through_links(
    files: CheckpointFiles, secret: Path, name: str
) -> None:
    (day,) = files.folder.glob("*.checkpoints")
    path = files.folder / name.format(day=day.name)
    path.unlink(missing_ok=True)
    link_of_nobody(path, secret)
    if name == ".latest":  # the draft of `latest`, which is made anew
        files.append([note(2)])
        assert sizes(files) == [2, 2]
    else:
        with pytest.raises(PathUntrusted, match=f"{re.escape(path.name)} is a link: move it away"):
            known_and_added_to(files)
    assert secret.read_text() == SECRET
    assert secret.stat().st_uid == 0


@as_root
@pytest.mark.parametrize("name", ["latest", ".lock", "{day}"])
def test_checkpoint_files_of_another_user_are_refused(files: CheckpointFiles, name: str) -> None:
    (day,) = files.folder.glob("*.checkpoints")
    give(files.folder / name.format(day=day.name))
    with pytest.raises(PathUntrusted, match="another user's"):
        known_and_added_to(files)


@as_root
@pytest.mark.parametrize("prepare", [give, share, lambda path: path.chmod(0o777)])
@pytest.mark.parametrize("above", [False, True])
def test_a_folder_of_checkpoints_that_another_user_can_change_is_refused(
    files: CheckpointFiles, above: bool, prepare: Callable[[Path], object]
) -> None:
    prepare(files.folder.parent if above else files.folder)
    for use in (files.known, files.size, lambda: files.append([note(2)])):
        with pytest.raises(PathUntrusted, match=r"user nobody|chmod go-w"):
            use()


@as_root
def test_the_folder_of_an_account_may_not_be_a_link_of_another_user(
    tmp_path: Path, files: CheckpointFiles
) -> None:
    (tmp_path / "elsewhere").mkdir()
    link_of_nobody(files.folder.parent / "8", tmp_path / "elsewhere")
    with pytest.raises(PathUntrusted):
        CheckpointFiles(files.folder.parent, 8).append([note(1)])
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_new_folders_of_checkpoints_are_closed_to_others_whatever_the_umask(
    tmp_path: Path,
) -> None:
    before = os.umask(0)
    try:
        CheckpointFiles(tmp_path / "checkpoints", 1).append([note(1)])
    finally:
        os.umask(before)
    made = tmp_path / "checkpoints"
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (made, *made.rglob("*"))}
    assert modes == {0o755, 0o644}
