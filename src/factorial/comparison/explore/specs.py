"""The charts as Vega-Lite's specs; their data, `settings`, `runs`, `points` and `cells`, are the
page's. A signal `chosen` holds the places of chosen settings, `colors` what they are drawn in.

https://vega.github.io/vega-lite/docs/
"""

from typing import Any

from factorial.comparison.explore import tiles
from factorial.comparison.explore.parts import ANY, CHOSEN, LINK, PARAMS, SCHEMA, Spec, dimmed
from factorial.comparison.figures import style
from factorial.comparison.findings import Findings

ROW = 19  # pixels
SHOWN = 40  # settings on the leaderboard; a chosen one comes besides
OPACITY = dimmed(0.12)
COLOR: Spec = {"field": "color", "type": "nominal", "scale": None}
UNSAID = f"datum.tie ? '{style.COLORS[0]}' : '{style.GREY}'"


def charts(findings: Findings) -> dict[str, Spec]:
    """By name. Which figure of the page each stands for, and what it shows, is among them."""
    measure = findings.comparison.measure
    made = {"leaderboard": leaderboard(findings)}
    for cost, (figure, words) in {
        "seconds": ("cost", "training time of a run (s), log scale"),
        "parameters": ("cost", "parameters of the model, log scale"),
    }.items():
        if findings.board[cost].gt(0).any():
            made[cost] = against(cost, figure, words, measure)
    if (spec := tiles.spec(findings)) is not None:
        made["map"] = spec
    curves = findings.comparison.curves
    held_out = f"validation/{findings.comparison.ranking.name}"
    if len(curves) and curves["train/loss"].notna().any():
        made["loss"] = curve("loss", "training loss (nats), log scale", "log")
    if len(curves) and curves[held_out].notna().any():
        words = f"validation {findings.comparison.ranking.words}"
        made["score"] = curve("score", words, "linear")
    return made


def chart(figure: str, words: str, **more: Any) -> Spec:
    """With what all have in common; `figure` is the drawn one that it stands for on a screen."""
    return {
        "$schema": SCHEMA,
        "description": words,
        "usermeta": {"figure": figure},
        "params": PARAMS,
        "width": "container",
        **more,
    }


def tooltip(measure: str, *more: Spec) -> list[Spec]:
    return [
        {"field": "label", "title": "setting"},
        {"field": "told", "title": measure},
        *more,
        {"field": "run", "title": "run"},
    ]


def leaderboard(findings: Findings) -> Spec:
    """Each setting's mean with its interval, and every seed."""
    measure = findings.comparison.measure
    labels = findings.board["label"].tolist()
    y: Spec = {"field": "label", "type": "nominal", "sort": labels, "title": None,
               "axis": {"labelLimit": {"expr": "max(90, width * 0.6)"}, "grid": True}}  # fmt: skip
    x: Spec = {"type": "quantitative", "scale": {"zero": False}, "title": measure}
    shown: list[Spec] = [
        {"filter": f"datum.s < {SHOWN} || {CHOSEN}"},
        {"calculate": f"colors[datum.s] || ({UNSAID})", "as": "color"},
    ]
    common: Spec = {"y": y, "color": COLOR, "opacity": OPACITY, "href": LINK}
    score = [{"field": "score", "title": "its value"}, {"field": "seed", "title": "seed"}]
    seeds = {"tooltip": tooltip(measure, *score)}
    return chart(
        "leaderboard",
        f"{measure} of each setting, the best first: points are means, lines 95 % intervals over "
        f"seeds, strokes single seeds; blue is not told apart from the best",
        height=ROW * min(len(labels), SHOWN),
        layer=[
            {"data": {"name": "runs"}, "transform": shown,
             "mark": {"type": "tick", "thickness": 1.5, "size": 10, "opacity": 0.6},
             "encoding": common | seeds | {"x": x | {"field": "score"}}},
            {"data": {"name": "settings"}, "transform": [*shown, {"filter": "isValid(datum.low)"}],
             "mark": {"type": "rule", "strokeWidth": 2},
             "encoding": common | {"tooltip": tooltip(measure), "x": x | {"field": "low"},
                                   "x2": {"field": "high"}}},
            {"data": {"name": "settings"}, "transform": shown,
             "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
             "encoding": common | {"tooltip": tooltip(measure), "x": x | {"field": "mean"}}},
        ],
    )  # fmt: skip


def against(cost: str, figure: str, words: str, measure: str) -> Spec:
    """Each setting's mean against what it costs."""
    axis = {"format": "~s" if cost == "parameters" else "~g"}
    x: Spec = {"field": cost, "type": "quantitative", "title": words, "axis": axis,
               "scale": {"type": "log", "nice": False, "padding": 12}}  # fmt: skip
    y: Spec = {"type": "quantitative", "scale": {"zero": False}, "title": measure}
    said = tooltip(measure, {"field": cost, "title": words, "format": ",.4~r"})
    common: Spec = {"x": x, "color": COLOR, "opacity": OPACITY, "href": LINK, "tooltip": said}
    return chart(
        figure,
        f"{measure} of each setting against the {words}; lines are 95 % intervals over seeds",
        height=260,
        data={"name": "settings"},
        transform=[
            {"filter": f"datum.{cost} > 0"},
            {"calculate": f"colors[datum.s] || ({UNSAID})", "as": "color"},
        ],
        layer=[
            {"transform": [{"filter": "isValid(datum.low)"}], "mark": "rule",
             "encoding": common | {"y": y | {"field": "low"}, "y2": {"field": "high"}}},
            {"mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
             "encoding": common | {"y": y | {"field": "mean"}}},
        ],
    )  # fmt: skip


def curve(metric: str, words: str, scale: str) -> Spec:
    """Each run's value by epoch; the best settings are coloured where none is chosen."""
    positive = " && datum.y > 0" if scale == "log" else ""
    said = [{"field": "epoch"}, {"field": "y", "title": words}, {"field": "seed", "title": "seed"}]
    x: Spec = {"field": "epoch", "type": "quantitative", "axis": {"tickMinStep": 1, "format": "d"},
               "scale": {"nice": False, "zero": False}}  # fmt: skip
    y: Spec = {"field": "y", "type": "quantitative", "title": words,
               "scale": {"type": "log"} if scale == "log" else {"zero": False}}  # fmt: skip
    some = str(list(style.COLORS[:6]))
    color = f"colors[datum.s] || (datum.s < 6 ? {some}[datum.s] : '{style.GREY}')"
    quiet = {"condition": {"test": f"({ANY} && datum.s < 6) || {CHOSEN}", "value": 1},
             "value": 0.18}  # fmt: skip
    return chart(
        "curves",
        f"{words} of each run by epoch; the best six settings are coloured, or what is chosen",
        height=260,
        data={"name": "points"},
        transform=[
            {"calculate": f"datum.{metric}", "as": "y"},
            {"filter": f"isValid(datum.y){positive}"},
            {"calculate": color, "as": "color"},
        ],
        mark={"type": "line", "strokeWidth": 1.4,
              "point": {"filled": True, "size": 36, "opacity": 0.35}},
        encoding={"x": x, "y": y, "detail": {"field": "run"}, "color": COLOR, "opacity": quiet,
                  "href": LINK, "tooltip": tooltip("its setting", *said)},
    )  # fmt: skip
