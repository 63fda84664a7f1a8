"""Verifies an account's whole log, trusting only the keys and the files outside the database.

All reads use one snapshot of the database. Lines are hashed here, since an attacker who can change
lines in the database can also change its hash function.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import msgspec

from eventstore.connections import Connection
from eventstore.envelope import NO_END
from eventstore.errors import CheckpointFilesDamaged
from eventstore.readable_numbers import counted
from eventstore.sealing.checkpoint_checks import (
    CheckpointVerifier,
    SourcedCheckpoint,
    compare,
    compare_outside,
    compare_replaced,
    of_log,
    read_outside,
    read_rotations,
    read_stored,
)
from eventstore.sealing.copy_reader import FULL_SCAN_TIMEOUT, Row, copy_rows
from eventstore.sealing.findings import Findings
from eventstore.sealing.line_checks import LineChecks
from eventstore.sealing.merkle import HASH, leaf_hash
from eventstore.sealing.signed_checkpoint import VerifierKey
from eventstore.sealing.tiles import HEIGHT, entries
from eventstore.sealing.tree_builder import TileDigests, TreeBuilder
from sql.loader import query

_PAGE = 256
_WIDTH = 1 << HEIGHT

Progress = Callable[[int, int], None]
"""Called with the number of verified events, and of all events."""


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a verification.

    Attributes:
        sealed: Events up to the last checkpoint of the database.
        unsealed: Events after it, which no checkpoint covers yet.
        removed: Texts that erasures and expiries have removed.
        log: The log's name in the last checkpoint.
        outside: Checkpoints in the files outside the database.
        outside_upto: Events up to the last of these; later ones were compared with nothing
            outside.
        folder: The folder of these files.
        position: Of the first event that is, or may be, wrong; None without findings.
        problem: What is wrong there.
        findings: Number of findings.
    """

    account_id: int
    events: int
    texts: int
    removed: int
    sealed: int
    sealed_at: datetime | None
    unsealed: int
    checkpoints: int
    outside: int
    outside_upto: int
    folder: str
    log: str | None = None
    position: int | None = None
    problem: str | None = None
    findings: int = 0


class TrustAnchors(msgspec.Struct, frozen=True):
    """What a log is compared with: public keys, and the folder of the account's checkpoints.

    `required`: even a log that was never sealed must have checkpoints there.
    """

    keys: Sequence[VerifierKey]
    folder: Path
    required: bool = False


async def verify_log(
    connection: Connection, account_id: int, trusted: TrustAnchors, progress: Progress
) -> Verification:
    """Verifies a log.

    Args:
        connection: Of a role that sees the account's log, such as the auditor's.
        trusted: What to compare the log with.
        progress: Receives the progress.
    """
    work = _LogVerification(connection, account_id, trusted, progress)
    # The files are read first: a later snapshot of the database has all their checkpoints.
    work.read_files()
    snapshot = connection.transaction(isolation="repeatable_read", readonly=True)
    await snapshot.start()
    try:
        return await work.verify()
    finally:
        if not connection.is_closed():
            await snapshot.rollback()


