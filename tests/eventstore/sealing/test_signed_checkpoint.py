"""Checkpoints are signed notes, byte for byte, and need a known key's signature."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from eventstore.errors import NoteInvalid
from eventstore.sealing.signed_checkpoint import (
    Checkpoint,
    VerifierKey,
    check_signatures,
    parse_verifier_key,
    read_note,
    sign,
    verifier_key,
    verify,
)

# The example of the package golang.org/x/mod/sumdb/note.
PUBLISHED_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PUBLISHED = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6"
    "KE6RyyBwJnAM=\n"
)

NAME = "colloquy-0a1b2c3d"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
CHECKPOINT = Checkpoint(
    f"{NAME}/1", 12_345, bytes(range(32)), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
)
NOTE = """\
colloquy-0a1b2c3d/1
12345
AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
time 2026-01-02T03:04:05Z

— colloquy-0a1b2c3d JuuXfCRBS3vJRT7Ws8oeDCtrXKSixpiYHXMPW2/Bm2cKTfRYMf\
iWDOxKBasClly6Svo0J84lmKH0VKJsF/KbHYk2wA8=
"""
VKEY = "colloquy-0a1b2c3d+26eb977c+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"


def test_a_published_note_passes_with_its_published_key() -> None:
    check_signatures(PUBLISHED, [parse_verifier_key(PUBLISHED_KEY)])
    with pytest.raises(NoteInvalid):
        check_signatures(PUBLISHED.replace("answer", "Answer"), [parse_verifier_key(PUBLISHED_KEY)])


def test_the_format_of_a_checkpoint_never_changes() -> None:
    assert sign(CHECKPOINT, NAME, KEY) == NOTE
    assert str(verifier_key(NAME, KEY)) == VKEY


def test_a_note_is_read_as_it_was_signed() -> None:
    assert verify(NOTE, [parse_verifier_key(VKEY)]) == CHECKPOINT
    assert read_note(NOTE) == CHECKPOINT


def test_a_key_under_another_name_is_unknown() -> None:
    public = verifier_key(NAME, KEY).public
    for key in (VerifierKey("another", public), verifier_key(NAME, OTHER)):
        with pytest.raises(NoteInvalid, match="none of the keys"):
            verify(NOTE, [key])


def test_signatures_of_other_keys_are_ignored() -> None:
    by_other = sign(CHECKPOINT, "witness", OTHER).splitlines()[-1]
    assert verify(f"{NOTE}{by_other}\n", [parse_verifier_key(VKEY)]) == CHECKPOINT


def test_a_wrong_signature_of_a_known_key_is_refused() -> None:
    another = sign(CHECKPOINT, NAME, KEY).replace("12345", "54321")
    with pytest.raises(NoteInvalid, match="not by that key"):
        verify(another, [parse_verifier_key(VKEY)])


def test_no_byte_of_a_note_can_be_changed() -> None:
    raw = NOTE.encode()
    for at in range(len(raw)):
        for bit in range(8):
            wrong = raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :]
            with pytest.raises((NoteInvalid, UnicodeDecodeError)):
                verify(wrong.decode(), [parse_verifier_key(VKEY)])
        with pytest.raises((NoteInvalid, UnicodeDecodeError)):
            verify((raw[:at] + raw[at + 1 :]).decode(), [parse_verifier_key(VKEY)])


@settings(deadline=None)
@given(st.text())
def test_a_text_that_is_not_a_note_is_refused(text: str) -> None:
    with pytest.raises(NoteInvalid):
        read_note(text)
    with pytest.raises(NoteInvalid):
        read_note(f"{text}\n\n{text}\n")


@pytest.mark.parametrize(
    "line", ["", "a", "a+b", "a+b+c", VKEY[:-1], VKEY + "=", VKEY.replace("+", "-"), f"{VKEY}\n"]
)
def test_a_text_that_is_not_a_key_is_refused(line: str) -> None:
    with pytest.raises(NoteInvalid):
        parse_verifier_key(line)
