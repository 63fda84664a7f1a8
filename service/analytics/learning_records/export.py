"""One run of an export: where it begins and ends, where the records go, what is recorded of it."""

import asyncio
import sys
from collections.abc import Collection
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial
from pathlib import Path

import aiohttp
import msgspec

from eventstore.connections import AccountPool, retry_read
from eventstore.log import EventLog
from projections.parallel_build import Progress
from service.analytics.errors import BeyondTheLog, CheckpointUnfit
from service.analytics.learning_records.export_cursor import Checkpoint, CheckpointFile, Export
from service.analytics.learning_records.iris import Names
from service.analytics.learning_records.record_file import RecordFile
from service.analytics.learning_records.record_store import (
    CONNECT_TIMEOUT,
    REQUEST_TIMEOUT,
    Erased,
    RecordStore,
)
from service.analytics.learning_records.sending import Range, Sending, Sent, Sink
from service.analytics.learning_records.source_events import LearningLog
from service.audit.event_search import AuditedLog
from service.audit.recording import CommandReads, Reader, Subject

_IN_FILES = 2_000
"""Records between two checkpoints of a file."""

_PATIENCE = 60.0
"""Seconds that a database which is away is waited for, before a store is sent anything."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What to export.

    Attributes:
        out: The file for records that go to no store; None for standard output.
        since, until: Positions or times, both included where they are times; a checkpoint goes
            before `since`.
        batch: Records sent to a store at once.
        authorization: The header for the store.
        reader: Who exports, and why, for the record.
    """

    export: Export
    out: Path | None
    checkpoint: Path | None
    since: int | datetime | None
    until: int | datetime | None
    batch: int
    authorization: str | None
    reader: Reader


class Exporter:
    """Exports learning records.

    Args:
        log: What is exported.
        pool: Its role needs SELECT on the log.
        reads: Where that is recorded.
    """

    def __init__(self, log: EventLog, pool: AccountPool, reads: CommandReads) -> None:
        self._log = log
        self._pool = pool
        self._reads = reads

    async def run(
        self, wanted: Wanted, progress: Progress, stop: asyncio.Event
    ) -> tuple[Sent, Range]:
        """Exports; returns what was exported, and the range that was to be.

        Raises:
            ServiceError: The file, the checkpoint or the store is unfit.
            EventStoreError: The export could not be recorded; nothing has left.
        """
        learning = LearningLog(self._pool)
        first_event = await learning.first_event(wanted.export.account_id)
        async with AsyncExitStack() as stack:
            kept_in, kept = None, None
            if wanted.checkpoint is not None:
                kept_in = CheckpointFile(wanted.checkpoint)
                stack.enter_context(kept_in.held())
                kept = kept_in.read(wanted.export, first_event)
            positions = await self._positions(wanted, kept)

            async def before_first() -> None:
                await self._record(wanted, positions)

            async def erased(people: Collection[int], position: int) -> frozenset[int]:
                account_id = wanted.export.account_id
                read = partial(learning.erased_since, account_id, people, position)
                return await retry_read(read, _PATIENCE)

            sending = Sending(
                log=learning,
                first_event=first_event,
                export=wanted.export,
                sink=await _sink(stack, wanted, kept, erased, stop),
                size=wanted.batch if wanted.export.store else _IN_FILES,
                kept_in=kept_in,
                before_first=before_first,
                progress=progress,
                stop=stop,
            )
            return await sending.run(positions), positions

    async def _positions(self, wanted: Wanted, kept: Checkpoint | None) -> Range:
        account_id = wanted.export.account_id
        head = await self._log.head(account_id)
        after, upto = 0, head
        if kept is not None:
            after = kept.position
        elif wanted.since is not None:
            after = await self._position(account_id, wanted.since, inclusive=False)
            if after > head:
                raise BeyondTheLog(f"--since {after}: the log ends at {head}")
        if kept is not None and after > head:
            raise CheckpointUnfit(
                f"{wanted.checkpoint} is at position {after}, but the log ends at {head}"
            )
        if wanted.until is not None:
            upto = min(head, await self._position(account_id, wanted.until, inclusive=True))
        return Range(after, max(after, upto))

    async def _position(self, account_id: int, at: int | datetime, *, inclusive: bool) -> int:
        if isinstance(at, int):
            return at
        return await AuditedLog(self._pool).position_at(account_id, at, inclusive=inclusive)

    async def _record(self, wanted: Wanted, positions: Range) -> None:
        """Before anything leaves: who takes learners' doings elsewhere leaves a trace."""
        export = wanted.export
        where = f"to {export.store}" if export.store else "to a file"
        await self._reads.record(
            export.account_id,
            wanted.reader,
            f"analytics statements {export.format} {where}, "
            f"positions {positions.after + 1} to {positions.upto}",
            Subject(course_id=export.course_id),
        )


async def _sink(
    stack: AsyncExitStack,
    wanted: Wanted,
    kept: Checkpoint | None,
    erased: Erased,
    stop: asyncio.Event,
) -> Sink:
    export = wanted.export
    if export.store is not None:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT, connect=CONNECT_TIMEOUT)
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        names = Names(export.base, export.account_id)
        return RecordStore(
            http, export.store, export.format, names, wanted.authorization, erased, stop
        )
    if wanted.out is None:
        return RecordFile(sys.stdout.buffer, None)
    file = RecordFile.resume(wanted.out, kept)
    stack.callback(file.close)
    return file
