"""Files of the service that another user of the machine has prepared, or could change."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eventstore.connections import Connection
from eventstore.errors import EventStoreError, PathUntrusted
from eventstore.sealing.signing_keys import open_signer
from projections.errors import ProjectionRefused
from projections.user_defined import user_defined_projections, write_template
from service.analytics.errors import ExportFileUnfit
from service.analytics.learning_records.export_cursor import CursorFile, ExportScope
from service.analytics.learning_records.record_file import RecordFile
from service.analytics.table_files.export_folder import ExportFolder
from service.analytics.table_files.row_writers import open_row_writer
from service.audit.bundle_folder import Bundle
from service.audit.sealing import key_finding, key_place, make_sealer
from service.cli.output_file import write_whole
from service.errors import ServiceError, SettingsError
from service.identity.issuers import read_trust
from service.model.prices import read_prices
from service.process.demo import TOKENS_FILE, make_demo
from service.settings import Settings
from tests.other_users import as_root, give, link_of_nobody, share

SECRET = "the secret of root\n"
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
PRICES = Path(__file__).parents[2] / "service" / "model" / "prices.toml"

Prepare = Callable[[Path], object]
by_another_user = pytest.mark.parametrize(
    "prepare", [give, share, lambda path: path.chmod(0o666), lambda path: give(path.parent)]
)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secret").chmod(0o600)
    return tmp_path / "secret"


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A folder of nobody's."""
    (tmp_path / "theirs").mkdir()
    return give(tmp_path / "theirs")


@as_root
@by_another_user
def test_a_settings_file_that_another_user_can_change_is_refused(
    tmp_path: Path, prepare: Prepare
) -> None:
    """Whoever writes the one of tokens can be anybody."""
    (tmp_path / "settings").mkdir()
    file = tmp_path / "settings" / "file.toml"
    file.write_bytes(PRICES.read_bytes())
    assert read_prices(file) == read_prices()
    prepare(file)
    for read, name in ((read_prices, "COLLOQUY_PRICES: "), (read_trust, "COLLOQUY_JWT: ")):
        with pytest.raises(SettingsError, match=rf"^{name}.*(user nobody|chmod go-w)") as caught:
            read(file)
        assert "\n" not in str(caught.value)


@as_root
@by_another_user
def test_a_projection_that_another_user_can_change_is_refused(
    tmp_path: Path, prepare: Prepare
) -> None:
    paths = write_template(tmp_path / "own", "hourly")
    user_defined_projections(tmp_path / "own")["hourly"].readable()
    prepare(paths[0])
    with pytest.raises(ProjectionRefused, match=r"user nobody|chmod go-w"):
        user_defined_projections(tmp_path / "own")["hourly"].readable()


@as_root
def test_no_projection_is_read_from_or_written_to_a_folder_of_another_user(theirs: Path) -> None:
    for use in (user_defined_projections, lambda folder: write_template(folder, "hourly")):
        with pytest.raises(ProjectionRefused, match="user nobody"):
            use(theirs)
    assert list(theirs.iterdir()) == []


@as_root
@pytest.mark.parametrize("bits", [0o600, 0o644])
async def test_tokens_of_the_demo_that_another_user_has_a_hand_in_are_refused(
    owner: Connection, database_url: str, tmp_path: Path, bits: int
) -> None:
    await make_demo(owner, database_url, tmp_path)
    (tmp_path / TOKENS_FILE).chmod(bits)
    if bits == 0o600:
        give(tmp_path / TOKENS_FILE)
    with pytest.raises(PathUntrusted, match=r"user nobody|chmod 600"):
        await make_demo(owner, database_url, tmp_path)


@as_root
async def test_tokens_of_the_demo_go_through_no_link(
    owner: Connection, database_url: str, tmp_path: Path, secret: Path
) -> None:
    link_of_nobody(tmp_path / "demo-tokens.new", secret)
    await make_demo(owner, database_url, tmp_path)
    assert secret.read_text() == SECRET


@as_root
@pytest.mark.parametrize("name", ["keys", "keys/seal.key", "checkpoints"])
def test_no_service_starts_that_would_seal_with_what_another_user_has_prepared(
    tmp_path: Path, name: str
) -> None:
    settings = Settings(home=tmp_path)
    open_signer(key_place(settings))
    (tmp_path / "checkpoints").mkdir()
    make_sealer(settings, NOWHERE)
    give(tmp_path / name)
    with pytest.raises(EventStoreError, match="belongs to user nobody") as caught:
        make_sealer(settings, NOWHERE)
    assert "\n" not in str(caught.value)
    if name != "checkpoints":
        assert key_finding(settings)[0] is False


