"""Checkpoints as signed notes (C2SP signed-note and tlog-checkpoint), by Ed25519."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from eventstore.errors import NoteInvalid
from eventstore.sealing.merkle import HASH

_ED25519 = b"\x01"
_ID = 4
_SIGNATURE = 64
_NAME = re.compile(r"[^\s+]+")
"""Names in a signed note have neither white space nor a plus sign (C2SP signed-note)."""

_TIME = "%Y-%m-%dT%H:%M:%SZ"


class Checkpoint(msgspec.Struct, frozen=True):
    """A tree's root at a size.

    `origin` names the tree permanently; `time` is in UTC and has whole seconds.
    """

    origin: str
    size: int
    root: bytes
    time: datetime


class VerifierKey(msgspec.Struct, frozen=True):
    """The public half of a signing key: a name, and the 32 bytes of an Ed25519 public key."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes by which a signature identifies its key."""
        named = self.name.encode() + b"\n" + _ED25519 + self.public
        return hashlib.sha256(named).digest()[:_ID]

    def __str__(self) -> str:
        """The key as one line, for auditors."""
        return f"{self.name}+{self.id.hex()}+{_base64(_ED25519 + self.public)}"


def parse_verifier_key(line: str) -> VerifierKey:
    """The key in a line that `str` has made.

    Raises:
        NoteInvalid: The line holds no Ed25519 key.
    """
    name, _, rest = line.partition("+")
    _, _, encoded = rest.partition("+")
    key = VerifierKey(name, _unbase64(encoded)[1:])
    if len(key.public) != HASH or str(key) != line or not is_name(name):
        raise NoteInvalid(f"this is no key for checkpoints: {line[:100]!r}")
    return key


def is_name(text: str) -> bool:
    """Whether a key or log may have this name; others would make notes ambiguous."""
    return _NAME.fullmatch(text) is not None


def verifier_key(name: str, private: Ed25519PrivateKey) -> VerifierKey:
    """The public half of a key that signs under a name."""
    return VerifierKey(name, private.public_key().public_bytes_raw())


def current_keys(keys: Iterable[VerifierKey]) -> set[VerifierKey]:
    """The keys that were not replaced. A key replaced under one name is replaced under all.

    Args:
        keys: Of one name the oldest first, each replaced by the next. Repeats are ignored.
    """
    by_name: dict[str, list[VerifierKey]] = {}
    for key in dict.fromkeys(keys):
        by_name.setdefault(key.name, []).append(key)
    replaced = {key.public for named in by_name.values() for key in named[:-1]}
    return {key for named in by_name.values() for key in named if key.public not in replaced}


def is_replaced(key: VerifierKey, record: str) -> bool:
    """Whether a record of a key's replacement is about this key.

    Args:
        key: Under any name.
        record: Of `cosign`; the replaced key's signature is the first.
    """
    name, key_id = signatures(record)[0]
    return VerifierKey(name, key.public).id == key_id


def signatures(note: str) -> list[tuple[str, bytes]]:
    """Names and ids of a note's signatures in order, unverified.

    Raises:
        NoteInvalid: The text is not a note.
    """
    return [_signature(line)[:2] for line in _halves(note)[1]]


def sign(checkpoint: Checkpoint, name: str, private: Ed25519PrivateKey) -> str:
    """The checkpoint as a note with one signature, including the final line feed."""
    return cosign(f"{_text(checkpoint)}\n", name, private)


def cosign(note: str, name: str, private: Ed25519PrivateKey) -> str:
    """The note with one more signature."""
    signature = private.sign(_halves(f"{note}\n")[0].encode())
    return f"{note}— {name} {_base64(verifier_key(name, private).id + signature)}\n"


def read_note(note: str) -> Checkpoint:
    """The checkpoint in a note, with signatures unverified.

    Raises:
        NoteInvalid: The note holds no checkpoint in the form of `sign`.
    """
    text, signatures = _halves(note)
    try:
        origin, size, root, time = text[:-1].split("\n")
        sealed_at = datetime.strptime(time, f"time {_TIME}").replace(tzinfo=UTC)
        checkpoint = Checkpoint(origin, int(size), _unbase64(root), sealed_at)
    except ValueError as error:
        raise NoteInvalid(f"this is no checkpoint: {text[:200]!r}") from error
    if _text(checkpoint) != text or len(checkpoint.root) != HASH or not signatures:
        raise NoteInvalid(f"this is no checkpoint: {text[:200]!r}")
    return checkpoint


def verify(note: str, keys: Iterable[VerifierKey]) -> Checkpoint:
    """The checkpoint in a note that one of the keys has signed.

    Raises:
        NoteInvalid: It holds no checkpoint, or `check_signatures` refuses it.
    """
    check_signatures(note, keys)
    return read_note(note)


def check_signatures(note: str, keys: Iterable[VerifierKey]) -> list[VerifierKey]:
    """The keys that have signed the note, at least one; its text is not checked.

    Signatures of other keys are ignored.

    Raises:
        NoteInvalid: None of the keys has signed it, or a signature of one of them is wrong.
    """
    text, lines = _halves(note)
    known = {(key.name, key.id): key for key in keys}
    signers = []
    for name, key_id, signature in map(_signature, lines):
        if key := known.get((name, key_id)):
            signers.append(key)
            try:
                Ed25519PublicKey.from_public_bytes(key.public).verify(signature, text.encode())
            except InvalidSignature as error:
                raise NoteInvalid(f"the signature of {name} is not by that key") from error
    if not signers:
        raise NoteInvalid("none of the keys has signed this checkpoint")
    return signers


def _text(checkpoint: Checkpoint) -> str:
    return (
        f"{checkpoint.origin}\n{checkpoint.size}\n{_base64(checkpoint.root)}\n"
        f"time {checkpoint.time:{_TIME}}\n"
    )


def _halves(note: str) -> tuple[str, list[str]]:
    text, separator, signatures = note.partition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise NoteInvalid("the note has no text and signatures, with an empty line between")
    return text + "\n", signatures[:-1].split("\n")


def _signature(line: str) -> tuple[str, bytes, bytes]:
    dash, name, encoded = [*line.split(" "), "", ""][:3]
    value = _unbase64(encoded)
    if line != f"— {name} {encoded}" or dash != "—" or len(value) < _ID + _SIGNATURE:
        raise NoteInvalid(f"this is no signature: {line[:200]!r}")
    return name, value[:_ID], value[_ID:]


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _unbase64(text: str) -> bytes:
    """The bytes in base64; refuses texts that are not in canonical form."""
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteInvalid(f"this is not base64: {text[:100]!r}") from error
    if _base64(value) != text:
        raise NoteInvalid(f"this is not base64: {text[:100]!r}")
    return value
