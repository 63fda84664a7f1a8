"""Text from elsewhere, made fit for a terminal: nothing in it is obeyed, and nothing hides.

A name, a path or an error of somebody else may hold control sequences that move the cursor and
overwrite lines, marks that turn the direction of writing, or line ends after which words look like
ours. Each such character is shown as Python would write it in a string: `\\x1b`, `\\u202e`, `\\n`.
"""

import json
import re
import traceback
import unicodedata
from collections.abc import Iterator
from types import TracebackType

_DELETE = "\x7f"
_HIDDEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0d\uffa0"
    "\U000e0100-\U000e01ef]"
)
"""Letters, marks and symbols that no terminal shows (Unicode's default ignorable code points and
blanks): runs of them can hide whole sentences. Two choose how an emoji looks, and stay."""

UNSEEN = (
    r"\u0000-\u0020\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0"
    r"\ufff0-\ufffb"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
"""What nobody sees where it stands alone, as part of a regular expression of Python's or of JSON
Schema: white space, control and format characters, and letters and marks without a shape."""

_BLANK = re.compile(f"[{UNSEEN}]*")


def is_blank(text: str) -> bool:
    """Whether nobody would see anything of it."""
    return _BLANK.fullmatch(text) is not None


def escaped(text: str) -> str:
    """Text on one line, with every character that a terminal would not show written out.

    Those are all of Unicode's control and format characters, line and paragraph separators, and
    what is no character. What is escaped already stays as it is.
    """
    if text.isprintable() and not _HIDDEN.search(text):
        return text
    return "".join(c if _is_shown(c) else _in_words(c) for c in text)


def escaped_json(line: bytes) -> bytes:
    """JSON on one line that means the same, with these characters escaped as JSON does."""
    if line.isascii() and b"\x7f" not in line:
        return line
    text = line.decode()
    return "".join(c if _is_shown(c) else _in_json(c) for c in text).encode()


def traceback_lines(
    kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
) -> Iterator[str]:
    """A traceback, each line marked: an error's own words may have any number of lines.

    It is plain: with local variables it would show what learners wrote.
    """
    for part in traceback.format_exception(kind, error, trace):
        for line in part.removesuffix("\n").split("\n"):
            yield f"| {escaped(line)}"


def _is_shown(character: str) -> bool:
    printable = character.isprintable() or unicodedata.category(character) == "Zs"
    return printable and not _HIDDEN.match(character)


def _in_words(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _in_json(character: str) -> str:
    return "\\u007f" if character == _DELETE else json.dumps(character)[1:-1]
