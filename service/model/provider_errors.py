"""Reads a provider's errors, in Anthropic's format or another server's.

A server may quote the learner's question in an error, and the log is permanent. So only words of a
fixed vocabulary are kept of an unknown type or a message, up to the first other word.
"""

import re

import msgspec

from service.model.errors import ERROR_TYPES
from service.model.stream_events import field

_WORDS = """
a aborted accept accepted access account active allowed already an and api are argument
arguments as at attempt auth authentication available backend bad batch be because been before
being below billing body budget busy but by cache call can cancelled cannot capacity changed
check client closed cluster code completion concurrent configuration configured connect
connection content context could credit credits current decode decoder deleted denied deployment
did disabled does done down due during empty encoding endpoint engine error errors exceed
exceeded exceeds exception exhausted exist exists expected expired fail failed failure field
fields file filter for forbidden format found from full gateway given gone gpu group had handle
has have header headers host however id if image images in input instance insufficient internal
invalid is issue it its json key kind large larger last later length less limit limited limits
list load loaded loading local long longer lost malformed many max maximum media memory message
messages method minimum minute missing model models moderation more must name network no node
none not now null number object occurred of off offline on one only open operation option or
organization other out output over overload overloaded page parameter parameters parse parsing
pending per permission permissions plan please policy pool prediction process processing project
prompt protocol provided provider quota range rate reached read reason refused region rejected
remaining remote request requested requests required requires resource resources response retry
role route runtime safety schema second seconds see server service session set shape shutting
size slot slots socket status stop stopped stream streaming string support supported system
temperature temporarily text than that the their there this throttled throttling time timed
timeout to token tokens too tool tools top transient try type types unable unauthorized
unavailable unexpected unhealthy unit unknown unprocessable unreachable unsupported up upstream
usage use used user using valid validation value values version via wait warming was were when
which while will window with within without worker workers wrong you your
"""
_VOCABULARY = frozenset(_WORDS.split())

_MAX_WORDS_LENGTH = 200
_KIND = re.compile(r"[A-Za-z][A-Za-z_.-]{0,39}")
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


class ProviderError(msgspec.Struct, frozen=True):
    """The parts of a provider's error that may be recorded.

    Attributes:
        status: The HTTP status, or the code of an error within a stream.
        kind: The error's type, if it consists of known words.
        words: The known words at the beginning of its message; None for Anthropic's types.
    """

    status: int
    kind: str | None
    words: str | None


def _kind(name: object) -> str | None:
    """An error's type if it consists of known words, else None."""
    if not isinstance(name, str) or not _KIND.fullmatch(name):
        return None
    if name in ERROR_TYPES:
        return name
    known = all(part.lower() in _VOCABULARY for part in _PARTS.findall(name))
    return name if known else None


def _beginning(message: object) -> str | None:
    """The known words at the beginning of a message, or None."""
    kept: list[str] = []
    for word in message.split() if isinstance(message, str) else ():
        if word.rstrip(".,;:").lower() not in _VOCABULARY:
            break
        kept.append(word)
    return " ".join(kept)[:_MAX_WORDS_LENGTH] or None


def provider_error(status: int, body: object) -> ProviderError:
    """Reads an error's body.

    Args:
        status: Of the HTTP answer; 200 for an error within a stream.
        body: Any JSON value, or other text.
    """
    error = field(body, "error") or body
    kind = _kind(field(error, "type"))
    if kind in ERROR_TYPES:
        return ProviderError(status, kind, None)
    code = field(error, "code")
    if status == 200 and isinstance(code, int) and 400 <= code < 600:
        status = code
    message = error if isinstance(error, str) else field(error, "message")
    return ProviderError(status, kind, _beginning(message))
