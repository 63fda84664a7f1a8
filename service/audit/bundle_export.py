"""Exports a part of a log, or all of it, as a bundle that proves itself."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import msgspec

from eventstore.connections import Connection, connect
from eventstore.errors import LogDamaged, NoteInvalid
from eventstore.readable_numbers import counted
from eventstore.sealing.copy_reader import Row, copy_rows
from eventstore.sealing.merkle import leaf_hash
from eventstore.sealing.range_proof import CompactRange, gap_nodes, read_nodes
from eventstore.sealing.signed_checkpoint import VerifierKey, check_signatures, read_note
from eventstore.sealing.signing_keys import KeyLocation, list_keys
from eventstore.sealing.tiles import StoredTiles, TiledTree
from eventstore.sealing.verify_log import Progress
from service.audit.bundle_checkpoints import check_origin, other_checkpoints
from service.audit.bundle_folder import Bundle, BundleRefused, Cut, Reached, Selection, State
from service.errors import NotFound
from sql.loader import query

_KEEP_EVERY = 20_000
"""Events after which an interrupted export need not begin anew."""

_README = """\
A part of a log of conversations, or all of it, with what proves it.

    python3 verify_bundle.py . --vkey FILE

FILE holds the log's public keys, which whoever runs the log has given to you apart from this
bundle. The program needs Python 3.9 or newer and nothing else; take it, too, from elsewhere if
you do not trust where the bundle comes from. It says in its first lines what it checks.

events.ndjson       the events, a line each: exactly the bytes that were sealed
content.ndjson      their texts with the salts that they were sealed with, erased ones left out
proof.txt           hashes that stand for the events that are not here
checkpoint          what was signed: how many events there were, and the root of their tree
checkpoints.ndjson  other checkpoints, and proofs that the log has only grown between
vkeys               the public keys, as the log's operator lists them
manifest.json       what this is, and the SHA-256 of every other file

Events after the checkpoint are not here.
"""


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle holds.

    Attributes:
        unsealed: Events that were in the log after the checkpoint.
        removed_later: Whether one of these says that texts were deleted.
    """

    folder: str
    events: int
    texts: int
    tree_size: int
    unsealed: int
    resumed: bool
    removed_later: bool = False


class _Text(msgspec.Struct, frozen=True):
    position: int
    salt: str
    content: str


async def export_bundle(
    url: str,
    place: KeyLocation,
    account_id: int,
    selection: Selection,
    folder: Path,
    *,
    size: int | None,
    prove: Collection[int] = (),
    progress: Progress,
) -> Exported:
    """Makes a bundle, or resumes one that was interrupted.

    Args:
        url: The owner's connection URL.
        place: Where all keys that ever signed are listed.
        size: Of the checkpoint at which to cut; None for the last.
        prove: Sizes of further checkpoints that the bundle should prove to be of one log with its
            own, such as those that an auditor has kept.

    Raises:
        BundleRefused: The folder holds something else, or the list lacks a key that signed, or
            the checkpoint is by a key that was replaced and nothing by its successor covers it.
        NotFound: There is no such checkpoint, or the selection is of nothing.
        LogDamaged: The events are not what was sealed.
    """
    reader = await connect(url, "colloquy_auditor")
    looker = await connect(url, "colloquy_auditor")
    try:
        with Bundle(folder).opened() as bundle:
            state = await _state(looker, bundle, account_id, selection, size)
            keys = list_keys(place)
            _check_signatures(place, keys, [state.cut.note])
            await check_origin(looker, state.cut)
            others = await other_checkpoints(looker, state.cut, keys, prove)
            _check_signatures(place, keys, others)
            export = _Export(bundle, state, StoredTiles(looker, account_id), progress)
            await export.run(reader)
            await export.finish(others, keys)
            cut = state.cut.account_id, state.cut.tree_size
            return export.done(await looker.fetchval(query("has_removed_since"), *cut))
    finally:
        await reader.close()
        await looker.close()


async def _state(
    connection: Connection,
    bundle: Bundle,
    account_id: int,
    selection: Selection,
    size: int | None,
) -> State:
    """The state in which the export begins or resumes."""
    kept = bundle.state()
    if kept is None:
        return await _begin(connection, account_id, selection, size)
    cut = kept.cut
    if (cut.account_id, cut.selection) != (account_id, selection) or size not in (
        None,
        cut.tree_size,
    ):
        raise BundleRefused(f"{bundle.folder} holds an unfinished bundle of something else")
    if await connection.fetchval(query("has_removed_since"), account_id, cut.head):
        # What it holds may have been erased meanwhile.
        return await _begin(connection, account_id, selection, cut.tree_size)
    return kept


async def _begin(
    connection: Connection, account_id: int, selection: Selection, size: int | None
) -> State:
    head = await connection.fetchval(query("get_log_head"), account_id)
    if head is None:
        raise NotFound(f"there is no account {account_id}: see `colloquy account list`")
    row = await connection.fetchrow(query("get_tree_head"), account_id, size)
    if row is None:
        which = "" if size is None else f" of {counted(size, 'event')}"
        raise NotFound(f"account {account_id} has no checkpoint{which}: see `colloquy seal status`")
    cut = Cut(
        account_id=account_id,
        selection=selection,
        tree_size=row["size"],
        note=row["note"],
        head=head,
    )
    return State(cut, Reached())


def _check_signatures(
    place: KeyLocation, keys: Sequence[VerifierKey], notes: Sequence[str]
) -> None:
    """Checks all signatures of a bundle's notes, as its verifier will."""
    for note in notes:
        try:
            check_signatures(note, keys)
        except NoteInvalid as error:
            raise BundleRefused(
                f"a checkpoint does not fit the keys in {place.vkeys}: {error}"
            ) from error


