"""What a provider says of an error, in Anthropic's shape or in another server's."""

import msgspec

from eventstore.provider_values import label
from service.model.errors import ERROR_TYPES
from service.model.stream_events import field

_LONGEST_KIND = 40
_QUOTE = 12
"""So many characters in common with a question are no accident."""


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
        words = self.words or ""
        runs = [words[i : i + _QUOTE] for i in range(max(1, len(words) - _QUOTE + 1))]
        return any((text and text in words) or any(run in text for run in runs) for text in texts)


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