def test_checkpoints_of_a_release_that_left_them_to_the_umask_are_closed(tmp_path: Path) -> None:
    """In the home. A folder that somebody chose is theirs to close."""
    for folder in (tmp_path / "checkpoints" / "1", tmp_path / "chosen" / "1"):
        folder.mkdir(parents=True)
        folder.chmod(0o777)
        folder.parent.chmod(0o777)
    make_sealer(Settings(home=tmp_path), NOWHERE)
    for path in (tmp_path / "checkpoints", tmp_path / "checkpoints" / "1"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o755
    chosen = tmp_path / "chosen"
    with pytest.raises(PathUntrusted, match=f"write to {chosen}: chmod go-w it"):
        make_sealer(Settings(home=tmp_path, checkpoints=chosen), NOWHERE)
    assert stat.S_IMODE(chosen.stat().st_mode) == 0o777


@as_root
def test_root_writes_no_output_into_a_folder_of_another_user(theirs: Path, secret: Path) -> None:
    """Nor through a link of theirs; nor is there anything afterwards that was not before."""
    link = link_of_nobody(theirs.with_name("link"), secret)
    for path in (theirs / "file", theirs / "new" / "file", link):
        with pytest.raises(PathUntrusted, match="user nobody"):
            write_whole(path, b"page")
        with pytest.raises(PathUntrusted, match="user nobody"):
            RecordFile.begin(path)
        with pytest.raises(PathUntrusted, match="user nobody"), CursorFile(path).locked():
            pass
        for folder in (Bundle(path).opened, ExportFolder(path).locked):
            with pytest.raises(PathUntrusted, match="user nobody"), folder():
                pass
    assert list(theirs.iterdir()) == []
    assert secret.read_text() == SECRET


@as_root
def test_drafts_and_locks_beside_an_output_go_through_no_link(tmp_path: Path, secret: Path) -> None:
    """In a folder for all, such as `/tmp`, anybody can put links beside it."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    link_of_nobody(shared / f".page.{os.getpid()}.draft", secret)
    write_whole(shared / "page", b"page")
    assert (shared / "page").read_bytes() == b"page"
    link_of_nobody(shared / "cursor.lock", shared / "nothing")
    with pytest.raises(ServiceError), CursorFile(shared / "cursor").locked():
        pass
    assert not (shared / "nothing").exists()
    assert secret.read_text() == SECRET


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch, secret: Path) -> list[str]:
    """Names that another user makes a link of once somebody has seen that there is nothing."""
    stat_of, names = os.stat, ["page"]

    def looked(path: Any, **more: Any) -> os.stat_result:
        try:
            return stat_of(path, **more)
        except FileNotFoundError:
            if names and Path(path).name == names[0]:
                link_of_nobody(secret.parent / "shared" / names.pop(), secret)
            raise

    monkeypatch.setattr(os, "stat", looked)
    return names


@as_root
@pytest.mark.parametrize("write", ["page", "records", "cursor"])
def test_a_link_made_between_the_look_and_the_use_leads_root_nowhere(
    tmp_path: Path, secret: Path, links: list[str], write: str
) -> None:
    """In a folder for all, such as `/tmp`."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    secret.write_bytes(b"")
    before = secret.stat().st_ino
    if write == "page":
        write_whole(shared / "page", b"page")
        assert (shared / "page").read_bytes() == b"page"
        assert not (shared / "page").is_symlink()
    elif write == "records":
        with pytest.raises(ExportFileUnfit, match="File exists"):
            RecordFile.begin(shared / "page")
    else:
        kept = CursorFile(shared / "page")
        with pytest.raises(PathUntrusted, match="user nobody"), kept.locked():
            kept.read(ExportScope(account_id=1, format="xapi", base="https://x"), None)
    assert links == []
    assert (secret.read_bytes(), secret.stat().st_ino) == (b"", before)


@pytest.mark.parametrize("mode", [0o1777, 0o1770])
@as_root
def test_another_name_of_a_file_of_roots_leads_nowhere(
    tmp_path: Path, secret: Path, mode: int
) -> None:
    """Where the system lets anybody, or a group, give one to files and links of others."""
    shared = tmp_path / "shared"
    shared.mkdir()
    if not mode & 0o002:
        share(shared)
    shared.chmod(mode)
    secret.write_bytes(b"")
    (tmp_path / "link").symlink_to(secret)
    os.link(secret, shared / "file")
    os.link(tmp_path / "link", shared / "link", follow_symlinks=False)
    for name in ("file", "link"):
        with pytest.raises(PathUntrusted, match="another name"):
            RecordFile.begin(shared / name)
    with pytest.raises(PathUntrusted, match="another name"):
        write_whole(shared / "link", b"page")
    assert secret.read_bytes() == b""


def test_an_output_goes_through_links_of_our_own(tmp_path: Path) -> None:
    """And to whatever the process has open, as `/dev/stdout` does."""
    (tmp_path / "there").mkdir()
    (tmp_path / "first").symlink_to("second")
    (tmp_path / "second").symlink_to(tmp_path / "there" / "page")
    for content in (b"one", b"two"):
        write_whole(tmp_path / "first", content)
        assert (tmp_path / "there" / "page").read_bytes() == content
    read, write = os.pipe()
    with os.fdopen(read, "rb") as out:
        write_whole(Path(f"/dev/fd/{write}"), b"words")
        os.close(write)
        assert out.read() == b"words"
    with (tmp_path / "open").open("wb") as file:
        for _ in range(2):
            write_whole(Path(f"/dev/fd/{file.fileno()}"), b"words")
    assert (tmp_path / "open").read_bytes() == b"wordswords"
    (tmp_path / "circle").symlink_to("circle")
    for path in (tmp_path / "circle", tmp_path / "there", tmp_path / "no" / "page"):
        with pytest.raises(ServiceError, match=str(path)):
            write_whole(path, b"page")


@as_root
def test_an_export_goes_into_no_folder_of_others_within_its_own(
    tmp_path: Path, secret: Path
) -> None:
    folder = ExportFolder(tmp_path / "export")
    with folder.locked():
        give_folder = tmp_path / "export" / "facts"
        give_folder.mkdir()
        give(give_folder)
        with pytest.raises(PathUntrusted, match="user nobody"):
            folder.make_parents(["facts/account=1/facts.csv"])
        link_of_nobody(folder.draft, secret)
        open_row_writer("ndjson", folder.draft, (), {}).close()
    link_of_nobody(tmp_path / "export" / "manifest.draft", secret)
    assert secret.read_text() == SECRET


def test_a_page_with_words_is_for_its_owner_alone(tmp_path: Path) -> None:
    write_whole(tmp_path / "page", b"words", 0o600)
    assert stat.S_IMODE((tmp_path / "page").stat().st_mode) == 0o600
