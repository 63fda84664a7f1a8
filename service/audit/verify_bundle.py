"""Verifies a bundle that `colloquy audit export` made. Usage:

    python3 verify_bundle.py DIR [--vkey FILE] [--checkpoints PLACE] [--json]

DIR is the bundle. FILE holds the public keys of the log, one a line, the oldest first. Get them
from the log's operators, and not with the bundle: a forger of the whole bundle could replace the
keys in it. PLACE is a file with checkpoints that you have kept, or a folder with such files:
without them, nothing shows whether this log is the one that you were shown before. Exit code 0:
verified. 1: a check failed, and a sentence says which and where. 2: wrong usage, or no bundle.

One file, for any Python from 3.9 on, that needs only the standard library. What it checks:

1. The files are those that manifest.json lists, with the lengths and SHA-256 digests listed there.
   Files of file managers (.DS_Store, ._…, Thumbs.db, desktop.ini) are ignored.
2. Each line of events.ndjson is an event of the account and the selection. Positions and the
   revisions of each stream rise.
3. The tree of all events (RFC 9162) has the checkpoint's root. Its leaves are the lines here; the
   hashes in proof.txt stand for the other events.
4. The checkpoint is signed (Ed25519, RFC 8032) by one of the keys, and so are the others in
   checkpoints.ndjson. Each later tree begins with the earlier ones, whatever the checkpoints call
   the log.
5. A checkpoint signed only by a replaced key needs a later one signed by the key's successor. Of
   several keys with one name, each is replaced by the next. A thief of a replaced key can still
   sign with it, and state any time.
6. Each text in content.ndjson is the one that its event commits to: SHA-256 (salt of 16 bytes,
   then text). No text is here that a later erasure or expiry here has removed.
7. Your own checkpoints of this account fit this log's tree. One that cannot be compared is an
   error: have the bundle exported with `--prove PLACE`. A checkpoint signed by one of the keys
   counts under any name of log and key: operators could give a forked log another name.

A verified bundle proves that its events were in the log, in this order, when the checkpoint was
signed. Only a bundle of the whole log proves that no event was left out.
"""

from __future__ import annotations

import argparse
import base64
import errno
import hashlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, NoReturn, Tuple

FORMAT = "colloquy-bundle/1"
MANIFEST = "manifest.json"
FILES = (
    *("README.txt", "checkpoint", "checkpoints.ndjson", "content.ndjson", "events.ndjson"),
    *("proof.txt", "verify_bundle.py", "vkeys"),
)
LEFT_BY_SYSTEMS = re.compile(
    r"\._.+|\.DS_Store|\.localized|\.Spotlight-V100|\.Trashes|\.fseventsd|\.directory"
    r"|(?i:Thumbs\.db|ehthumbs\.db|desktop\.ini)"
)
"""Names of files that macOS, Windows and KDE put into folders."""
MANIFEST_FIELDS = (
    *("account_id", "created_at", "digest", "events", "files", "format", "program"),
    *("root", "selection", "texts", "tree_size"),
)
EVENT_FIELDS = (
    *("account_id", "position", "stream", "revision", "event_id", "type", "conversation_id"),
    *("recorded_at", "content_hash", "data", "metadata"),
)
EVENT_TYPES = {"position": int, "stream": str, "revision": int, "recorded_at": str, "data": dict}
NAMES = {"course": ("course_id",), "user": ("user_id", "learner_id")}
"""The fields of an event's data that name a selection's course or user."""
SPEAKING = ("opening_requested.v1", "message_posted.v1")
"""Types of events whose user is the conversation's user."""
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
SALT = re.compile(r"[0-9a-f]{32}")
"""Fixed: otherwise the beginning of a text could be moved into its salt."""
HASH = re.compile(r"[0-9a-f]{64}")
DIALOGUE = re.compile(r"dialogue-[0-9]+-([0-9]+)")
"""The stream of a learner's conversations with an experience."""
Keys = Dict[Tuple[str, bytes], bytes]
"""Public keys by the name and id in signatures; keys of one name from the oldest on."""
Point = Tuple[int, int, int, int]
"""Extended coordinates x, y, z, t."""


class Wrong(Exception):
    """A check failed."""


