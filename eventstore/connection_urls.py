"""Connection URLs: their hosts, and variants without or with another login."""

from collections.abc import Callable
from urllib.parse import SplitResult, parse_qsl, unquote, unquote_plus, urlencode, urlsplit

_SERVER_OPTIONS = frozenset(
    {"host", "hostaddr", "port", "dbname", "database", "target_session_attrs", "connect_timeout"}
    | {"sslmode", "sslrootcert", "sslcrl", "sslnegotiation", "gssencmode", "channel_binding"}
    | {"ssl_min_protocol_version", "ssl_max_protocol_version"}
)
"""Options about the server and how to reach it; the others belong to the login."""


def hosts(url: str) -> list[str]:
    """A connection URL for each host of a URL with several hosts; else the URL itself.

    With several hosts, each URL asks for the primary unless `url` has `target_session_attrs`.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    login, at, host_list = parts.netloc.rpartition("@")
    host_list = unquote(host_list) or options.get("host", "")
    if "," not in host_list:
        return [url]
    common = {"target_session_attrs": "primary"} | options
    ports = options.get("port", "").split(",")
    names = [host for host in host_list.split(",") if host]
    if len(ports) < len(names):
        ports = ports[:1] * len(names)
    return [
        _joined(
            parts,
            login + at,
            urlencode({key: v for key, v in (common | {"host": h, "port": p}).items() if v}),
        )
        for h, p in zip(names, ports, strict=False)
    ]


def split_password(url: str) -> tuple[str, str | None]:
    """A connection URL without its password, and the password.

    A password before the host precedes one among the options, as in asyncpg.
    """
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    name, _, password = login.partition(":")
    password_option = dict(parse_qsl(parts.query)).get("password")
    public = _options(parts, lambda option: option != "password")
    return _joined(parts, name + at + host, public), unquote(password) or password_option


def with_login(url: str, name: str, password: str) -> str:
    """A connection URL of the same server and database for another login.

    Options of the old login, such as a password or a key file, are left out.

    Args:
        url: A connection URL.
        name: Needs no escaping.
        password: Needs no escaping.
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    public = _options(parts, lambda option: option in _SERVER_OPTIONS)
    return _joined(parts, f"{name}:{password}@{host}", public)


def _options(parts: SplitResult, kept: Callable[[str], bool]) -> str:
    """The options whose names `kept` accepts, spelled as in the URL."""
    options = parts.query.split("&")
    return "&".join(o for o in options if kept(unquote_plus(o.partition("=")[0])))


def _joined(parts: SplitResult, netloc: str, options: str) -> str:
    return f"{parts.scheme}://{netloc}{parts.path}{options and f'?{options}'}"
