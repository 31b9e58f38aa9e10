"""The charts as Vega-Lite's specs; their data, `settings`, `runs`, `points` and `cells`, are the
page's. A signal `chosen` holds the places of chosen settings, `colors` what they are drawn in.

https://vega.github.io/vega-lite/docs/
"""

import sys

import pandas as pd

from factorial.comparison.explore import clipped, lines, tiles
from factorial.comparison.explore.parts import (
    AXIS,
    CHOSEN,
    COLOR,
    LETTER,
    MARK,
    SILENT,
    Spec,
    chart,
    dimmed,
    tooltip,
)
from factorial.comparison.figures import clipping, naming, style
from factorial.comparison.figures.naming import Names
from factorial.comparison.findings import Findings

ROW, PLOT = 19, 220  # pixels of a row, and of what is beside the names at least
SHOWN = 40  # settings on the leaderboard; a chosen one comes besides
OPACITY = dimmed(0.12)
UNSAID = f"datum.tie ? '{style.COLORS[0]}' : '{style.GREY}'"


def charts(findings: Findings) -> dict[str, Spec]:
    """By name. Which figure of the page each stands for, and what it shows, is among them."""
    made = {"leaderboard": leaderboard(findings)}
    for cost, (figure, words) in {
        "seconds": ("cost", "training time of a run (s), log scale"),
        "parameters": ("cost", "parameters of the model, log scale"),
    }.items():
        if findings.board[cost].gt(0).any():
            made[cost] = against(cost, figure, words, findings)
    if (spec := tiles.spec(findings)) is not None:
        made["map"] = spec
    return made | {name: lines.curve(findings, name) for name in lines.metrics(findings)}


def called(findings: Findings) -> Names:
    """Every setting on one line, as shortly as tells it from the others."""
    return naming.names(findings.board, findings.comparison.settings, widest=sys.maxsize)


def leaderboard(findings: Findings) -> Spec:
    """Each setting's mean with its interval, and every seed."""
    measure = findings.comparison.measure
    names = called(findings)
    labels = [names.of[label] for label in findings.board["label"]]
    best = findings.board.head(SHOWN)
    scores = findings.comparison.runs["score"][findings.comparison.labels.isin(best["label"])]
    window = clipping.window(best["mean"], findings.comparison.ranking)
    values = pd.concat([best["mean"], best["low"], best["high"], scores]).dropna()
    ends = clipped.axis(window, values)
    y: Spec = {"field": "name", "type": "nominal", "sort": labels, "title": None,
               "axis": {"labelLimit": 0, "grid": True}}  # fmt: skip
    x: Spec = {"type": "quantitative", "title": measure, "axis": AXIS,
               "scale": {"zero": False} | clipped.scale(ends)}  # fmt: skip
    shown: list[Spec] = [
        {"filter": f"datum.s < {SHOWN} || {CHOSEN}"},
        {"calculate": f"colors[datum.s] || ({UNSAID})", "as": "color"},
    ]
    kept = [*shown, *clipped.within(ends, "mean")]
    every: Spec = {"y": y, "color": COLOR, "opacity": OPACITY, **MARK}
    score = [{"field": "score", "title": "its value"}, {"field": "seed", "title": "seed"}]
    seeds = every | {"tooltip": tooltip(measure, *score), "x": x | {"field": "score"}}
    means = every | {"tooltip": tooltip(measure), "x": x | {"field": "mean"}}
    runs, settings = {"data": {"name": "runs"}}, {"data": {"name": "settings"}}
    inside = clipped.within(ends, "score")
    common = f"all with {names.common}" if names.common else ""
    made = chart(
        "leaderboard",
        f"{measure} of each setting, the best first: points are means, lines 95 % intervals over "
        f"seeds, strokes single seeds; blue is not told apart from the best",
        window.said(values),
        common,
        height=ROW * min(len(labels), SHOWN),
        layer=[
            runs | {"transform": [*shown, *inside],
                    "mark": {"type": "tick", "thickness": 1.5, "size": 10, "opacity": 0.6},
                    "encoding": seeds},
            settings | {"transform": [*kept, {"filter": "isValid(datum.low)"}],
                        "mark": {"type": "rule", "strokeWidth": 2, "clip": True, **SILENT},
                        "encoding": means | {"x": x | {"field": "low"}, "x2": {"field": "high"}}},
            settings | {"transform": kept,
                        "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
                        "encoding": means},
            *clipped.arrows(ends, "x", ["score"], runs | {"transform": kept}, seeds),
            *clipped.arrows(ends, "x", ["mean", "low", "high"], settings | {"transform": shown},
                            means),
            *clipped.written(ends, "mean", settings | {"transform": shown}, means),
        ],
    )  # fmt: skip
    made["usermeta"]["least"] = LETTER * max(map(len, labels)) + PLOT
    return made


def against(cost: str, figure: str, words: str, findings: Findings) -> Spec:
    """Each setting's mean against what it costs."""
    measure, board = findings.comparison.measure, findings.board
    window = clipping.window(board["mean"], findings.comparison.ranking)
    values = pd.concat([board["mean"], board["low"], board["high"]]).dropna()
    ends = clipped.axis(window, values)
    axis = AXIS | {"format": "~s" if cost == "parameters" else "~g"}
    x: Spec = {"field": cost, "type": "quantitative", "title": words, "axis": axis,
               "scale": {"type": "log", "nice": False, "padding": 12}}  # fmt: skip
    y: Spec = {"type": "quantitative", "title": measure,
               "scale": {"zero": False} | clipped.scale(ends)}  # fmt: skip
    said = tooltip(measure, {"field": cost, "title": words, "format": ",.4~r"})
    common: Spec = {"x": x, "color": COLOR, "opacity": OPACITY, "tooltip": said, **MARK}
    means = common | {"y": y | {"field": "mean"}}
    kept = clipped.within(ends, "mean")
    return chart(
        figure,
        f"{measure} of each setting against the {words}; lines are 95 % intervals over seeds",
        window.said(values),
        height=260,
        data={"name": "settings"},
        transform=[
            {"filter": f"datum.{cost} > 0"},
            {"calculate": f"colors[datum.s] || ({UNSAID})", "as": "color"},
        ],
        layer=[
            {"transform": [*kept, {"filter": "isValid(datum.low)"}],
             "mark": {"type": "rule", "clip": True, **SILENT},
             "encoding": common | {"y": y | {"field": "low"}, "y2": {"field": "high"}}},
            {"transform": kept, "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
             "encoding": means},
            *clipped.arrows(ends, "y", ["mean", "low", "high"], {"transform": []}, means),
        ],
    )  # fmt: skip
