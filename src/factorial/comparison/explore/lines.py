"""Curves as Vega-Lite's specs: a line for each run, and quantiles of many other settings."""

import pandas as pd

from factorial.comparison.explore import clipped
from factorial.comparison.explore.parts import (
    ANY,
    AXIS,
    CHOSEN,
    COLOR,
    MARK,
    SILENT,
    Spec,
    chart,
    tooltip,
)
from factorial.comparison.figures import clipping, curves, style
from factorial.comparison.figures.clipping import Window
from factorial.comparison.findings import Findings

COLOURED = 6  # settings


def metrics(findings: Findings) -> dict[str, str]:
    """The metrics on record of each epoch, by what the page calls them."""
    table, name = findings.comparison.curves, findings.comparison.ranking.name
    columns = {"loss": "train/loss", "score": f"validation/{name}"}
    return {key: column for key, column in columns.items()
            if len(table) and table[column].notna().any()}  # fmt: skip


def curve(findings: Findings, metric: str) -> Spec:
    """Each run's value by epoch; the best settings are coloured where none is chosen, and of many
    others there are quantiles."""
    column, is_log = metrics(findings)[metric], metric == "loss"
    ranking = curves.LOSS if is_log else findings.comparison.ranking
    words = "training loss (nats), log scale" if is_log else f"validation {ranking.words}"
    table = curves.joined(findings)
    bands = curves.by_epoch(table, [column])[column]
    window, _ = curves.limits(bands, ranking)
    ends = clipped.axis(window, values := table[column].dropna(), is_log)
    positive = " && datum.y > 0" if is_log else ""
    said = [{"field": "epoch"}, {"field": "y", "title": words}, {"field": "seed", "title": "seed"}]
    epochs = style.whole_numbers(table["epoch"].min(), table["epoch"].max())
    x: Spec = {"field": "epoch", "type": "quantitative", "scale": {"nice": False, "zero": False},
               "axis": AXIS | {"values": epochs, "format": "d"}}  # fmt: skip
    kind: Spec = {"type": "log", "nice": False, "padding": 8} if is_log else {"zero": False}
    y: Spec = {"field": "y", "type": "quantitative", "title": words,
               "scale": kind | clipped.scale(ends)}  # fmt: skip
    some = str(list(style.COLORS[:COLOURED]))
    color = f"colors[datum.s] || (datum.s < {COLOURED} ? {some}[datum.s] : '{style.GREY}')"
    quiet = {"condition": {"test": f"({ANY} && datum.s < {COLOURED}) || {CHOSEN}", "value": 1},
             "value": 0.18}  # fmt: skip
    encoding = {"x": x, "y": y, "color": COLOR, "opacity": quiet, **MARK,
                "tooltip": tooltip("its setting", *said)}  # fmt: skip
    best = findings.board["label"].head(COLOURED)
    others = bands["mean"].unstack("label").drop(columns=best, errors="ignore")
    is_many = others.shape[1] > curves.MOST_GREY
    kept = [{"filter": f"datum.s < {COLOURED} || {CHOSEN}"}] if is_many else []
    grey = f"grey: {curves.QUANTILES}{others.shape[1]} other settings" if is_many else ""
    made = chart(
        "curves",
        f"{words} of each run by epoch; the best six settings are coloured, or what is chosen",
        grey,
        window.said(values),
        height=260,
        data={"name": "points"},
        transform=[
            {"calculate": f"datum.{metric}", "as": "y"},
            {"filter": f"isValid(datum.y){positive}"},
            {"calculate": color, "as": "color"},
        ],
        layer=[
            *(quantiles(others, x, y, ends) if is_many else []),
            {"transform": kept,
             "mark": {"type": "line", "strokeWidth": 1.4, "clip": ends != clipping.WHOLE, **SILENT},
             "encoding": encoding | {"detail": {"field": "run"}}},
            {"transform": [*kept, *clipped.within(ends, "y")],
             "mark": {"type": "point", "filled": True, "size": 36, "opacity": 0.35},
             "encoding": encoding},
            *clipped.arrows(ends, "y", ["y"], {"transform": []}, encoding),
        ],
    )  # fmt: skip
    made["usermeta"]["colors"] = list(style.COLORS[:COLOURED])  # which the page says whose they are
    return made


def quantiles(others: pd.DataFrame, x: Spec, y: Spec, ends: Window) -> list[Spec]:
    """The bands of settings that are too many for lines of their own, and their median."""
    table = curves.quantiles(others).rename(columns=lambda share: f"q{100 * share:.0f}")
    rows = table.reset_index().dropna().round(6).to_dict("records")
    of_all: Spec = {"data": {"values": rows}}
    if y["scale"].get("type") == "log":
        of_all["transform"] = [{"filter": "datum.q10 > 0"}]
    mark = {"color": style.GREY, "clip": ends != clipping.WHOLE, **SILENT}
    areas = [of_all | {"mark": mark | {"type": "area", "opacity": 0.25},
                       "encoding": {"x": x, "y": y | {"field": f"q{100 * low:.0f}"},
                                    "y2": {"field": f"q{100 * high:.0f}"}}}
             for low, high in curves.BANDS]  # fmt: skip
    median = {"mark": mark | {"type": "line", "strokeWidth": 1.2},
              "encoding": {"x": x, "y": y | {"field": "q50"}}}  # fmt: skip
    return [*areas, of_all | median]
