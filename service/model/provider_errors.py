"""Reads a provider's error body, in Anthropic's form or another server's.

A server may quote the question, in whatever form, and what is recorded is for ever. So of a type
or a message of its own only words of a fixed vocabulary are kept, up to the first that is none.
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

_LONGEST = 200
_KIND = re.compile(r"[A-Za-z][A-Za-z_.-]{0,39}")
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


class ProviderError(msgspec.Struct, frozen=True):
    """An error as its provider describes it.

    Attributes:
        status: Of HTTP, or what an error in the midst of a stream says in its place.
        kind: The type that it names, if it is one that can be told.
        words: How its message begins, as far as that can be told; None where the type is one of
            Anthropic's.
    """

    status: int
    kind: str | None
    words: str | None


def _kind(name: object) -> str | None:
    """The error's type; None if it has unknown words."""
    if not isinstance(name, str) or not _KIND.fullmatch(name):
        return None
    if name in ERROR_TYPES:
        return name
    known = all(part.lower() in _VOCABULARY for part in _PARTS.findall(name))
    return name if known else None


def _beginning(message: object) -> str | None:
    """The known words at the beginning of a message; None if there are none."""
    kept: list[str] = []
    for word in message.split() if isinstance(message, str) else ():
        if word.rstrip(".,;:").lower() not in _VOCABULARY:
            break
        kept.append(word)
    return " ".join(kept)[:_LONGEST] or None


def provider_error(status: int, body: object) -> ProviderError:
    """Reads an error's body, which may be any JSON value, or text that is none.

    Args:
        status: Of the HTTP answer; 200 for an error in the midst of a stream.
    """
    told = field(body, "error") or body
    kind = _kind(field(told, "type"))
    if kind in ERROR_TYPES:
        return ProviderError(status, kind, None)
    code = field(told, "code")
    if status == 200 and isinstance(code, int) and 400 <= code < 600:
        status = code
    said = told if isinstance(told, str) else field(told, "message")
    return ProviderError(status, kind, _beginning(said))
