"""Sealing as the settings have it: the sealer, and what there is to say about it."""

from datetime import datetime
from pathlib import Path

import msgspec

from eventstore.checkpoint_files import CheckpointFiles
from eventstore.connections import Connection
from eventstore.errors import CheckpointFilesDamaged, EventStoreError
from eventstore.keys import KeyPlace, open_signer, read_signer
from eventstore.sealer import Sealer, SealingState, sealing_states
from service.settings import Settings


class SealingReport(msgspec.Struct, frozen=True, kw_only=True):
    """How far an account's log is sealed, and what the files outside the database say to it."""

    account_id: int
    head: int
    sealed: int
    sealed_at: datetime | None
    files: str
    sound: bool


def make_sealer(settings: Settings, url: str) -> Sealer:
    """The sealer; makes the key where there is none yet.

    Raises:
        KeyRefused: The key cannot be used.
    """
    place = key_place(settings)
    open_signer(place)
    return Sealer(url, place, checkpoint_folder(settings), settings.seal_seconds)


def key_place(settings: Settings) -> KeyPlace:
    """Where the key is."""
    own = settings.seal_key.expanduser().absolute() if settings.seal_key else None
    return KeyPlace(settings.home / "keys", own, settings.log_name)


def checkpoint_folder(settings: Settings) -> Path:
    """Where the checkpoints outside the database are."""
    chosen = settings.checkpoints or settings.home / "checkpoints"
    return chosen.expanduser().absolute()


def key_finding(settings: Settings) -> tuple[bool, str]:
    """Whether the key is well, and a line about it."""
    if not settings.seal_seconds:
        return True, "sealing: switched off"
    place = key_place(settings)
    if place.file is None and not place.key.exists():
        return True, "sealing key: made at the first start"
    try:
        signer = read_signer(place)
    except EventStoreError as error:
        return False, f"sealing key: {error}"
    return True, f"sealing key: {place.key}, {signer.name}+{signer.public.id.hex()}"


async def sealing_reports(settings: Settings, connection: Connection) -> list[SealingReport]:
    """A report for each account."""
    folder = checkpoint_folder(settings)
    return [_report(folder, state) for state in await sealing_states(connection)]


def _report(folder: Path, state: SealingState) -> SealingReport:
    sound, files = _files(CheckpointFiles(folder, state.account_id), state)
    return SealingReport(
        account_id=state.account_id,
        head=state.head,
        sealed=state.sealed,
        sealed_at=state.sealed_at,
        files=files,
        sound=sound and state.sealed <= state.head,
    )


def _files(files: CheckpointFiles, state: SealingState) -> tuple[bool, str]:
    try:
        known = files.known()
    except (CheckpointFilesDamaged, OSError) as error:
        return False, f"files cannot be read: {error}"
    size = max((checkpoint.size for checkpoint in known), default=0)
    if size > state.head:
        return False, f"files know {size} events: the log went back"
    if any(c.root != state.root for c in known if c.size == state.sealed):
        return False, f"files have another root at {state.sealed} events: the log went back"
    if size < state.sealed:
        return True, f"files {state.sealed - size} events behind the database"
    return True, "files up to date"