class NoBundle(Exception):
    """There is nothing to verify."""


def check(sound: bool, problem: str) -> None:
    if not sound:
        raise Wrong(problem)


def read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise NoBundle(f"{folder} is no bundle, or an unfinished one: it has no {MANIFEST}")
    content = path.read_bytes()
    manifest: dict[str, Any] = parse(content, MANIFEST, dict)
    check(tuple(sorted(manifest)) == MANIFEST_FIELDS, f"{MANIFEST} has other fields than it must")
    check(dump(manifest) == content, f"{MANIFEST} is not written as it must be")
    digest = manifest.pop("digest")
    check(sha256(dump(manifest)) == digest, f"{MANIFEST} was changed: its digest is another")
    check(manifest["format"] == FORMAT, f"this program reads {FORMAT}, not {manifest['format']!r}")
    for name in ("account_id", "tree_size"):  # type() as 1.0 and true are equal to 1
        number = manifest[name]
        check(type(number) is int and number > 0, f"{MANIFEST}: {name} is {number!r}")
    selection = manifest["selection"]
    sound = isinstance(selection, dict) and sorted(selection) == ["id", "kind"]
    sound = sound and selection["kind"] in ("all", "conversation", "course", "user")
    if sound and selection["kind"] == "all":
        sound = selection["id"] is None
    elif sound:
        sound = type(selection["id"]) is int and selection["id"] > 0
    check(sound, f"{MANIFEST}: this is no selection: {selection!r}")
    return manifest


def check_files(folder: Path, files: Any) -> None:
    check(
        isinstance(files, dict) and tuple(sorted(files)) == FILES, f"{MANIFEST} lists other files"
    )
    for path in sorted(folder.iterdir()):
        if is_left_by_system(path):
            continue
        known = path.name in (*FILES, MANIFEST) and path.is_file() and not path.is_symlink()
        check(known, f"{path.name} does not belong to the bundle")
    for name in FILES:
        path = folder / name
        check(path.is_file(), f"{name} is missing")
        digest, length = hashlib.sha256(), 0
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
                length += len(block)
        actual = {"bytes": length, "sha256": digest.hexdigest()}
        check(files[name] == actual, f"{name} was changed: it is not what {MANIFEST} says")


def is_left_by_system(path: Path) -> bool:
    """Whether a file manager put the file there; such files are ignored."""
    return LEFT_BY_SYSTEMS.fullmatch(path.name) is not None and not path.is_symlink()


