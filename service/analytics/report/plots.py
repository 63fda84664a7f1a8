"""Draws plots as SVG, from Vega-Lite descriptions, with the colours of the page."""

from collections.abc import Sequence
from typing import Any

_WIDTH = 540
_STEP = 15
_HEIGHT = 200
_FEW = 5
_WEEK = 7
_DAY = 86_400_000  # milliseconds
_FIELDS = "abc"
_TOOLTIP = "utcFormat(datum.a, '%Y-%m-%d') + ': ' + datum.b"
_SHADES = ("var(--first)", "var(--second)", "var(--third)", "var(--fourth)")
_INK = "currentColor"
_CONFIG: dict[str, Any] = {
    "background": None,
    "font": "Arial, Liberation Sans, Helvetica, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": _INK,
        "titleColor": _INK,
        "titleFontWeight": "normal",
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titlePadding": 8,
        "labelLimit": 280,
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
    },
    "legend": {
        "labelColor": _INK,
        "labelFontSize": 11,
        "title": None,
        "orient": "top",
        "columns": 2,  # four would not fit beside long labels
        "columnPadding": 24,
    },
    "bar": {"color": _SHADES[0]},
}

Value = str | float
Values = Sequence[tuple[Value, ...]]


def over_time(values: Values, axis: str, days: int = 1) -> str:
    """Vertical bars over a time axis.

    Args:
        values: First day and number of each bar.
        days: Days in a bar.
    """
    x = {
        "field": "a",
        "type": "temporal",
        "scale": {"type": "utc"},
        "title": None,
        "axis": {"format": "%-d %b", "grid": False} | _ticks(values),
    }
    amount = _amount("b", axis, values)
    spec = {
        "transform": [{"calculate": f"+toDate(datum.a) + {days * _DAY}", "as": "end"}],
        "mark": {"type": "bar", "x2Offset": -1, "description": {"expr": _TOOLTIP}},
        "encoding": {"x": x, "x2": {"field": "end"}, "y": amount, "y2": {"datum": 0}},
    }
    return _svg(spec, values)


def _ticks(values: Values) -> dict[str, Any]:
    if len(values) > _WEEK:
        return {"tickCount": 6, "labelOverlap": True}
    return {"values": [value[0] for value in values], "labelAlign": "left", "labelFlush": False}


def in_bins(values: Values, axis: str, counted: str) -> str:
    """Vertical bars for bins.

    Args:
        values: Label and number of each bar, in order.
        counted: The title of the numbers.
    """
    x = {
        "field": "a",
        "type": "nominal",
        "sort": None,
        "title": axis,
        "axis": {"labelAngle": -40},
        "scale": {"paddingInner": 0.08},
    }
    return _svg(
        {"mark": {"type": "bar"}, "encoding": {"x": x, "y": _amount("b", counted, values)}}, values
    )


def across(values: Values, axis: str, *, share: bool = False) -> str:
    """Horizontal bars.

    Args:
        values: Label, number and text at the end of each bar, in order.
        share: Whether the numbers are shares, 0 to 1.
    """
    words = {"type": "text", "align": "left", "baseline": "middle", "dx": 4, "color": _INK}
    spec = {
        "height": {"step": _STEP + 3},
        "encoding": {"y": _label(), "x": _amount("b", axis, values, share=share)},
        "layer": [
            {"mark": {"type": "bar"}},
            {"mark": words, "encoding": {"text": {"field": "c", "type": "nominal"}}},
        ],
    }
    return _svg(spec, values)


def staged(values: Values, axis: str) -> str:
    """Groups of horizontal bars.

    Args:
        values: Label of the group, stage (at most four different ones) and number of each bar.
    """
    stages = list(dict.fromkeys(value[1] for value in values))
    shade = {"field": "b", "type": "nominal", "sort": stages}
    encoding = {
        "y": _label(),
        "yOffset": shade,
        "x": _amount("c", axis, values),
        "color": shade | {"scale": {"domain": stages, "range": _SHADES[: len(stages)]}},
    }
    height = {"step": _STEP - 3, "for": "offset"}
    return _svg({"mark": {"type": "bar"}, "height": height, "encoding": encoding}, values)


def _label() -> dict[str, Any]:
    return {"field": "a", "type": "nominal", "sort": None, "title": None}


def _amount(field: str, title: str, values: Values, *, share: bool = False) -> dict[str, Any]:
    axis: dict[str, Any] = {"tickCount": 5}
    amount = {"field": field, "type": "quantitative", "title": title, "axis": axis}
    if share:
        axis["format"] = ".0%"
        amount["scale"] = {"domain": [0, 1]}
    elif "$" not in title:  # counts are whole numbers
        axis["format"] = ",d"
        largest = max((int(value[_FIELDS.index(field)]) for value in values), default=0)
        if 0 < largest <= _FEW:
            axis["values"] = list(range(largest + 1))
    return amount


def _svg(spec: dict[str, Any], values: Values) -> str:
    import vl_convert  # here, since it loads slowly and only reports need it

    room = max([14, *(len(str(value[0])) for value in values)])  # for fonts wider than Arial
    whole = {
        "width": _WIDTH,
        "height": _HEIGHT,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "padding": {"left": room, "right": 14, "top": 4, "bottom": 2},
        "data": {"values": [dict(zip(_FIELDS, value, strict=False)) for value in values]},
        "config": _CONFIG,
        **spec,
    }
    svg: str = vl_convert.vegalite_to_svg(whole, vl_version="5.21", allowed_base_urls=[])
    return svg
