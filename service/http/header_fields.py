"""The fields of a request's head, as RFC 9110 (sections 5.3 and 5.6) writes them.

Every list is read here: whatever its lines, its blanks, its quotes and the case of its names.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec
from aiohttp import hdrs, web

# A string that is never closed reaches to the end: nothing is looked at twice.
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"?|[,;]|[^",;]+')
_ESCAPED = re.compile(r"\\(.)")
_WEIGHT = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
_REMEMBERED = 256
_LONGEST_REMEMBERED = 500
"""Characters. Whoever sends longer ones pays for them at once, and none of them is kept."""


class Element(msgspec.Struct, frozen=True):
    """One element of a list header.

    Attributes:
        value: In lower case; such as a media type, or a coding.
        parameters: By their names in lower case, without quotes; of one given twice the last.
    """

    value: str
    parameters: Mapping[str, str] = {}

    @property
    def weight(self) -> float | None:
        """The quality value from 0 to 1 (section 12.4.2); None if it is malformed."""
        given = self.parameters.get("q", "1")
        return float(given) if _WEIGHT.fullmatch(given) else None


def elements(request: web.BaseRequest, name: str) -> tuple[Element, ...]:
    """The elements in all lines of a header; none where it is not there."""
    return parse_list(joined(request, name)) if name in request.headers else ()


def joined(request: web.BaseRequest, name: str) -> str:
    """A list header's lines as one."""
    return ", ".join(request.headers.getall(name, ()))


def only(request: web.BaseRequest, name: str) -> str | None:
    """The value of a single-valued header; None if it is missing or repeated."""
    lines = request.headers.getall(name, ())
    return lines[0] if len(lines) == 1 else None


def content_type(request: web.BaseRequest) -> Element:
    """The media type in `Content-Type`; empty if the header is missing or repeated."""
    named = elements(request, hdrs.CONTENT_TYPE)
    return named[0] if len(named) == 1 else Element("")


def parse_list(text: str) -> tuple[Element, ...]:
    """The elements of a list's text, without empty ones."""
    return _parse_remembered(text) if len(text) <= _LONGEST_REMEMBERED else _parse(text)


@lru_cache(_REMEMBERED)
def _parse_remembered(text: str) -> tuple[Element, ...]:
    return _parse(text)


def _parse(text: str) -> tuple[Element, ...]:
    found: list[Element] = []
    parts = [""]
    for piece in (*_PIECE.findall(text), ","):
        if piece == ";":
            parts.append("")
        elif piece != ",":
            parts[-1] += piece
        else:
            if any(part.strip() for part in parts):
                found.append(_element(*parts))
            parts = [""]
    return tuple(found)


def _element(value: str, *parameters: str) -> Element:
    pairs = (parameter.partition("=") for parameter in parameters if parameter.strip())
    return Element(
        value.strip().lower(),
        {name.strip().lower(): _unquoted(given.strip()) for name, _, given in pairs},
    )


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    return _ESCAPED.sub(r"\1", text[1:].removesuffix('"'))
