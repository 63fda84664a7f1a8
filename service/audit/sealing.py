"""Sealing with the settings' key and folders: the sealer, and reports for operators."""

from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec

from eventstore.connections import Connection
from eventstore.errors import CheckpointFilesDamaged, EventStoreError, PathUntrusted
from eventstore.primary import Primary
from eventstore.readable_numbers import counted
from eventstore.sealing.checkpoint_files import CheckpointFiles, accounts_with_files
from eventstore.sealing.sealer import Sealer
from eventstore.sealing.sealing_state import SealingState, sealing_states
from eventstore.sealing.signed_checkpoint import Checkpoint
from eventstore.sealing.signing_keys import KeyLocation, is_ended, open_signer, read_signer
from eventstore.trusted_paths import check_trusted, deny_others_writing
from service.settings import Settings
from sql.loader import query


class SealingReport(msgspec.Struct, frozen=True, kw_only=True):
    """How far an account's log is sealed, compared with the files outside the database.

    Attributes:
        head: The log's last position.
        sealed: Number of events that the last checkpoint covers.
        files: The result of the comparison, in words.
        sound: Whether files and database agree.
    """

    account_id: int
    head: int
    sealed: int
    sealed_at: datetime | None
    files: str
    sound: bool


def make_sealer(settings: Settings, url: str, primary: Primary | None = None) -> Sealer:
    """The sealer; creates its key if there is none yet.

    Raises:
        KeyRefused: The key cannot be used.
        PathUntrusted: Another user could have prepared the key, or could change the checkpoints.
    """
    place, folder = key_place(settings), checkpoint_folder(settings)
    open_signer(place)
    if folder == settings.home / "checkpoints":
        _close_to_others(folder)
    with suppress(OSError):  # the sealer logs it for as long as it lasts
        check_trusted(folder)
    return Sealer(url, place, folder, settings.seal_seconds, primary=primary)


def key_place(settings: Settings) -> KeyLocation:
    """The location of the key."""
    file = settings.seal_key.expanduser().absolute() if settings.seal_key else None
    return KeyLocation(settings.home / "keys", file, settings.log_name)


def checkpoint_folder(settings: Settings) -> Path:
    """The folder of the checkpoints outside the database."""
    folder = settings.checkpoints or settings.home / "checkpoints"
    return folder.expanduser().absolute()


def _close_to_others(folder: Path) -> None:
    """Restricts a home's checkpoints to their owner; earlier releases left that to the umask."""
    for path in (folder, *folder.glob("*/")):
        with suppress(OSError):
            deny_others_writing(path)


def key_finding(settings: Settings) -> tuple[bool, str]:
    """Whether the key is usable, and a line about it."""
    if not settings.seal_seconds:
        return True, "sealing: switched off"
    place = key_place(settings)
    if place.file is None and not place.key.exists():
        return True, "sealing key: made at the first start"
    try:
        signer = read_signer(place)
        if is_ended(place, signer.public):
            return False, f"sealing key: {place.key} was replaced: run `colloquy seal rotate-key`"
    except EventStoreError as error:
        return False, f"sealing key: {error}"
    return True, f"sealing key: {place.key}, {signer.name}+{signer.public.id.hex()}"


async def sealing_reports(settings: Settings, connection: Connection) -> list[SealingReport]:
    """A report for each account."""
    folder = checkpoint_folder(settings)
    # The files first: the database, which is read later, has all checkpoints that they have.
    known = {account: _known(folder, account) for account in accounts_with_files(folder)}
    return [
        await _report(connection, state, known.get(state.account_id, []))
        for state in await sealing_states(connection)
    ]


def _known(folder: Path, account_id: int) -> list[Checkpoint] | str:
    """The checkpoints in the files, or why they cannot be read."""
    try:
        return CheckpointFiles(folder, account_id).known()
    except (CheckpointFilesDamaged, PathUntrusted, OSError) as error:
        return f"files cannot be read: {error}"


async def _report(
    connection: Connection, state: SealingState, known: list[Checkpoint] | str
) -> SealingReport:
    problem = known if isinstance(known, str) else await _disagreement(connection, state, known)
    return SealingReport(
        account_id=state.account_id,
        head=state.head,
        sealed=state.sealed,
        sealed_at=state.sealed_at,
        files=problem or _agreement(state, [c.size for c in known if isinstance(c, Checkpoint)]),
        sound=not problem and state.sealed <= state.head,
    )


async def _disagreement(
    connection: Connection, state: SealingState, known: list[Checkpoint]
) -> str | None:
    """A contradiction between files and database; None if there is none."""
    for checkpoint in known:
        size = checkpoint.size
        if size > state.head:
            return f"files know {counted(size, 'event')}: the log went back"
        row = await connection.fetchrow(query("get_tree_head"), state.account_id, size)
        if row is None:
            return f"files have a checkpoint of {counted(size, 'event')} that the database lacks"
        if row["root"] != checkpoint.root:
            return f"files have another root at {counted(size, 'event')}: the log went back"
    return None


def _agreement(state: SealingState, sizes: list[int]) -> str:
    """A sentence on what was compared and what was not."""
    size = max(sizes, default=0)
    if size >= state.sealed:
        return "files up to date"
    if not sizes:
        return "no files here, so nothing was compared with the database"
    return f"files agree up to {size}, {counted(state.sealed - size, 'event')} behind the database"
