"""Numbers and durations for people, in the output of commands and logs."""

_IRREGULAR = {"identity": "identities"}
_MINUTE, _HOUR, _DAY = 60.0, 3_600.0, 86_400.0


def counted(number: int, what: str) -> str:
    """A number with its noun, such as "2 events".

    Args:
        what: The noun in the singular; its last word gets the plural.
    """
    return f"{number} {what if number == 1 else _plural(what)}"


def age(seconds: float) -> str:
    """A duration in the largest unit of which it has at least two, such as "3 hours"."""
    for unit, length in (("day", _DAY), ("hour", _HOUR), ("minute", _MINUTE)):
        if seconds >= 2 * length:
            return counted(int(seconds // length), unit)
    return f"{max(seconds, 0.0):.1f} s"


def _plural(what: str) -> str:
    before, space, last = what.rpartition(" ")
    return before + space + _IRREGULAR.get(last, f"{last}s")
