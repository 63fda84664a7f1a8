"""An identity provider's public keys (JWKS, RFC 7517), fetched and cached."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import aiohttp
import msgspec
import structlog
from jwt import PyJWK
from jwt.exceptions import PyJWTError

PAUSE = 60.0
"""Seconds between two fetches because of unknown key ids."""

PAUSE_WITHOUT_KEYS = 2.0
FRESH = 600.0
"""Seconds after which keys are fetched again in the background, to drop withdrawn ones."""

STALE = 2 * FRESH
"""Seconds after which a verification waits until the keys are fetched again, or the fetch fails."""

_TIMEOUT = aiohttp.ClientTimeout(total=5)
_MAX_BYTES = 256 * 1024
_MAX_KEYS = 100
_MIN_RSA_BITS = 2048
_ALGORITHMS = {"RSA": "RS256", "EC": "ES256"}

_FAILURES = (aiohttp.ClientError, OSError, TimeoutError, ValueError, RecursionError)

log = structlog.get_logger("colloquy.identity")


class _Document(msgspec.Struct):
    keys: list[dict[str, Any]]


_document = msgspec.json.Decoder(_Document)


class KeySet:
    """The keys of one provider.

    Args:
        url: The URL of the key set.
        http: Fetches it.
        clock: Gives seconds that only ever grow.
    """

    def __init__(
        self, url: str, http: aiohttp.ClientSession, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._http = http
        self._clock = clock
        self._keys: Mapping[str | None, PyJWK] = {}
        self._tried = self._fetched = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str | None) -> PyJWK | None:
        """The key with an id; without an id, the only key if there is exactly one.

        Waits for a fetch only if the key is unknown or older than `STALE`. If the fetch fails,
        known keys stay valid.
        """
        key = self._known(kid)
        if key is None:
            await self._refetch(PAUSE if self._keys else PAUSE_WITHOUT_KEYS)
            return self._known(kid)
        age = self._clock() - self._fetched
        if age > STALE:
            await self._refetch(PAUSE)
            return self._known(kid)
        if age > FRESH:
            self._start(PAUSE)
        return key

    def start(self) -> None:
        """Starts fetching the keys, without waiting."""
        self._start(0)

    async def close(self) -> None:
        """Cancels a fetch that is under way."""
        if self._fetching:
            self._fetching.cancel()
            with suppress(asyncio.CancelledError):
                await self._fetching

    def _known(self, kid: str | None) -> PyJWK | None:
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    async def _refetch(self, pause: float) -> None:
        self._start(pause)
        if self._fetching:
            await asyncio.shield(self._fetching)

    def _start(self, pause: float) -> None:
        if self._fetching is None and self._clock() - self._tried >= pause:
            self._tried = self._clock()
            self._fetching = asyncio.create_task(self._fetch())

    async def _fetch(self) -> None:
        try:
            keys = _read_keys(await self._download())
        except _FAILURES as error:
            # Known keys stay valid.
            log.warning("jwks_unavailable", url=self._url, error=repr(error))
        else:
            self._keys, self._fetched = keys, self._clock()
            log.info("jwks_fetched", url=self._url, keys=len(keys))
        finally:
            self._fetching = None

    async def _download(self) -> bytes:
        async with self._http.get(self._url, timeout=_TIMEOUT, allow_redirects=False) as response:
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            body = bytearray()
            async for part in response.content.iter_chunked(16 * 1024):
                body += part
                if len(body) > _MAX_BYTES:
                    raise ValueError(f"more than {_MAX_BYTES} bytes")
            return bytes(body)


def _read_keys(body: bytes) -> dict[str | None, PyJWK]:
    """The keys for signatures, without unreadable ones."""
    try:
        listed = _document.decode(body).keys[:_MAX_KEYS]
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
    keys = {entry.get("kid"): key for entry in listed if (key := _read_key(entry))}
    if not keys:
        raise ValueError("no key that can be used")
    return keys


def _read_key(entry: dict[str, Any]) -> PyJWK | None:
    algorithm = _ALGORITHMS.get(str(entry.get("kty")))
    if algorithm is None or entry.get("use", "sig") != "sig":
        return None
    if entry.get("alg", algorithm) != algorithm or entry.get("crv", "P-256") != "P-256":
        return None
    if not isinstance(entry.get("kid"), str | None):
        return None
    try:
        key = PyJWK(entry, algorithm)
    except (PyJWTError, ValueError, TypeError):
        return None
    return key if getattr(key.key, "key_size", 0) >= _min_bits(algorithm) else None


def _min_bits(algorithm: str) -> int:
    return _MIN_RSA_BITS if algorithm == "RS256" else 256
