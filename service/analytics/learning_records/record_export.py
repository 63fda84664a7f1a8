"""Prepares a run of an export: its range, its sink, and the record of the read."""

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
from service.access_log import Reader
from service.analytics.errors import BeyondTheLog, CursorUnfit
from service.analytics.learning_records.export_cursor import CursorFile, ExportCursor, ExportScope
from service.analytics.learning_records.export_run import (
    ExportResult,
    ExportRun,
    PositionRange,
    Sink,
)
from service.analytics.learning_records.iris import Names
from service.analytics.learning_records.record_file import RecordFile
from service.analytics.learning_records.record_store import (
    CONNECT_TIMEOUT,
    REQUEST_TIMEOUT,
    Erased,
    RecordStore,
)
from service.analytics.learning_records.source_events import LearningLog
from service.audit.event_search import EventSearch
from service.audit.service import AuditService, Subject

_IN_FILES = 2_000
"""Number of records between two checkpoints of a file."""

_DATABASE_WAIT = 60.0
"""Seconds to wait for an unreachable database before a request to a store."""


class RecordExportRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to export.

    Attributes:
        out: The file for records, if they go to no store; None for standard output.
        since, until: Positions or times; times are both included. A checkpoint overrides `since`.
        batch: Number of records in a request to a store.
        authorization: The header's value for the store.
        reader: Who exports, and why, for the record of the read.
    """

    export: ExportScope
    out: Path | None
    checkpoint: Path | None
    since: int | datetime | None
    until: int | datetime | None
    batch: int
    authorization: str | None
    reader: Reader


class RecordExporter:
    """Exports learning records.

    Args:
        log: The log to export.
        pool: Its role needs SELECT on the log.
        reads: Records the export.
    """

    def __init__(self, log: EventLog, pool: AccountPool, reads: AuditService) -> None:
        self._log = log
        self._pool = pool
        self._reads = reads

    async def run(
        self, request: RecordExportRequest, progress: Progress, stop: asyncio.Event
    ) -> tuple[ExportResult, PositionRange]:
        """Runs an export; returns its result, and the range that was requested.

        Raises:
            ServiceError: The file, the checkpoint or the store is unfit.
            EventStoreError: The export could not be recorded; nothing was delivered.
        """
        learning = LearningLog(self._pool)
        first_event = await learning.first_event(request.export.account_id)
        async with AsyncExitStack() as stack:
            cursor_file, cursor = None, None
            if request.checkpoint is not None:
                cursor_file = CursorFile(request.checkpoint)
                stack.enter_context(cursor_file.locked())
                cursor = cursor_file.read(request.export, first_event)
            positions = await self._positions(request, cursor)
            sink = await _sink(stack, request, cursor, _erased_reader(learning, request), stop)
            export_run = ExportRun(
                log=learning,
                first_event=first_event,
                export=request.export,
                sink=sink,
                size=request.batch if request.export.store else _IN_FILES,
                cursor_file=cursor_file,
                before_first=partial(self._record, request, positions),
                progress=progress,
                stop=stop,
            )
            return await export_run.run(positions), positions

    async def _positions(
        self, request: RecordExportRequest, cursor: ExportCursor | None
    ) -> PositionRange:
        account_id = request.export.account_id
        head = await self._log.head(account_id)
        after, upto = 0, head
        if cursor is not None:
            after = cursor.position
        elif request.since is not None:
            after = await self._position(account_id, request.since, inclusive=False)
            if after > head:
                raise BeyondTheLog(f"--since {after}: the log ends at {head}")
        if cursor is not None and after > head:
            raise CursorUnfit(
                f"{request.checkpoint} is at position {after}, but the log ends at {head}"
            )
        if request.until is not None:
            upto = min(head, await self._position(account_id, request.until, inclusive=True))
        return PositionRange(after, max(after, upto))

    async def _position(self, account_id: int, at: int | datetime, *, inclusive: bool) -> int:
        if isinstance(at, int):
            return at
        return await EventSearch(self._pool).position_at(account_id, at, inclusive=inclusive)

    async def _record(self, request: RecordExportRequest, positions: PositionRange) -> None:
        """Records the export before the first record is delivered."""
        export = request.export
        where = f"to {export.store}" if export.store else "to a file"
        await self._reads.record_command(
            export.account_id,
            request.reader,
            f"analytics statements {export.format} {where}, "
            f"positions {positions.after + 1} to {positions.upto}",
            Subject(course_id=export.course_id),
        )


def _erased_reader(learning: LearningLog, request: RecordExportRequest) -> Erased:
    """A look-up of erased users, which waits for an unreachable database."""

    async def erased(people: Collection[int], position: int) -> frozenset[int]:
        account_id = request.export.account_id
        read = partial(learning.erased_since, account_id, people, position)
        return await retry_read(read, _DATABASE_WAIT)

    return erased


async def _sink(
    stack: AsyncExitStack,
    request: RecordExportRequest,
    cursor: ExportCursor | None,
    erased: Erased,
    stop: asyncio.Event,
) -> Sink:
    export = request.export
    if export.store is not None:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT, connect=CONNECT_TIMEOUT)
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        names = Names(export.base, export.account_id)
        return RecordStore(
            http, export.store, export.format, names, request.authorization, erased, stop
        )
    if request.out is None:
        return RecordFile(sys.stdout.buffer, None)
    file = RecordFile.resume(request.out, cursor)
    stack.callback(file.close)
    return file
