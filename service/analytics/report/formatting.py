"""Formats figures for reports."""

from collections.abc import Callable, Iterable, Mapping

from service.analytics.figures import Bin, Spread

MICRO = 1_000_000
"""Millionths of a dollar in a dollar."""

_LABEL = 34
_LEAST = 0.0001


def dollars(microusd: float) -> str:
    """An amount in dollars."""
    amount = microusd / MICRO
    if 0 < amount < _LEAST:
        return f"less than ${_LEAST}"
    return f"${amount:,.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}"


def at_least(microusd: float, unpriced: int) -> str:
    """An amount, marked as a lower bound if some costs are unknown."""
    return f"{'≥ ' if unpriced else ''}{dollars(microusd)}"


def labelled(
    bins: Iterable[Bin], format_value: Callable[[float], str], unit: str
) -> list[tuple[str, int]]:
    """The labels and counts of bins, from the first bin with values to the last."""
    rows = [
        (f"{format_value(b.lower)}–{format_value(b.upper)} {unit}", b.count)
        if b.upper
        else (f"≥ {format_value(b.lower)} {unit}", b.count)
        for b in bins
    ]
    filled = [number for number, (_, count) in enumerate(rows) if count]
    return rows[filled[0] : filled[-1] + 1] if filled else []


def named(experience_id: int, titles: Mapping[int, str], length: int = _LABEL) -> str:
    """An experience by id and title, cut to `length` characters."""
    name = f"{experience_id} {_printable(titles.get(experience_id, ''))}".strip()
    return name if len(name) <= length else name[: length - 1].rstrip() + "…"


def _printable(title: str) -> str:
    """A title without control characters, which SVG and HTML do not allow."""
    return "".join(c if c.isprintable() else "\ufffd" for c in title)


def quantiles(spread: Spread, format_value: Callable[[float], str]) -> str:
    """A spread in words."""
    if spread.p50 is None or spread.p95 is None:
        return "none measured"
    return f"half within {format_value(spread.p50)}, 95 of 100 within {format_value(spread.p95)}"


def amounts(spread: Spread) -> str:
    """A spread of amounts in words."""
    if spread.p50 is None or spread.p95 is None:
        return "none measured"
    if not spread.p95:
        return "at least 95 of 100 cost nothing"
    return f"half cost {_at_most(spread.p50)}, 95 of 100 {_at_most(spread.p95)}"


def _at_most(microusd: float) -> str:
    if not microusd:
        return "nothing"
    text = dollars(microusd)
    return text if text.startswith("less") else f"at most {text}"


def seconds(milliseconds: float) -> str:
    """A duration in milliseconds or seconds."""
    if milliseconds < 1:
        return "1 ms"
    return f"{milliseconds:.0f} ms" if milliseconds < 100 else f"{milliseconds / 1000:.1f} s"


def many(number: int, what: str) -> str:
    """A number with its noun, in the plural unless the number is 1."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def or_dash(value: float | None, form: str) -> str:
    """A formatted number, or a dash for None."""
    return "–" if value is None else form.format(value)
