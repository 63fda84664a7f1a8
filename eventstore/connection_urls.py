"""Connection URLs: the hosts that one names, and what of it may be shown to others."""

from collections.abc import Callable
from urllib.parse import SplitResult, parse_qsl, unquote, unquote_plus, urlencode, urlsplit

_OF_THE_SERVER = frozenset(
    {"host", "hostaddr", "port", "dbname", "database", "target_session_attrs", "connect_timeout"}
    | {"sslmode", "sslrootcert", "sslcrl", "sslnegotiation", "gssencmode", "channel_binding"}
    | {"ssl_min_protocol_version", "ssl_max_protocol_version"}
)
"""The options that say where the server is and how it is reached; the others are the owner's."""


def hosts(url: str) -> list[str]:
    """A connection URL for each host of a URL that names several; else the URL as it is.

    Of several hosts the primary is meant, where the URL does not say otherwise.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    people, at, named = parts.netloc.rpartition("@")
    among = unquote(named) or options.get("host", "")
    if "," not in among:
        return [url]
    one = {"target_session_attrs": "primary"} | options
    ports = options.get("port", "").split(",")
    each = [host for host in among.split(",") if host]
    if len(ports) < len(each):
        ports = ports[:1] * len(each)
    return [
        _joined(
            parts,
            people + at,
            urlencode({name: v for name, v in (one | {"host": h, "port": p}).items() if v}),
        )
        for h, p in zip(each, ports, strict=False)
    ]


def split_password(url: str) -> tuple[str, str | None]:
    """A connection URL without its password, and the password.

    Of one before the host and one among the options, the first is meant, as for asyncpg.
    """
    parts = urlsplit(url)
    people, at, where = parts.netloc.rpartition("@")
    name, _, password = people.partition(":")
    other = dict(parse_qsl(parts.query)).get("password")
    public = _options(parts, lambda option: option != "password")
    return _joined(parts, name + at + where, public), unquote(password) or other


def with_login(url: str, name: str, password: str) -> str:
    """A connection URL of the same server and database for another login.

    What else the URL tells of its own login, such as a password or a key file, goes.

    Args:
        url: A connection URL.
        name: Needs no escaping.
        password: Needs no escaping.
    """
    parts = urlsplit(url)
    where = parts.netloc.rpartition("@")[2]
    public = _options(parts, lambda option: option in _OF_THE_SERVER)
    return _joined(parts, f"{name}:{password}@{where}", public)


def _options(parts: SplitResult, kept: Callable[[str], bool]) -> str:
    """The options whose names are kept, each written as it was."""
    options = parts.query.split("&")
    return "&".join(o for o in options if kept(unquote_plus(o.partition("=")[0])))


def _joined(parts: SplitResult, place: str, options: str) -> str:
    return f"{parts.scheme}://{place}{parts.path}{options and f'?{options}'}"
