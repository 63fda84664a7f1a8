"""Names and addresses of hosts, and URLs that begin with one (RFC 3986, section 3.2)."""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from urllib.parse import urlsplit

HIGHEST_PORT = 65535

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|[A-Za-z0-9._-]+)(?::([0-9]{0,5}))?")
_ORIGIN = re.compile(r"(https?)://([^/?#@]+)")
_STANDARD = {"http": ":80", "https": ":443"}
_HTTP = ("http", "https")
_DATABASE = ("postgres", "postgresql")


@lru_cache(256)
def is_host(text: str) -> bool:
    """Whether it is a name or an address, with a port or without, which may be empty."""
    match = _HOST.fullmatch(text)
    if match is None or int(match[2] or 0) > HIGHEST_PORT:
        return False
    return match[1] is None or _is_ipv6(match[1])


def is_origin(text: str) -> bool:
    """Whether it is a scheme and a host, with a port or without, and nothing else."""
    match = _ORIGIN.fullmatch(text)
    return match is not None and is_host(match[2]) and not match[2].endswith((":", ":0"))


def is_origin_of_pages(text: str) -> bool:
    """Whether it is an origin as browsers write it: in lower case, without the usual port."""
    match = _ORIGIN.fullmatch(text)
    if match is None or not is_origin(text):
        return False
    return text == text.lower() and not match[2].endswith(_STANDARD[match[1]])


def is_http_url(text: str) -> bool:
    """Whether it is a URL that paths of requests can be added to."""
    try:
        parts = urlsplit(text)
    except ValueError:  # such as a bracket that is never closed
        return False
    if parts.scheme not in _HTTP or parts.query or parts.fragment or "?" in text or "#" in text:
        return False
    return is_host(parts.netloc.rpartition("@")[2]) and not re.search(r"\s", text)


def is_database_url(text: str) -> bool:
    """Whether it begins like a connection URL, with hosts and ports that can be; or with none."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    hosts = parts.netloc.rpartition("@")[2]
    known = not hosts or all(is_host(host) or "%" in host for host in hosts.split(","))
    return parts.scheme in _DATABASE and "://" in text and known


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True
