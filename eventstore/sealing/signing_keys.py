"""The key that signs checkpoints: a file that only its owner can read, outside the database.

Its folder also holds the key's name (`log-name`) and the list of all keys that ever signed
(`vkeys`, one a line, each below a comment with its first use). Of one name the last key is
current: it replaced those before it. So a key with another name is also listed under the names of
the keys that it replaces, whether `replace_key` or changed settings introduced it.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from eventstore.durable_files import exclusive_lock, replace_file
from eventstore.errors import KeyRefused, PathUntrusted
from eventstore.sealing.signed_checkpoint import (
    VerifierKey,
    current_keys,
    is_name,
    parse_verifier_key,
    verifier_key,
)
from eventstore.trusted_paths import (
    OTHERS_ACCESS,
    check_trusted,
    make_trusted_folder,
    read_trusted,
)

_SINCE = "# since "


class KeyLocation(msgspec.Struct, frozen=True):
    """The location of the key and its files.

    Attributes:
        folder: For the key, its name and the list of all keys.
        file: A key elsewhere, which its operator provides and several machines may share.
        name: The log's name, in place of the name in the folder.
    """

    folder: Path
    file: Path | None = None
    name: str | None = None

    @property
    def key(self) -> Path:
        """The file of the private key."""
        return self.file or self.folder / "seal.key"

    @property
    def vkeys(self) -> Path:
        """The file of all public keys."""
        return self.folder / "vkeys"


class Signer(msgspec.Struct, frozen=True):
    """A private key and its name in signatures."""

    name: str
    private: Ed25519PrivateKey

    @property
    def public(self) -> VerifierKey:
        """The public half, for verifiers."""
        return verifier_key(self.name, self.private)


def open_signer(place: KeyLocation, *, make: bool = True) -> Signer:
    """The key; its public half is added to the list of keys.

    Args:
        make: Generate a missing key, unless `file` names one.

    Raises:
        KeyRefused: It cannot be read, generated or listed, or others than its owner may read it.
        PathUntrusted: Another user may have created its folder.
    """
    with locked_keys(place):
        return open_locked_signer(place, make=make)


def open_locked_signer(place: KeyLocation, *, make: bool = False) -> Signer:
    """As `open_signer`; the caller holds `locked_keys`."""
    with _refusing(place):
        if make and place.file is None and not place.key.exists():
            replace_file(place.key, _encode(Ed25519PrivateKey.generate()), 0o600)
        signer = read_signer(place)
        _list(place, signer.public)
    return signer


def read_signer(place: KeyLocation) -> Signer:
    """The key in its file.

    Raises:
        KeyRefused: It is missing, or others than its owner may read it.
        PathUntrusted: Another user may have created its folder.
    """
    try:
        private = _read(place.key)
        return Signer(place.name or _name(place, private), private)
    except OSError as error:
        raise KeyRefused(f"cannot read the sealing key {place.key}: {error.strerror}") from error


def is_ended(place: KeyLocation, key: VerifierKey) -> bool:
    """Whether another key has replaced this one, according to the list of keys.

    Raises:
        NoteInvalid: The list has other contents.
        PathUntrusted: Another user may have created it.
    """
    keys = list_keys(place)
    current = {one.public for one in current_keys(keys)}
    return key.public in {one.public for one in keys} - current


def generate_successor(signer: Signer) -> Signer:
    """A new key of the same name, which is not stored yet."""
    return Signer(signer.name, Ed25519PrivateKey.generate())


def replace_key(place: KeyLocation, signer: Signer) -> None:
    """Replaces the key's file, and adds the new key's public half to the list.

    The caller holds `locked_keys`. A key that a crash left unlisted is listed by `open_signer`
    before it signs.

    Raises:
        KeyRefused: The key cannot be replaced.
    """
    with _refusing(place):
        replace_file(place.key, _encode(signer.private), 0o600)
        _list(place, signer.public)


def list_keys(place: KeyLocation) -> list[VerifierKey]:
    """All keys that ever signed, the oldest first; none before the first start.

    Raises:
        KeyRefused: The list cannot be read.
        NoteInvalid: It has other contents.
        PathUntrusted: Another user may have created it.
    """
    lines = _listed(place).splitlines()
    return [parse_verifier_key(line) for line in lines if line and not line.startswith("#")]


def _read(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(read_trusted(path, OTHERS_ACCESS), None)
    except PathUntrusted as error:
        raise KeyRefused(str(error)) from error
    except (ValueError, TypeError) as error:
        raise KeyRefused(f"{path} holds no Ed25519 key in PEM form") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyRefused(f"{path} holds no Ed25519 key in PEM form")
    return key


def _encode(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _name(place: KeyLocation, key: Ed25519PrivateKey) -> str:
    """The log's name, derived from the first key; it stays when the key is replaced."""
    check_trusted(place.folder)
    path = place.folder / "log-name"
    if not path.exists():
        digest = hashlib.sha256(key.public_key().public_bytes_raw()).hexdigest()
        replace_file(path, f"colloquy-{digest[:8]}\n".encode(), 0o644)
    name = read_trusted(path).decode("utf-8-sig", "replace").strip()
    if not is_name(name):
        raise KeyRefused(f"{path} holds no name: it is {name[:100]!r}")
    return name


