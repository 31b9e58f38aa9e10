"""Axes of charts that nothing far off stretches: what lies beyond their ends has an arrow there."""

import math
from collections.abc import Sequence

import pandas as pd

from factorial.comparison.explore.parts import SILENT, Spec
from factorial.comparison.figures import clipping
from factorial.comparison.figures.clipping import WHOLE, Window
from factorial.comparison.wording import LARGE

ARROW: Spec = {"type": "point", "filled": True, "size": 80, "opacity": 1}
SHAPES = {"x": ("triangle-left", "triangle-right"), "y": ("triangle-down", "triangle-up")}


def axis(window: Window, values: pd.Series, is_log: bool = False) -> Window:
    """Its ends, where the window cuts off any of the values; or whole."""
    return clipping.ends(window, values, is_log) if window.cuts(values) else WHOLE


def scale(ends: Window) -> Spec:
    return {} if ends == WHOLE else {"domain": list(ends), "nice": False}


def within(ends: Window, field: str) -> list[Spec]:
    """A filter that leaves what an axis shows."""
    if ends == WHOLE:
        return []
    return [{"filter": f"datum.{field} >= {ends.low} && datum.{field} <= {ends.high}"}]


def arrows(
    ends: Window, along: str, fields: Sequence[str], layer: Spec, encoding: Spec
) -> list[Spec]:
    """For each row of a layer's data of which any field lies beyond an end."""
    made = []
    sides = zip(ends, ("<", ">"), SHAPES[along], strict=True)
    for at, beyond, shape in sides:
        if math.isfinite(at):
            tests = [f"(isValid(datum.{one}) && datum.{one} {beyond} {at})" for one in fields]
            place = {**encoding[along], "datum": at}
            place.pop("field", None)
            out = {"filter": " || ".join(tests)}
            made.append(layer | {"transform": [*layer["transform"], out],
                                 "mark": ARROW | {"shape": shape},
                                 "encoding": encoding | {along: place}})  # fmt: skip
    return made


def written(ends: Window, field: str, layer: Spec, encoding: Spec) -> list[Spec]:
    """The value itself beside its arrow, along x."""
    value = f"datum.{field}"
    words = f"abs({value}) < {LARGE} ? format({value}, '.4f') : format({value}, '.4g')"
    made = []
    for one in arrows(ends, "x", [field], layer, encoding):
        side = 1 if one["mark"]["shape"] == "triangle-left" else -1
        align = "left" if side > 0 else "right"
        mark = {"type": "text", "align": align, "dx": 8 * side, **SILENT}
        encoding = uncoloured(one["encoding"]) | {"text": {"field": "written", "type": "nominal"}}
        said = {"calculate": words, "as": "written"}
        made.append({**one, "transform": [*one["transform"], said], "mark": mark,
                     "encoding": encoding})  # fmt: skip
    return made


def uncoloured(encoding: Spec) -> Spec:
    """In the page's own ink."""
    return {key: value for key, value in encoding.items() if key != "color"}
