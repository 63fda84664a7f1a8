"""Writes a bundle's files: the events of a selection, their texts and the proof."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files

import msgspec

from eventstore.connections import Connection
from eventstore.errors import LogDamaged
from eventstore.sealing.copy_reader import Row, copy_rows
from eventstore.sealing.merkle import leaf_hash
from eventstore.sealing.range_proof import CompactRange, gap_nodes
from eventstore.sealing.signed_checkpoint import VerifierKey, read_note
from eventstore.sealing.tiles import StoredTiles, TiledTree, read_nodes
from eventstore.sealing.verify_log import Progress
from service.audit.bundle_folder import Bundle, Reached, Selection, State
from service.errors import NotFound
from sql.loader import query

SAVE_EVERY = 20_000
"""Events between two saved states of an export."""

_README = """\
A part of a log of conversations, or all of it, with its proof.

    python3 verify_bundle.py . --vkey FILE

FILE holds the log's public keys. Get them from the log's operators apart from this bundle. The
program needs only Python 3.9 or newer. If you do not trust the source of the bundle, get the
program from elsewhere, too. Its first lines say what it checks.

events.ndjson       the events, one a line: exactly the bytes that were sealed
content.ndjson      their texts with the salts of their hashes, without erased texts
proof.txt           hashes in place of the events that are not here
checkpoint          the signed statement: the number of events, and the root of their tree
checkpoints.ndjson  other checkpoints, with proofs that the log has only grown between them
vkeys               the public keys, as the log's operators list them
manifest.json       what this is, and the SHA-256 of every other file

Events after the checkpoint are not here.
"""


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a finished bundle.

    Attributes:
        tree_size: Number of events that the bundle's checkpoint covers.
        unsealed: Number of the log's events after the checkpoint.
        resumed: Whether the export resumed an interrupted one.
        removed_later: Whether an event after the checkpoint records a deletion of texts.
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


class BundleWriter:
    """Writes a bundle from a state on.

    Args:
        bundle: An opened bundle.
        tiles: The stored hashes of the log's tree.
        progress: Called with the position reached and the bundle's last position.
        save_every: Events between two saved states.
    """

    def __init__(
        self, bundle: Bundle, state: State, tiles: StoredTiles, progress: Progress, save_every: int
    ) -> None:
        self._bundle = bundle
        self._cut = state.cut
        self._resumed = state.reached.position > 0
        self._saved_events = state.reached.events
        self._save_every = save_every
        self._tiles = tiles
        self._progress = progress
        self._tree = CompactRange(state.reached.covered, list(state.reached.stack))
        self._position = state.reached.position
        self._events, self._texts = state.reached.events, state.reached.texts
        self._encoder = msgspec.json.Encoder()
        bundle.resume(state.reached)
        bundle.save(state)

    async def run(self, connection: Connection) -> None:
        """Writes the events, their texts, and the proof hashes of the events between them.

        Args:
            connection: Of the auditor's role; it is used for one long statement.

        Raises:
            LogDamaged: The events are not those that were sealed.
            NotFound: The selection has no events.
        """
        selection = self._cut.selection
        await copy_rows(
            connection,
            _statement_of(selection),
            *(self._cut.account_id, self._position, self._cut.tree_size),
            *(() if selection.id is None else (selection.id,)),
            take=self._add,
        )
        await self._cover([], self._cut.tree_size)
        if self._tree.root() != read_note(self._cut.note).root:
            raise LogDamaged("the events are not what was sealed: run `colloquy audit verify`")
        if not self._events:
            raise NotFound(
                f"nothing up to {self._cut.tree_size} is of {selection.kind} {selection.id}"
            )

    async def finish(self, others: Sequence[str], keys: Sequence[VerifierKey]) -> None:
        """Writes the small files, the manifest last."""
        bundle, cut = self._bundle, self._cut
        bundle.write("checkpoint", cut.note.encode())
        bundle.write("vkeys", "".join(f"{key}\n" for key in keys).encode())
        bundle.write("README.txt", _README.encode())
        program = files("service.audit") / "verify_bundle.py"
        bundle.write("verify_bundle.py", program.read_bytes())
        lines = [await self._with_proof(note) for note in others]
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

    def result(self, *, removed_later: bool) -> Exported:
        """What the bundle holds."""
        return Exported(
            folder=str(self._bundle.folder),
            events=self._events,
            texts=self._texts,
            tree_size=self._cut.tree_size,
            unsealed=self._cut.head - self._cut.tree_size,
            resumed=self._resumed,
            removed_later=removed_later,
        )

    async def _add(self, rows: Sequence[Row]) -> None:
        await self._cover(rows, 0)
        lines = [row[1] + b"\n" for row in rows]
        written = [self._text(row) for row in rows if row[2] is not None]
        self._bundle.add(b"".join(lines), b"".join(written), b"")
        self._events += len(rows)
        self._texts += len(written)
        self._position = rows[-1][0]
        self._progress(self._position, self._cut.tree_size)
        if self._events - self._saved_events >= self._save_every:
            self._save()

    async def _cover(self, rows: Sequence[Row], upto: int) -> None:
        """Adds leaves to the tree, and to the proof the hashes between them."""
        if rows and rows[-1][0] - self._tree.size == len(rows):  # there are no gaps
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

    def _save(self) -> None:
        reached = Reached(
            position=self._position,
            events=self._events,
            texts=self._texts,
            lengths=self._bundle.lengths(),
            covered=self._tree.size,
            stack=tuple(self._tree.stack),
        )
        self._bundle.save(State(self._cut, reached))
        self._saved_events = self._events

    async def _with_proof(self, note: str) -> bytes:
        """Another checkpoint with its consistency proof to the cut."""
        sizes = sorted((read_note(note).size, self._cut.tree_size))
        proof = (
            await TiledTree(self._tiles).prove_consistency(*sizes) if len(set(sizes)) > 1 else []
        )
        entry = {"note": note, "proof": [element.hex() for element in proof]}
        return self._encoder.encode(entry) + b"\n"


def _statement_of(selection: Selection) -> str:
    """The statement that reads a selection's events and texts."""
    match selection.kind:
        case "all":
            return query("copy_lines")
        case "conversation":
            return query("copy_conversation")
        case "course":
            return query("copy_course")
        case "user":
            return query("copy_learner")
