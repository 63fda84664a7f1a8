"""What a provider says of an error, in Anthropic's shape or in another server's."""

import re
from html import unescape
from unicodedata import normalize
from urllib.parse import unquote

import msgspec

from eventstore.provider_values import label
from service.model.errors import ERROR_TYPES
from service.model.stream_events import field

_LONGEST_KIND = 40
_QUOTE = 10
"""So many letters and digits in common with a question are no accident."""

_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})")


class ProviderError(msgspec.Struct, frozen=True):
    """An error as a provider told it.

    Attributes:
        status: Of HTTP, or what an error in the midst of a stream says in its place.
        kind: The type that it names, if it names one.
        words: What it says beside that, cut; None where the type is one of Anthropic's.
    """

    status: int
    kind: str | None
    words: str | None

    def quotes(self, texts: list[str]) -> bool:
        """Whether its words may be those of one of the texts."""
        words = _letters(self.words or "")
        runs = [words[i : i + _QUOTE] for i in range(max(1, len(words) - _QUOTE + 1))]
        said = filter(None, map(_letters, texts))
        return any(text in words or any(run in text for run in runs) for text in said)


def _letters(text: str) -> str:
    """What is left of a text in whatever case, escapes and punctuation it is quoted."""
    text = _ESCAPED.sub(lambda found: chr(int(found[1] or found[2], 16)), unescape(unquote(text)))
    text = re.sub(r"\\[abfnrtv]", " ", text)
    return "".join(filter(str.isalnum, normalize("NFKC", text).casefold()))


def provider_error(status: int, body: object) -> ProviderError:
    """Reads an error's body, which may be any JSON value, or text that is none.

    Args:
        status: Of the HTTP answer; 200 for an error in the midst of a stream.
    """
    told = field(body, "error") or body
    name = field(told, "type")
    kind = (label(name) or "")[:_LONGEST_KIND] or None if isinstance(name, str) else None
    if kind in ERROR_TYPES:
        return ProviderError(status, kind, None)
    code = field(told, "code")
    if status == 200 and isinstance(code, int) and 400 <= code < 600:
        status = code
    said = told if isinstance(told, str) else field(told, "message")
    words = " ".join(said.split()) if isinstance(said, str) else ""
    return ProviderError(status, kind, label(words) or None)
