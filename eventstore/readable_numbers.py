"""Numbers and times as people read them, for lines that commands and logs print."""

_IRREGULAR = {"identity": "identities"}
_MINUTE, _HOUR, _DAY = 60.0, 3_600.0, 86_400.0


def counted(number: int, what: str) -> str:
    """A number with what is counted, in the plural unless it is one.

    Args:
        what: In the singular; its last word gets the plural.
    """
    return f"{number} {what if number == 1 else _plural(what)}"


def age(seconds: float) -> str:
    """How long something lasts, in the largest unit of which it is at least two."""
    for unit, length in (("day", _DAY), ("hour", _HOUR), ("minute", _MINUTE)):
        if seconds >= 2 * length:
            return counted(int(seconds // length), unit)
    return f"{max(seconds, 0.0):.1f} s"


def _plural(what: str) -> str:
    before, space, last = what.rpartition(" ")
    return before + space + _IRREGULAR.get(last, f"{last}s")
