"""What a terminal would obey, or would not show, is written out."""

import json
import unicodedata

import msgspec
import pytest

from service.escaping import escaped, escaped_json, is_blank

EVERY = [chr(code) for code in range(0x110000)]
UNSEEN = [c for c in EVERY if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
NAMED = "\x00\x07\x08\t\n\r\x1b\x7f\x80\x85\x9b\x9f\xad\u061c\u200b\u200e\u200f\u2028\u2029\ufeff"
BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
PLAIN = "Zoë said: “naïve” — 東京\u3000はい, ❤️ 👩🏽 नमस्ते\u00a0!"


def test_nothing_unseen_comes_through() -> None:
    assert set(NAMED + BIDI) <= set(UNSEEN)
    shown = escaped("".join(UNSEEN))
    assert shown.isascii()
    assert shown.isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nverified", "a\\nverified"),
        ("\u202eevil", "\\u202eevil"),
        ("\x9b31m\x7f", "\\x9b31m\\x7f"),
        ("\ud83d", "\\ud83d"),
        ("\U000e0041", "\\U000e0041"),
        ("\U000e0100\ufe00", "\\U000e0100\\ufe00"),
        ("\u3164\u115f\u034f\u2800", "\\u3164\\u115f\\u034f\\u2800"),
    ],
)
def test_a_character_is_shown_as_python_writes_it(text: str, shown: str) -> None:
    assert escaped(text) == shown
    assert escaped(shown) == shown, "what is escaped already stays as it is"


def test_what_people_write_stays_as_it_is() -> None:
    assert escaped(PLAIN) == PLAIN
    line = msgspec.json.encode(PLAIN)
    assert escaped_json(line) == line


def test_json_means_the_same_and_shows_all() -> None:
    """The encoder leaves some raw: DEL, C1, bidirectional marks."""
    text = "".join(c for c in EVERY if unicodedata.category(c) != "Cs")
    value = {text: [text, "\\", '"']}
    line = escaped_json(msgspec.json.encode(value))
    assert msgspec.json.decode(line) == json.loads(line) == value
    assert not set(line.decode()) & set(UNSEEN)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "x",
            "\u200bx",
            "。",
            "!",
            "1",
            "\u0301",
            "👍",
            "👍\ufe0f",
            "🏴\U000e0067\U000e007f",
            "￼",
            "\ue000",
        ),
        *(
            "\U0001fae9",
            "\U0002fa20",
            "ㄱ",
            "ᄀ\u1160",
            "⠁",
            "᠀",
            "\U0010ffff",
            "\ufffd",
            "ⵣ",
            "\u0600",
            "\u06dd",
        ),
    ],
)
def test_what_can_be_seen_is_not_blank(text: str) -> None:
    """Emoji that Python does not know yet, and letters of one's own, included."""
    assert not is_blank(text)


def test_blank_is_what_unicode_says_is_ignored() -> None:
    """Each character that it calls default ignorable, and white space."""
    ignored = (
        *("\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u3164\ufeff\uffa0"),
        *map(chr, range(0x180B, 0x1810)),
        *map(chr, range(0x200B, 0x2010)),
        *map(chr, range(0x202A, 0x202F)),
        *map(chr, range(0x2060, 0x2070)),
        *map(chr, range(0xFE00, 0xFE10)),
        *map(chr, range(0xFFF0, 0xFFF9)),
        *map(chr, range(0x1BCA0, 0x1BCA4)),
        *map(chr, range(0x1D173, 0x1D17B)),
        *map(chr, range(0xE0000, 0xE1000)),
    )
    assert [hex(ord(character)) for character in ignored if not is_blank(character)] == []
    controls = [chr(n) for n in range(0x110000) if unicodedata.category(chr(n)) == "Cc"]
    assert is_blank("".join(controls))
    spaces = [chr(n) for n in range(0x110000) if chr(n).isspace()]
    assert is_blank("".join(spaces) + "\u2800")
