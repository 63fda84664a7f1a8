"""Codings that a request's body may come in (RFC 9110, section 8.4)."""

import zlib

from aiohttp import hdrs, web

from service.errors import BodyUnreadable, UnsupportedCoding
from service.http.header_fields import elements

KNOWN = "gzip, deflate"
"""As `Accept-Encoding` names them."""

_PLAIN = "identity"
_GZIP = ("gzip", "x-gzip")
_DEFLATE = 8
"""The low bits of a zlib stream's first byte; some clients send deflate without zlib's head."""


def coding_of(request: web.Request) -> str:
    """The coding of the request's body.

    Raises:
        UnsupportedCoding: It is not known here, or there are several.
    """
    named = [e.value for e in elements(request, hdrs.CONTENT_ENCODING) if e.value != _PLAIN]
    coding = named[0] if named else _PLAIN
    if len(named) > 1 or coding not in (*_GZIP, "deflate", _PLAIN):
        raise UnsupportedCoding
    return coding


def decompressed(raw: bytes, coding: str, most: int) -> bytes:
    """A body without its coding.

    Args:
        raw: Not empty.
        coding: One that `coding_of` gave.
        most: Bytes that it may have.

    Raises:
        BodyUnreadable: It is not in that coding, or does not end where it should.
        HTTPRequestEntityTooLarge: It has more than `most` bytes.
    """
    if coding == _PLAIN:
        return raw
    decompressor = zlib.decompressobj(_window(raw, coding))
    try:
        body = decompressor.decompress(raw, most + 1)
    except zlib.error as error:
        raise BodyUnreadable from error
    if len(body) > most:
        raise web.HTTPRequestEntityTooLarge(max_size=most, actual_size=len(body))
    if not decompressor.eof or decompressor.unused_data:
        raise BodyUnreadable
    return body


def _window(raw: bytes, coding: str) -> int:
    if coding in _GZIP:
        return 16 + zlib.MAX_WBITS
    return zlib.MAX_WBITS if raw[0] & 0xF == _DEFLATE else -zlib.MAX_WBITS