def _listed(place: KeyLocation) -> str:
    """The text of the list of keys; empty before the first start."""
    try:
        return read_trusted(place.vkeys).decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise KeyRefused(f"{place.vkeys} is not UTF-8") from error
    except OSError as error:
        raise KeyRefused(f"cannot read {place.vkeys}: {error.strerror}") from error


def _list(place: KeyLocation, key: VerifierKey) -> None:
    """Lists a key that signs here, also under the names of the keys that it replaces."""
    if is_ended(place, key):
        return  # listed again, a replaced key would be current
    known = list_keys(place)
    since = f"{_SINCE}{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    keys = [VerifierKey(name, key.public) for name in _names_replaced(place, key)]
    keys = [one for one in keys if one not in known]
    if key not in _local_keys(place):  # new, or without its comment
        keys.append(key)
    added = "".join(f"{since}\n{one}\n" for one in keys)
    if added:
        replace_file(place.vkeys, f"{_listed(place)}{added}".encode(), 0o644)


def _names_replaced(place: KeyLocation, key: VerifierKey) -> list[str]:
    """The other names of the current keys that signed here before, which this key replaces."""
    local, known = _local_keys(place), list_keys(place)
    before = local[: local.index(key)] if key in local else local
    current = current_keys(known)
    return [
        one.name
        for one in dict.fromkeys(before)
        if one in current
        and one.public != key.public
        and VerifierKey(key.name, one.public) not in known
    ]


def _local_keys(place: KeyLocation) -> list[VerifierKey]:
    """The keys that signed here, in order; keys added by hand have no comment with a time."""
    lines = _listed(place).splitlines()
    vkeys = [line for above, line in pairwise(lines) if above.startswith(_SINCE)]
    return [parse_verifier_key(line) for line in vkeys if line and not line.startswith("#")]


@contextmanager
def locked_keys(place: KeyLocation) -> Iterator[None]:
    """Lets one process at a time sign or replace the key; others wait.

    Raises:
        KeyRefused: The folder cannot be created or locked.
    """
    lock = lock_keys(place)
    try:
        yield
    finally:
        os.close(lock)


def lock_keys(place: KeyLocation) -> int:
    """As `locked_keys`; closing the returned descriptor frees the lock."""
    with _refusing(place):
        make_trusted_folder(place.folder, 0o700)
        return exclusive_lock(place.folder / ".lock")


@contextmanager
def _refusing(place: KeyLocation) -> Iterator[None]:
    """Turns an OSError into a `KeyRefused`."""
    try:
        yield
    except OSError as error:
        raise KeyRefused(
            f"cannot keep the sealing key in {place.folder}: {error.strerror}"
        ) from error
