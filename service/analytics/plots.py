"""Draws plots as SVG: Vega-Lite descriptions, with all data inside and colours from the page."""

from collections.abc import Sequence
from typing import Any

_WIDTH = 540
_STEP = 15
_HEIGHT = 200
_FEW = 5
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
        "labelLimit": 180,
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
    },
    "legend": {
        "labelColor": _INK,
        "labelFontSize": 11,
        "title": None,
        "orient": "top",
        "columns": 2,  # of four side by side the last would not fit beside long labels
        "columnPadding": 24,
    },
    "bar": {"color": _SHADES[0]},
}

Value = str | float
Values = Sequence[tuple[Value, ...]]


def by_day(values: Values, axis: str) -> str:
    """A bar a day. Values: day, number."""
    x = {
        "field": "a",
        "type": "temporal",
        "timeUnit": "utcyearmonthdate",
        "title": None,
        "axis": {"format": "%-d %b", "tickCount": 6, "grid": False, "labelOverlap": True},
    }
    return _svg(
        {"mark": {"type": "bar"}, "encoding": {"x": x, "y": _amount("b", axis, values)}}, values
    )


def in_bins(values: Values, axis: str, counted: str) -> str:
    """A bar a bin, in the order given. Values: label, number."""
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
    """A bar across for each label, in the order given. Values: label, number."""
    encoding = {"y": _label(), "x": _amount("b", axis, values, share=share)}
    return _svg(
        {"mark": {"type": "bar"}, "height": {"step": _STEP + 3}, "encoding": encoding}, values
    )


def staged(values: Values, axis: str) -> str:
    """Bars across for each label, one a stage. Values: label, stage (four at most), number."""
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
    elif "$" not in title:  # what is counted has no halves
        axis["format"] = ",d"
        most = max((int(value[-1]) for value in values), default=0)
        if 0 < most <= _FEW:
            axis["values"] = list(range(most + 1))
    return amount


def _svg(spec: dict[str, Any], values: Values) -> str:
    import vl_convert  # here, as only reports need it and loading it takes long

    whole = {
        "width": _WIDTH,
        "height": _HEIGHT,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "padding": {"left": 14, "right": 14, "top": 4, "bottom": 2},
        "data": {"values": [dict(zip("abc", value, strict=False)) for value in values]},
        "config": _CONFIG,
        **spec,
    }
    svg: str = vl_convert.vegalite_to_svg(whole, vl_version="5.21", allowed_base_urls=[])
    return svg
