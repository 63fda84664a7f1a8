"""What a setting's text can be, beyond its type."""

import re
from collections.abc import Callable, Mapping

from service.hosts import is_database_url, is_http_url, is_origin, is_origin_of_pages

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_VISIBLE = re.compile(r"[\x21-\x7e]+")
PATHS = frozenset(
    {"home", "postgres_bin", "prices", "jwt", "seal_key", "checkpoints", "projections"}
)
_ORIGIN = (
    "it must be a scheme and a host, such as https://colloquy.example.edu, with a port or without"
)
_ORIGINS = (
    "must be a site as browsers name it, such as https://lms.example.edu: its scheme and its host "
    "in lower case, the port only if it is not the usual one, and no slash behind"
)
_URL = "it must be the URL of a host, such as https://gateway.example.edu/v1, without a query"
_DATABASE = "it must be a connection URL, such as postgresql://owner:password@host:5432/database"
_KEY = "it must be visible ASCII characters"


def origins_of(text: str) -> frozenset[str]:
    """The sites that a list with commas or blanks names."""
    return frozenset(text.replace(",", " ").split())


def refusal(field: str, value: str) -> str | None:
    """Why a setting cannot have a text as its value; None if it can.

    Args:
        field: Of `Settings`.
    """
    if _CONTROL.search(value):
        return "it has a line feed or another control character"
    if field not in PATHS and any("\ud800" <= letter <= "\udfff" for letter in value):
        return "it is not in UTF-8"
    if value != value.strip() and field != "cors_origins":
        return "it begins or ends with a blank"
    return _CHECKS[field](value) if field in _CHECKS else None


def _unless(accepted: Callable[[str], object], reason: str) -> Callable[[str], str | None]:
    return lambda value: None if accepted(value) else reason


def _origins(value: str) -> str | None:
    wrong = sorted(origin for origin in origins_of(value) if not is_origin_of_pages(origin))
    return f"{wrong[0]!r} {_ORIGINS}" if wrong else None


_CHECKS: Mapping[str, Callable[[str], str | None]] = {
    "cors_origins": _origins,
    "public_url": _unless(is_origin, _ORIGIN),
    "anthropic_base_url": _unless(is_http_url, _URL),
    "anthropic_api_key": _unless(_VISIBLE.fullmatch, _KEY),
    "database_url": _unless(is_database_url, _DATABASE),
}