def _rows_of(chosen: Selection) -> str:
    """The statement that reads a selection's events and texts."""
    match chosen.kind:
        case "all":
            return query("copy_lines")
        case "conversation":
            return query("copy_conversation")
        case "course":
            return query("copy_course")
        case "user":
            return query("copy_learner")


class _Export:
    def __init__(
        self, bundle: Bundle, state: State, tiles: StoredTiles, progress: Progress
    ) -> None:
        self._bundle = bundle
        self._cut = state.cut
        self._from = self._kept = state.reached
        self._tiles = tiles
        self._progress = progress
        self._tree = CompactRange(state.reached.covered, list(state.reached.stack))
        self._position = state.reached.position
        self._events, self._texts = state.reached.events, state.reached.texts
        self._encoder = msgspec.json.Encoder()
        bundle.resume(state.reached)
        bundle.keep(state)

    async def run(self, connection: Connection) -> None:
        """Writes the events, their texts, and the proof hashes of the events between them."""
        chosen = self._cut.selection
        await copy_rows(
            connection,
            _rows_of(chosen),
            *(self._cut.account_id, self._position, self._cut.tree_size),
            *(() if chosen.id is None else (chosen.id,)),
            take=self._take,
        )
        await self._cover([], self._cut.tree_size)
        if self._tree.root() != read_note(self._cut.note).root:
            raise LogDamaged("the events are not what was sealed: run `colloquy audit verify`")
        if not self._events:
            raise NotFound(f"nothing up to {self._cut.tree_size} is of {chosen.kind} {chosen.id}")

    async def finish(self, others: Sequence[str], keys: Sequence[VerifierKey]) -> None:
        """Writes the small files, the manifest last."""
        bundle, cut = self._bundle, self._cut
        bundle.write("checkpoint", cut.note.encode())
        bundle.write("vkeys", "".join(f"{key}\n" for key in keys).encode())
        bundle.write("README.txt", _README.encode())
        program = files("service.audit") / "verify_bundle.py"
        bundle.write("verify_bundle.py", program.read_bytes())
        lines = [await self._proved(note) for note in others]
        bundle.write("checkpoints.ndjson", b"".join(lines))
        bundle.finish(
            {
                "format": "colloquy-bundle/1",
                "account_id": cut.account_id,
                "selection": {"kind": cut.selection.kind, "id": cut.selection.id},
                "tree_size": cut.tree_size,
                "root": self._tree.root().hex(),
                "events": self._events,
                "texts": self._texts,
                "program": f"colloquy {version('colloquy')}",
                "created_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            }
        )

    def done(self, removed_later: bool) -> Exported:
        """The result."""
        return Exported(
            folder=str(self._bundle.folder),
            events=self._events,
            texts=self._texts,
            tree_size=self._cut.tree_size,
            unsealed=self._cut.head - self._cut.tree_size,
            resumed=self._from.position > 0,
            removed_later=removed_later,
        )

    async def _take(self, rows: Sequence[Row]) -> None:
        await self._cover(rows, 0)
        lines = [row[1] + b"\n" for row in rows]
        written = [self._text(row) for row in rows if row[2] is not None]
        self._bundle.add(b"".join(lines), b"".join(written), b"")
        self._events += len(rows)
        self._texts += len(written)
        self._position = rows[-1][0]
        self._progress(self._position, self._cut.tree_size)
        if self._events - self._kept.events >= _KEEP_EVERY:
            self._keep()

    async def _cover(self, rows: Sequence[Row], upto: int) -> None:
        """Adds leaves to the tree, and to the proof the hashes between them."""
        if rows and rows[-1][0] - self._tree.size == len(rows):  # there is nothing between
            self._tree.extend([leaf_hash(row[1]) for row in rows])
            return
        gaps, size = [], self._tree.size
        for row in rows:
            gaps.append(gap_nodes(size, row[0] - 1) if size < row[0] - 1 else [])
            size = row[0]
        gaps.append(gap_nodes(size, upto))
        nodes = [node for gap in gaps for node in gap]
        hashes = await read_nodes(self._tiles, nodes) if nodes else {}
        for row, gap in zip(rows, gaps, strict=False):
            for node in gap:
                self._tree.push(node[0], hashes[node])
            self._tree.push(0, leaf_hash(row[1]))
        for node in gaps[-1]:
            self._tree.push(node[0], hashes[node])
        proof = [hashes[node].hex().encode() + b"\n" for node in nodes]
        self._bundle.add(b"", b"", b"".join(proof))

    def _text(self, row: Row) -> bytes:
        position, _, salt, text, _ = row
        assert salt is not None
        assert text is not None
        return self._encoder.encode(_Text(position, salt.hex(), text.decode())) + b"\n"

    def _keep(self) -> None:
        self._kept = Reached(
            position=self._position,
            events=self._events,
            texts=self._texts,
            lengths=self._bundle.lengths(),
            covered=self._tree.size,
            stack=tuple(self._tree.stack),
        )
        self._bundle.keep(State(self._cut, self._kept))

    async def _proved(self, note: str) -> bytes:
        """Another checkpoint with its consistency proof to the cut."""
        sizes = sorted((read_note(note).size, self._cut.tree_size))
        proof = (
            await TiledTree(self._tiles).prove_consistency(*sizes) if len(set(sizes)) > 1 else []
        )
        entry = {"note": note, "proof": [element.hex() for element in proof]}
        return self._encoder.encode(entry) + b"\n"