def parse(text: bytes, where: str, kind: type) -> Any:
    """Parses JSON strictly: UTF-8, no repeated keys."""

    def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        check(len(value) == len(pairs), f"{where}: a key stands there twice")
        return value

    try:
        value = json.loads(text.decode(), object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        raise Wrong(f"{where}: this is not JSON: {error}") from error
    check(isinstance(value, kind), f"{where}: this is no {kind.__name__}")
    return value


def dump(manifest: dict[str, Any]) -> bytes:
    return (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def lines_of(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yields the file and number of each line, for messages, and the line without its line feed."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            check(line.endswith(b"\n"), f"{path.name}: its last line is cut off")
            yield f"{path.name} line {number}", line[:-1]


class Events:
    """Checks each event, alone and against those before it."""

    def __init__(self, manifest: dict[str, Any]) -> None:
        self.account_id = manifest["account_id"]
        self.tree_size = manifest["tree_size"]
        self.kind = manifest["selection"]["kind"]
        self.chosen = manifest["selection"]["id"]
        self.position = 0
        self.recorded_at = ""
        self.revisions: dict[str, int] = {}
        self.conversations: set[int] = set()
        self.unnamed: dict[int, str] = {}
        """By conversation, the line of an event whose conversation no event has selected so far."""

    def read(self, where: str, line: bytes) -> dict[str, Any]:
        event: dict[str, Any] = parse(line, where, dict)
        check(tuple(event) == EVENT_FIELDS, f"{where}: an event has other fields")
        for field, kind in EVENT_TYPES.items():
            check(type(event[field]) is kind, f"{where}: {field} is no {kind.__name__}")
        data, committed = event["data"], event["content_hash"]
        check(event["account_id"] == self.account_id, f"{where}: the event is of another account")
        check(data.get("type") == event["type"], f"{where}: two types in one event")
        conversation = event["conversation_id"]
        numbered = conversation is None or type(conversation) is int
        check(numbered, f"{where}: conversation_id is no number")
        same = conversation == data.get("conversation_id")
        check(same, f"{where}: two conversations in one event")
        chosen = self.kind != "conversation" or conversation == self.chosen
        check(chosen, f"{where}: the event is of another conversation")
        check(TIME.fullmatch(event["recorded_at"]) is not None, f"{where}: this is no time")
        sound = committed is None or HASH.fullmatch(str(committed)) is not None
        check(sound, f"{where}: content_hash is no hash")
        self.check_chosen(where, event)
        self.check_order(where, event)
        return event

    def check_chosen(self, where: str, event: dict[str, Any]) -> None:
        """Checks that an event, or one of its conversation, names the selection."""
        if self.kind not in NAMES:
            return
        data, conversation = event["data"], event["conversation_id"]
        named = [type(data.get(n)) is int and data[n] == self.chosen for n in NAMES[self.kind]]
        within = type(conversation) is int
        if named[0] and within and (self.kind == "course" or event["type"] in SPEAKING):
            self.conversations.add(conversation)
            self.unnamed.pop(conversation, None)
        if not any(named) and not (within and conversation in self.conversations):
            check(within, f"{where}: the event is of another {self.kind}")
            self.unnamed.setdefault(conversation, where)

    def end(self) -> None:
        for where in self.unnamed.values():
            check(False, f"{where}: the event is of another {self.kind}")

    def check_order(self, where: str, event: dict[str, Any]) -> None:
        position, stream, whole = event["position"], event["stream"], self.kind == "all"
        rises = self.position < position <= self.tree_size
        check(rises, f"{where}: position {position} after {self.position}")
        missing = whole and position != self.position + 1
        check(not missing, f"{where}: the events from {self.position + 1} on are missing")
        before = self.revisions.get(stream, 0)
        rises = event["revision"] == before + 1 if whole else event["revision"] > before
        check(rises, f"{where}: revision {event['revision']} of {stream} after {before}")
        falls = event["recorded_at"] < self.recorded_at
        check(not falls, f"{where}: recorded before the event that it follows")
        self.position, self.recorded_at = position, event["recorded_at"]
        self.revisions[stream] = event["revision"]


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree that grows from left to right: leaves from the events, and hashes for the gaps.

    The largest subtrees that fit cover the gap between two leaves, from left to right. So a proof
    has exactly one form.
    """

    def __init__(self, proof: Path) -> None:
        self.size = 0
        self.stack: list[tuple[int, bytes]] = []
        self.proof = lines_of(proof)

    def leaf(self, position: int, line: bytes) -> None:
        self.fill(position - 1)
        self.push(0, hashlib.sha256(b"\x00" + line).digest())

    def fill(self, size: int) -> None:
        """Adds the proof's hashes up to a size."""
        while self.size < size:
            level = (size - self.size).bit_length() - 1
            if self.size:
                level = min(level, (self.size & -self.size).bit_length() - 1)
            self.push(level, unhex(*next(self.proof, ("proof.txt: its end", b""))))

    def push(self, level: int, node: bytes) -> None:
        self.size += 1 << level
        while self.stack and self.stack[-1][0] == level:
            node = node_hash(self.stack.pop()[1], node)
            level += 1
        self.stack.append((level, node))

    def root(self, size: int) -> bytes:
        self.fill(size)
        check(next(self.proof, None) is None, "proof.txt: there is more than is needed")
        return self.peak()

    def peak(self) -> bytes:
        """The root at the tree's size."""
        root = self.stack[-1][1] if self.stack else hashlib.sha256(b"").digest()
        for _, left in reversed(self.stack[:-1]):
            root = node_hash(left, root)
        return root


def unhex(where: str, text: bytes) -> bytes:
    decoded = text.decode("ascii", "replace")
    check(HASH.fullmatch(decoded) is not None, f"{where}: there is no hash")
    return bytes.fromhex(decoded)


def begins_with(old: int, old_root: bytes, new: int, root: bytes, proof: list[bytes]) -> bool:
    """Whether the tree of size `new` begins with that of size `old` (RFC 9162, 2.1.4.2)."""
    elements = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not elements:
        return False
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    of_old = of_new = elements[0]
    for element in elements[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            of_old, of_new = node_hash(element, of_old), node_hash(element, of_new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            of_new = node_hash(of_new, element)
        node, last = node >> 1, last >> 1
    return last == 0 and (of_old, of_new) == (old_root, root)


P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def add_points(a: Point, b: Point) -> Point:
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(number: int, point: Point) -> Point:
    product: Point = (0, 1, 1, 0)
    while number:
        if number & 1:
            product = add_points(product, point)
        point = add_points(point, point)
        number >>= 1
    return product


def decode_point(encoded: bytes) -> Point | None:
    """The point, or None if the bytes are not its canonical encoding."""
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if len(encoded) != 32 or y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * ROOT_OF_MINUS_ONE % P
    if x * x % P != square or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return (x, y, 1, x * y % P)


def encode_point(point: Point) -> bytes:
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return int(y | (x & 1) << 255).to_bytes(32, "little")


BASE = decode_point(bytes([0x58]) + bytes([0x66]) * 31)


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Ed25519 (RFC 8032, 5.1.7) without the cofactor; only canonical encodings are accepted."""
    key, scalar = decode_point(public), int.from_bytes(signature[32:], "little")
    if key is None or BASE is None or len(signature) != 64 or scalar >= L:
        return False
    hashed = hashlib.sha512(signature[:32] + public + message).digest()
    k = int.from_bytes(hashed, "little") % L
    minus_key = (P - key[0], key[1], 1, P - key[3])
    point = add_points(multiply(scalar, BASE), multiply(k, minus_key))
    return encode_point(point) == signature[:32]


def unbase64(text: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except ValueError:
        value = b""
    check(base64.b64encode(value).decode() == text, f"this is not base64: {text[:80]!r}")
    return value


def read_keys(path: Path) -> Keys:
    keys = {}
    for line in path.read_text("utf-8-sig").splitlines():
        if line and not line.startswith("#"):
            name, _, rest = line.partition("+")
            hex_id, _, encoded = rest.partition("+")
            public = unbase64(encoded)
            digest = key_id(name, public[1:])
            sound = len(public) == 33 and public[0] == 1 and hex_id == digest.hex()
            sound = sound and re.fullmatch(r"[^\s+]+", name) is not None
            check(sound, f"{path.name}: this is no key: {line[:80]!r}")
            keys[name, digest] = public[1:]
    check(bool(keys), f"{path.name} holds no key")
    return keys


def key_id(name: str, public: bytes) -> bytes:
    """Four bytes by which a signature names its key (C2SP signed-note)."""
    return hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]


class Note:
    """A checkpoint signed by one of the keys.

    `signers` are the names and ids of these keys. `current`: one of them was not replaced.
    """

    def __init__(self, note: str, keys: Keys, log: int) -> None:
        text, _, signatures = note.partition("\n\n")
        check(signatures.endswith("\n"), "the checkpoint is cut off")
        self.signers = signers_of(text + "\n", signatures[:-1].split("\n"), keys)
        check(bool(self.signers), "none of the keys has signed the checkpoint")
        replaced = replaced_keys(keys)
        self.current = any(keys[signer] not in replaced for signer in self.signers)
        parts = text.split("\n")
        sound = len(parts) == 4 and re.fullmatch("[1-9][0-9]*", parts[1]) is not None
        check(sound and parts[3].startswith("time "), "this is no checkpoint of a log")
        self.origin, self.size, self.root = parts[0], int(parts[1]), unbase64(parts[2])
        self.time = parts[3][5:]
        check(self.origin.endswith(f"/{log}"), f"it is of another log: {self.origin}")


def replaced_keys(keys: Keys) -> set[bytes]:
    """All keys but the last of each name. A key replaced under one name is replaced under all."""
    by_name: dict[str, list[bytes]] = {}
    for (name, _), public in keys.items():
        by_name.setdefault(name, []).append(public)
    return {public for named in by_name.values() for public in named[:-1]}


def signers_of(text: str, lines: list[str], keys: Keys) -> list[tuple[str, bytes]]:
    signers = []
    for line in lines:
        dash, name, encoded = [*line.split(" "), "", ""][:3]
        check(line == f"\u2014 {name} {encoded}" and dash != "", "this is no signature line")
        value = unbase64(encoded)
        public = keys.get((name, value[:4]))
        if public is not None:
            genuine = is_signed(public, text.encode(), value[4:])
            check(genuine, f"the checkpoint's signature is not by the key of {name}")
            signers.append((name, value[:4]))
    return signers


class Texts:
    """Reads content.ndjson in step with the events; both are in order of position."""

    def __init__(self, path: Path) -> None:
        self.lines = lines_of(path)
        self.number = 0
        self.missing: dict[Any, list[int]] = {}
        self.removed = 0
        self.present: dict[Any, int] = {}
        """The first text of each conversation."""
        self.learners: dict[str, set[Any]] = {}
        """Conversations of each learner."""
        self.next = self.read()

    def read(self) -> dict[str, Any] | None:
        where, line = next(self.lines, ("", b""))
        if not where:
            return None
        text: dict[str, Any] = parse(line, where, dict)
        sound = list(text) == ["position", "salt", "content"] and type(text["position"]) is int
        check(sound and isinstance(text["content"], str), f"{where}: this is no text of an event")
        salt = str(text["salt"])
        check(SALT.fullmatch(salt) is not None, f"{where}: this is no salt of 16 bytes: {salt!r}")
        return text

    def of(self, event: dict[str, Any]) -> None:
        """Checks an event's text, or records that it is missing."""
        position, committed = event["position"], event["content_hash"]
        conversation = event["conversation_id"]
        self.follow(event)
        text = self.next
        if text is None or text["position"] != position:
            early = text is not None and text["position"] < position
            check(not early, f"content.ndjson: a text of no event, before position {position}")
            if committed is not None:
                self.missing.setdefault(conversation, []).append(position)
            return
        salted = bytes.fromhex(text["salt"]) + text["content"].encode("utf-8", "surrogatepass")
        check(sha256(salted) == committed, f"position {position}: not the text that was recorded")
        self.number += 1
        self.present.setdefault(conversation, position)
        self.next = self.read()

    def follow(self, event: dict[str, Any]) -> None:
        """Follows conversations and removals: no text from before a removal may be here."""
        conversation, removed = event["conversation_id"], set()
        dialogue = DIALOGUE.fullmatch(event["stream"])
        if dialogue and conversation is not None:
            self.learners.setdefault(str(int(dialogue[1])), set()).add(conversation)
        if event["type"] == "text_expired.v1":
            gone, texts = self.missing.pop(conversation, []), event["data"].get("texts")
            number = counted(len(gone), "text") + (" is" if len(gone) == 1 else " are")
            counts = f"{number} not here, position {event['position']} removed {texts}"
            check(type(texts) is int and len(gone) <= texts, f"position {gone[:1]}: {counts}")
            self.removed += len(gone)
            removed = {conversation}
        elif event["type"] == "learner_erased.v1":
            removed = self.learners.get(str(event["data"].get("user_id")), set())
        for first in sorted(self.present.pop(one) for one in removed & self.present.keys()):
            where = f"{event['type']} at position {event['position']}"
            check(False, f"position {first}: the text is here, but {where} removed it")


class Others:
    """The bundle's other checkpoints, each proved consistent with the one at the cut."""

    def __init__(self, path: Path, cut: Note, keys: Keys, log: int) -> None:
        self.cut = cut
        self.roots = {cut.size: cut.root}
        self.confirmed = cut.size if cut.current else 0
        self.largest = cut.size
        before = 0
        for where, line in lines_of(path):
            note, proof = self.read(where, line, keys, log)
            check(before < note.size, f"{where}: the checkpoint of {note.size} is out of order")
            check(self.fits(note, proof), f"{where}: {self.problem(note)}")
            self.roots[note.size] = note.root
            self.confirmed = max(self.confirmed, note.size if note.current else 0)
            self.largest = max(self.largest, note.size)
            before = note.size
        check(
            self.confirmed >= self.largest,
            f"the checkpoint of {counted(self.largest, 'event')} is by a key that was replaced, "
            "and no checkpoint here by its successor confirms it: have the bundle exported again, "
            "with the same --size",
        )

    def read(self, where: str, line: bytes, keys: Keys, log: int) -> tuple[Note, list[bytes]]:
        entry = parse(line, where, dict)
        sound = list(entry) == ["note", "proof"] and isinstance(entry["proof"], list)
        check(sound, f"{where}: this is no checkpoint with a proof")
        proof = [unhex(where, str(element).encode()) for element in entry["proof"]]
        return Note(str(entry["note"]), keys, log), proof

    def fits(self, note: Note, proof: list[bytes]) -> bool:
        if note.size == self.cut.size:
            return not proof and note.root == self.cut.root
        old, new = sorted((note, self.cut), key=lambda one: one.size)
        return begins_with(old.size, old.root, new.size, new.root, proof)

    def problem(self, note: Note) -> str:
        if note.size > self.cut.size:
            return (
                f"what was sealed then ({note.size}) does not begin with the {self.cut.size} here"
            )
        return f"the log does not begin with what was sealed then: {counted(note.size, 'event')}"


class Kept:
    """The auditor's own checkpoints of this account's log, by size.

    Checkpoints count under any name of the log and key: an operator with the key could give a
    forked log another name.
    """

    def __init__(self, place: Path | None, cut: Note, keys: Keys, log: int) -> None:
        self.cut = cut
        self.roots: dict[int, bytes] = {}
        self.compared: set[int] = set()
        self.names: set[str] = set()
        """Other names of the log."""
        self.others: set[str] = set()
        """Other logs in the auditor's files: of other accounts, or with other keys."""
        for path in [] if place is None else kept_files(place, log):
            for text in notes_in(path):
                origin, named = text.split("\n")[0], under_all_names(keys, text)
                of_account = origin.endswith(f"/{log}") and bool(named)
                if origin == cut.origin or of_account:
                    self.keep(path, text, {**keys, **named}, log)
                else:
                    self.others.add(origin)
        missing = place is not None and not self.roots
        check(not missing, f"{place} holds no checkpoint of {cut.origin}")

    def keep(self, path: Path, text: str, keys: Keys, log: int) -> None:
        try:
            note = Note(text, keys, log)
        except Wrong as error:
            raise Wrong(f"{path}: {error}") from error
        self.names |= {note.origin} - {self.cut.origin}
        known = self.roots.setdefault(note.size, note.root)
        check(known == note.root, f"{path}: two roots of {counted(note.size, 'event')}")

    def compare(self, roots: dict[int, bytes]) -> None:
        """Compares them with roots that the bundle proves, by size."""
        for size in self.roots.keys() & roots.keys():
            same = self.roots[size] == roots[size]
            check(same, f"this is another log: {your_checkpoint(size)} has another root")
            self.compared.add(size)

    def end(self) -> None:
        """Refuses checkpoints that were not compared: perhaps only these reveal a fork."""
        left = sorted(self.roots.keys() - self.compared)
        check(
            not left,
            f"the bundle proves nothing about {counted(len(left), 'checkpoint')} of yours, the "
            f"first of {counted(next(iter(left), 0), 'event')}: have it exported with --prove and "
            "the place that you gave as --checkpoints",
        )


def under_all_names(keys: Keys, note: str) -> Keys:
    """The keys that a note names as signers, under the names in the note."""
    named = {}
    for line in note.partition("\n\n")[2].splitlines():
        name, _, encoded = line[2:].partition(" ")
        for public in set(keys.values()):
            digest = key_id(name, public)
            if encoded.startswith(base64.b64encode(digest).decode()[:5]):
                named[name, digest] = public
    return named


def kept_files(place: Path, log: int) -> list[Path]:
    """The checkpoint files in a place.

    Files that would not be read are refused: their checkpoints could not reveal a fork.
    """
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise NoBundle(f"{place} is no file and no folder")
    files = []
    for folder, folders, names in os.walk(place, onerror=refuse_unread):
        for name in sorted(folders):
            path = Path(folder, name)
            check(not path.is_symlink(), f"{path} is a link, and would not be read: {ASIDE}")
        for name in sorted(names):
            path = Path(folder, name)
            if is_left_by_system(path) or name == ".lock":
                continue
            above = Path(folder).relative_to(place).parts
            ours = above in ((), (str(log),))
            others = len(above) == 1 and ACCOUNT.fullmatch(above[0]) is not None
            named = name == "latest" or (name.endswith(".checkpoints") and name[0] != ".")
            known = named and (ours or others)
            check(known, f"{path} is kept there, and would not be read: {ASIDE}")
            files += [path] if ours else []
    return sorted(files)


ACCOUNT = re.compile(r"[1-9][0-9]*")
ASIDE = "move it away, or verify with it alone"


def refuse_unread(error: OSError) -> NoReturn:
    raise Wrong(f"{error.filename} cannot be read: {error.strerror}") from error


NOTE = re.compile(r"[^\s]+\n[0-9]{1,19}\n[^\s]+\ntime [^\s]+\n\n(?:\u2014 [^\n]+\n)+")


def notes_in(path: Path) -> list[str]:
    """The notes in a file, each followed by an empty line, which may be missing at the end.

    Anything else is refused: a note that is skipped could not reveal a fork.
    """
    content, at, notes = path.read_bytes().decode("utf-8-sig"), 0, []
    while at < len(content):
        note = NOTE.match(content, at)
        if note is None:
            break
        notes.append(note[0])
        at = note.end() + content.startswith("\n", note.end())
    rest = content[at : at + 60]
    check(
        not rest,
        f"{path}: after {counted(len(notes), 'checkpoint')} there is something else: {rest!r}",
    )
    return notes


def verify(folder: Path, own_keys: Path | None, kept: Path | None = None) -> dict[str, Any]:
    """What a bundle proves. Raises `Wrong` if a check fails, `NoBundle` if there is no bundle."""
    manifest = read_manifest(folder)
    check_files(folder, manifest["files"])
    keys = read_keys(own_keys or folder / "vkeys")
    log = manifest["account_id"]
    cut = Note((folder / "checkpoint").read_bytes().decode(), keys, log)
    stated = (manifest["tree_size"], manifest["root"])
    check(
        (cut.size, cut.root.hex()) == stated, f"the checkpoint is not the one that {MANIFEST} says"
    )
    own = Kept(kept, cut, keys, log)
    number, texts = check_events(folder, manifest, cut, own)
    own.compare(Others(folder / "checkpoints.ndjson", cut, keys, log).roots)
    own.end()
    return {
        "log": cut.origin,
        "account_id": log,
        "selection": manifest["selection"],
        "tree_size": cut.size,
        "root": cut.root.hex(),
        "sealed_at": cut.time,
        "signed_by": [f"{name}+{digest.hex()}" for name, digest in cut.signers],
        "events": number,
        "texts": texts.number,
        "texts_removed": texts.removed,
        "texts_not_here": sum(map(len, texts.missing.values())),
        "own_keys": own_keys is not None,
        "own_checkpoints": len(own.roots),
        "own_checkpoints_compared": len(own.compared),
        "own_checkpoints_call_the_log": sorted(own.names),
        "own_checkpoints_of_other_logs": sorted(own.others),
        "verified": True,
    }


def check_events(folder: Path, manifest: dict[str, Any], cut: Note, own: Kept) -> tuple[int, Texts]:
    """Checks all events with their texts, up to the root of the checkpoint."""
    events, texts = Events(manifest), Texts(folder / "content.ndjson")
    tree, number = Tree(folder / "proof.txt"), 0
    for where, line in lines_of(folder / "events.ndjson"):
        event = events.read(where, line)
        texts.of(event)
        tree.leaf(event["position"], line)
        number += 1
        if number in own.roots and number == tree.size:
            own.compare({number: tree.peak()})
    events.end()
    check(texts.next is None, "content.ndjson: a text of no event, after all of them")
    same = tree.root(cut.size) == cut.root
    check(same, "the events are not those of the checkpoint: another root")
    whole = manifest["selection"]["kind"] != "all" or number == cut.size
    check(whole, "the log's last events are missing")
    counts = (manifest["events"], manifest["texts"]) == (number, texts.number)
    check(counts, f"{MANIFEST} says other counts")
    return number, texts


HIDDEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0d\uffa0"
    "\U000e0100-\U000e01ef]"
)
"""Letters, marks and symbols that terminals do not show."""


LONGEST = 500


def escaped(text: object) -> str:
    """Text on one line without control characters, so that a refusal cannot hide itself.

    Runs of spaces are escaped and long texts are cut, so that nothing is pushed off the screen.
    """
    line = "".join(c if is_visible(c) else c.encode("unicode_escape").decode() for c in str(text))
    line = re.sub(" {2,}", lambda found: "\\x20" * len(found[0]), line)
    return line if len(line) <= LONGEST else line[:LONGEST] + "\u2026"


def is_visible(character: str) -> bool:
    return character.isprintable() and not HIDDEN.match(character)


class Parser(argparse.ArgumentParser):
    """Escapes unknown arguments like all other output."""

    def error(self, message: str) -> NoReturn:
        super().error(escaped(message))


def counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def your_checkpoint(size: int) -> str:
    return f"your checkpoint of {counted(size, 'event')}"


def in_words(value: Any) -> str:
    """A value in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        value = [part for part in (value["kind"], value["id"]) if part is not None]
        return " ".join(map(str, value))
    if isinstance(value, list):
        return ", ".join(map(escaped, value)) or "none"
    return escaped(value)


def report(proved: dict[str, Any]) -> str:
    lines = ["".join(f"{name}: {in_words(value)}\n" for name, value in proved.items())]
    if proved["texts_not_here"]:
        missing = counted(proved["texts_not_here"], "text")
        lines.append(f"NOTE: not here: {missing}, and no event up to this checkpoint says why.\n")
        lines.append(
            "Later events record later erasures: get a bundle cut at a later checkpoint.\n"
        )
        lines.append("If that does not say why either, ask the operators.\n")
    if not proved["own_keys"]:
        lines.append("WARNING: the only keys were those in the bundle itself. Get the log's keys\n")
        lines.append("from elsewhere, and give them with --vkey, or this proves little.\n")
    if not proved["own_checkpoints"]:
        lines.append("NOTE: compared with no checkpoint of your own. The log's operators could\n")
        lines.append("show others another log; checkpoints that you keep reveal that: see\n")
        lines.append("--checkpoints.\n")
    if proved["own_checkpoints_call_the_log"]:
        lines.append("NOTE: some of your checkpoints give this log another name. They were\n")
        lines.append("compared.\n")
    if proved["own_checkpoints_of_other_logs"]:
        lines.append(
            "NOTE: your checkpoints of other logs were not compared: of another account,\n"
        )
        lines.append("or signed by none of the keys.\n")
    return "".join([*lines, "verified"])


def main(arguments: list[str]) -> int:
    parser = Parser(description="Verifies a bundle of events.")
    parser.add_argument("folder", metavar="DIR", type=Path)
    parser.add_argument("--vkey", metavar="FILE", type=Path, help="the log's public keys")
    parser.add_argument(
        "--checkpoints", metavar="PLACE", type=Path, help="checkpoints that you have kept"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args(arguments)
    code, result = 0, {}
    try:
        result = verify(options.folder, options.vkey, options.checkpoints)
        text = report(result)
    except (Wrong, UnicodeDecodeError) as error:
        code, result = 1, {"verified": False, "problem": str(error)}
        text = f"NOT VERIFIED: {escaped(error)}\nNOT VERIFIED"
    except (NoBundle, OSError) as error:
        code, result = 2, {"verified": False, "problem": str(error)}
        text = f"cannot verify: {escaped(error)}"
    if options.json:
        text = json.dumps(result).replace("\x7f", "\\u007f")
    return code if write(text + "\n") else 2


def write(text: str) -> bool:
    """Writes a text; returns False on an error, unless the reader has closed the pipe."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno != errno.EPIPE:
            sys.stderr.write(f"cannot verify: standard output: {error.strerror}\n")
            return False
    return True


if __name__ == "__main__":
    nowhere = Path(os.devnull).open("w")  # noqa: SIM115 - for streams that are closed at the start
    sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # not replaced
    sys.exit(main(sys.argv[1:]))