class _LogVerification:
    def __init__(
        self, connection: Connection, account_id: int, trusted: TrustAnchors, progress: Progress
    ) -> None:
        self._connection = connection
        self._account_id = account_id
        self._trusted = trusted
        self._progress = progress
        self._findings = Findings()
        self._verifier = CheckpointVerifier(trusted.keys, self._findings)
        self._lines = LineChecks(account_id, self._findings)
        self._tree = TreeBuilder()
        self._roots: dict[int, bytes] = {}
        self._sizes: list[int] = []
        """The sizes whose roots are needed, the smallest last."""
        self._in_tiles = 0
        self._tiles = TileDigests([])
        self._head = 0
        self._outside: list[SourcedCheckpoint] = []

    def read_files(self) -> None:
        try:
            self._outside = read_outside(self._trusted.folder, self._verifier, self._findings)
        except CheckpointFilesDamaged as error:
            self._findings.add_general(str(error))

    async def verify(self) -> Verification:
        fetchval = self._connection.fetchval
        self._head = await fetchval(query("get_log_head"), self._account_id) or 0
        self._in_tiles = await fetchval(query("get_tree_size"), self._account_id, _WIDTH)
        sizes = await self._connection.fetch(query("list_tree_sizes"), self._account_id)
        needed = {row["size"] for row in sizes} | {w.checkpoint.size for w in self._outside}
        self._sizes = sorted(needed | {self._in_tiles}, reverse=True)
        self._keep_root()
        await copy_rows(
            self._connection, query("copy_lines"), self._account_id, 0, NO_END, take=self._take
        )
        self._lines.end()
        await self._check_ends()
        await self._check_tiles()
        return self._report(await self._check_checkpoints())

    async def _take(self, rows: Sequence[Row]) -> None:
        self._lines.take(rows)
        leaves = [sha256(b"\x00" + row[1]).digest() for row in rows]  # leaf_hash, without the call
        at = 0
        while self._sizes and self._sizes[-1] <= self._tree.size + len(leaves) - at:
            upto = at + self._sizes[-1] - self._tree.size
            self._tree.extend(leaves[at:upto])
            at = upto
            self._keep_root()
        self._tree.extend(leaves[at:])
        self._progress(self._tree.size, self._head)

    def _keep_root(self) -> None:
        """Keeps the current tree's root, and its tiles' digests, if they are needed."""
        if self._sizes and self._sizes[-1] == self._tree.size:
            size = self._sizes.pop()
            self._roots[size] = self._tree.root()
            if size == self._in_tiles:
                self._tiles = self._tree.digests()

    async def _check_ends(self) -> None:
        last = self._lines.position
        if self._head > last:
            self._findings.add(
                last + 1, f"the events {last + 1} to {self._head} are missing at the log's end"
            )
        elif self._head < last:
            self._findings.add(
                self._head + 1, f"the log ends at {self._head}, but there are events up to {last}"
            )
        stray = await self._connection.fetchval(
            query("find_stray_text"), self._account_id, timeout=FULL_SCAN_TIMEOUT
        )
        if stray is not None:
            self._findings.add(stray, "there is a text, but no event")

    async def _check_tiles(self) -> None:
        if self._in_tiles > self._tree.size:
            self._findings.add(
                self._tree.size + 1,
                f"the stored tree has {self._in_tiles} leaves, the log "
                + counted(self._tree.size, "event"),
            )
            return
        key, counts = (-1, -1), [0] * self._tiles.levels
        while page := await self._connection.fetch(
            query("list_tiles"), self._account_id, *key, _PAGE
        ):
            for row in page:
                key = (row["level"], row["index"])
                if not self._tiles.fits(key, row["hashes"]):
                    await self._report_tile(key, row["hashes"])
                elif key[1] == counts[key[0]]:
                    counts[key[0]] += 1
        for level, count in enumerate(counts):
            if count < self._tiles.keys_of(level) and not self._findings.number:
                first = (count << HEIGHT * (level + 1)) + 1
                self._findings.add(first, f"tile {count} of level {level} of the tree is missing")

    async def _report_tile(self, key: tuple[int, int], hashes: bytes) -> None:
        """Finds the changed leaf of a tile, unless there is a finding before the tile."""
        level, index = key
        first = index << HEIGHT * (level + 1)
        if level:
            upto = first + (1 << HEIGHT * (level + 1))
            self._findings.add_range(
                first, upto, f"from here to {upto} the stored tree is not the log's"
            )
            return
        if self._findings.is_before(first + 1):
            return
        current: list[Row] = []

        async def take(rows: Sequence[Row]) -> None:
            current.extend(rows)

        upto = first + len(hashes) // HASH
        await copy_rows(
            self._connection, query("copy_lines"), self._account_id, first, upto, take=take
        )
        lines = {row[0]: leaf_hash(row[1]) for row in current}
        for position, stored in enumerate(entries(hashes), first + 1):
            if lines.get(position) != stored:
                self._findings.add(position, "the event is not the one that was sealed")
                return

    async def _check_checkpoints(self) -> list[SourcedCheckpoint]:
        stored = await read_stored(
            self._connection, self._account_id, self._verifier, self._findings
        )
        rotations = await read_rotations(
            self._connection, self._account_id, self._verifier, self._findings
        )
        origins = await self._connection.fetch(query("list_log_origins"), self._account_id)
        named = [row["origin"] for row in origins]
        self._outside, stored, rotations = (
            of_log(source, named, self._tree.size, self._findings)
            for source in (self._outside, stored, rotations)
        )
        for source in (self._outside, stored, rotations):
            sourced = sorted(source, key=lambda one: one.checkpoint.size)
            compare(sourced, self._roots, self._tree.size, self._findings)
        compare_outside(self._outside, stored, self._tree.size, self._findings)
        compare_replaced([*self._outside, *stored, *rotations], self._roots, self._findings)
        last = stored[-1].checkpoint.size if stored else 0
        if last > self._in_tiles:
            self._findings.add(
                self._in_tiles + 1,
                f"the stored tree ends before the checkpoint of {counted(last, 'event')}",
            )
        if not self._outside and (stored or self._trusted.required):
            self._findings.add_general(
                f"nothing was compared with the database: {self._trusted.folder} has no "
                "checkpoints. A machine that never sealed this log has none: verify where they "
                "are, or with --checkpoints"
            )
        return stored

    def _report(self, stored: Sequence[SourcedCheckpoint]) -> Verification:
        last = stored[-1].checkpoint if stored else None
        sealed = last.size if last else 0
        first = self._findings.first
        return Verification(
            account_id=self._account_id,
            events=self._tree.size,
            texts=self._lines.texts,
            removed=self._lines.removed,
            sealed=sealed,
            sealed_at=last.time if last else None,
            unsealed=max(0, self._tree.size - sealed),
            checkpoints=len(stored),
            outside=len({one.digest for one in self._outside}),
            outside_upto=max((w.checkpoint.size for w in self._outside), default=0),
            folder=str(self._trusted.folder),
            log=last.origin if last else None,
            position=first.position if first else None,
            problem=first.problem if first else None,
            findings=self._findings.number,
        )
