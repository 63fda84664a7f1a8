"""Bounds open connections, in total and per address, and evicts idle ones to make room.

A connection that has no request under way is idle: silent, with a head half sent, or between two
requests. Where a bound is reached, the one that is idle for longest makes room. Where none is idle,
a few connections are taken all the same, which may only ask whether the service is there.
"""

from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

import msgspec
import structlog

from service.settings import Settings

RESERVED = 96
"""Descriptors for the service itself: the database, files, probes, what is just being closed."""

SURPLUS = 16
"""Connections beyond the bounds, for probes."""

_FOR_A_REPLY = 2
"""Connections to the provider: for the reply, and for the judgement beside it."""

log = structlog.get_logger("colloquy.connections")


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one process: open connections, and seconds that a connection may be idle."""

    total: int
    per_address: int
    header_timeout: float
    idle_timeout: float


def bounds_of(settings: Settings, descriptors: int, *, provider: bool) -> Bounds:
    """The settings' bounds, lowered to what the process's descriptors allow.

    Args:
        provider: Replies come over connections of their own.
    """
    each = 1 + (_FOR_A_REPLY if provider else 0)
    possible = max(1, (descriptors - RESERVED) // each)
    total = min(settings.max_connections, possible)
    if total < settings.max_connections:
        log.warning("connections_bounded", connections=total, descriptors=descriptors)
    return Bounds(
        total=total,
        per_address=min(settings.max_connections_per_address, max(1, total * 3 // 4)),
        header_timeout=settings.header_timeout,
        idle_timeout=settings.idle_timeout,
    )


def raise_descriptors() -> int:
    """Raises the soft limit of file descriptors to the hard limit, and returns it."""
    try:
        import resource
    except ImportError:  # Windows has no such bound
        return 2**31
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return 2**31 if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Place:
    """A connection that counts.

    Attributes:
        surplus: It is beyond the bounds.
        evict: Closes it at once, whatever it has not read.
    """

    __slots__ = ("address", "evict", "left", "surplus")

    def __init__(self, address: str, *, surplus: bool = False) -> None:
        self.address = address
        self.surplus = surplus
        self.evict: Callable[[], None] | None = None
        self.left = False


class _Group:
    """The number of open connections, and the idle ones among them, longest idle first."""

    __slots__ = ("idle", "open")

    def __init__(self) -> None:
        self.open = 0
        self.idle: dict[Place, None] = {}


def network_of(address: str) -> str:
    """The key of a client's network: an IPv4 address, or the first 64 bits of an IPv6 address."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ip_network((parsed, 64), strict=False))


class Connections:
    """Who is connected to this process.

    Args:
        bounds: How many may be.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._all = _Group()
        self._by_address: dict[str, _Group] = {}
        self._surplus: set[Place] = set()

    def admit(self, address: str) -> Place | None:
        """Reserves a place for a new connection; None if not even one for probes is left."""
        address = network_of(address)
        if self._make_room(address):
            place = Place(address)
            for group in (self._all, self._by_address.setdefault(address, _Group())):
                group.open += 1
            return place
        if len(self._surplus) >= SURPLUS:
            return None
        place = Place(address, surplus=True)
        self._surplus.add(place)
        return place

    def busy(self, place: Place) -> None:
        """Marks a connection as busy: a request is under way, or it is being evicted."""
        for group in self._groups(place):
            group.idle.pop(place, None)

    def idle(self, place: Place) -> None:
        """Marks a connection as idle."""
        for group in self._groups(place):
            group.idle[place] = None

    def leave(self, place: Place) -> None:
        """Releases the place of a closed connection."""
        self._surplus.discard(place)
        for group in self._groups(place):
            group.idle.pop(place, None)
            group.open -= 1
        place.left = True
        if (own := self._by_address.get(place.address)) and not own.open:
            del self._by_address[place.address]

    def _groups(self, place: Place) -> tuple[_Group, ...]:
        if place.left or place.surplus:
            return ()
        return self._all, self._by_address[place.address]

    def _make_room(self, address: str) -> bool:
        """Evicts the longest idle connection if need be; returns whether there is room now.

        Who goes still counts, for as long as its descriptor is open.
        """
        own = self._by_address.get(address)
        if own is not None and own.open >= self.bounds.per_address:
            return self._evict_from(own)
        return self._all.open < self.bounds.total or self._evict_from(self._all)

    def _evict_from(self, group: _Group) -> bool:
        oldest = next(iter(group.idle), None)
        if oldest is None:
            return False
        self.busy(oldest)
        assert oldest.evict is not None, "what is idle is connected"
        oldest.evict()
        return True
