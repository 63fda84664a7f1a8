"""What a provider says of an error, in Anthropic's shape or in another server's.

A server may quote the question, in whatever encoding. So of the words of an error only a beginning
is kept that is plain English, and nothing where that has a run of the question's letters.
"""

import re
from unicodedata import normalize

import msgspec

from service.model.errors import ERROR_TYPES
from service.model.stream_events import field

_QUOTE = 8
"""So many letters and digits in common with a question are no accident."""

_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")
_PLAIN = re.compile(r"(?:(?:[A-Za-z][A-Za-z'-]{0,19}|[0-9]{1,7})[.,;:]?(?: |\Z))+")
_LONGEST = 200


class ProviderError(msgspec.Struct, frozen=True):
    """An error as a provider told it.

    Attributes:
        status: Of HTTP, or what an error in the midst of a stream says in its place.
        kind: The type that it names, if it names one.
        words: How it begins to say more, in plain English; None where the type is one of
            Anthropic's.
    """

    status: int
    kind: str | None
    words: str | None

    def quotes(self, texts: list[str]) -> bool:
        """Whether its type or words may be those of one of the texts."""
        if self.kind in ERROR_TYPES:
            return False
        said = _letters(f"{self.kind or ''} {self.words or ''}")
        runs = [said[i : i + _QUOTE] for i in range(max(1, len(said) - _QUOTE + 1))]
        known = filter(None, map(_letters, texts))
        return any(text in said or any(run in text for run in runs) for text in known)


def _letters(text: str) -> str:
    """What is left of a text in whatever case and punctuation it is quoted."""
    return "".join(filter(str.isalnum, normalize("NFKC", text).casefold()))


def provider_error(status: int, body: object) -> ProviderError:
    """Reads an error's body, which may be any JSON value, or text that is none.

    Args:
        status: Of the HTTP answer; 200 for an error in the midst of a stream.
    """
    told = field(body, "error") or body
    name = field(told, "type")
    kind = name if isinstance(name, str) and _KIND.fullmatch(name) else None
    if kind in ERROR_TYPES:
        return ProviderError(status, kind, None)
    code = field(told, "code")
    if status == 200 and isinstance(code, int) and 400 <= code < 600:
        status = code
    said = told if isinstance(told, str) else field(told, "message")
    plain = _PLAIN.match(" ".join(said.split())) if isinstance(said, str) else None
    return ProviderError(status, kind, plain[0][:_LONGEST].strip() if plain else None)
