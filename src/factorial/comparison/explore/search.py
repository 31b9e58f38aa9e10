"""What the page of a search is told: a trial with a value stands where a setting does on that of a
comparison, and the search's history is a chart."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from factorial.comparison.explore import clipped
from factorial.comparison.explore.document import number, place_of
from factorial.comparison.explore.parts import (
    AXIS,
    COLOR,
    MARK,
    SILENT,
    Spec,
    chart,
    dimmed,
    tooltip,
)
from factorial.comparison.figures import clipping, style
from factorial.comparison.figures.search import ACCURACY, mean_of
from factorial.comparison.ranking import ACCURACY as RANKING
from factorial.comparison.trial_rows import STATES, level
from factorial.comparison.trials import COMPLETE, FAILED, PRUNED, Trials, ended
from factorial.comparison.wording import share
from factorial.record.reading import RecordedRun

LOOKS: dict[str, Spec] = {
    "complete": {"shape": "circle", "filled": True, "size": 60},
    "pruned": {"shape": "cross", "filled": False, "size": 50},
}
UNSAID = f"datum.state == 'complete' ? '{style.COLORS[0]}' : '{style.GREY}'"


class Beside(NamedTuple):
    """The runs of a search, where MLflow shows each by its id, and what opens that page."""

    runs: Sequence[RecordedRun] = ()
    pages: Mapping[str, str] = {}
    command: str = ""


NOTHING = Beside()


def document(trials: Trials, beside: Beside) -> dict[str, Any]:
    """As that of a comparison: plain JSON. A trial's run is that of its first seed, as far as it
    came."""
    rows = trials.ranked.to_dict("records")
    runs = [first_run(row, beside) for row in rows]
    addresses = list(dict.fromkeys(place_of(run, beside.pages) for run in runs if run))
    return {
        "measure": ACCURACY,
        "things": "trials",
        "factors": ["trial"],
        "settings": [
            setting(trials, place, row) | {"best": run}
            for place, (row, run) in enumerate(zip(rows, runs, strict=True))
        ],
        "addresses": addresses,
        "runs": [
            {"s": place, "run": run, "at": addresses.index(place_of(run, beside.pages))}
            for place, run in enumerate(runs)
            if run
        ],
        "curves": [],
        "cells": [],
        "charts": {"history": history(trials)} if rows else {},
        "command": beside.command,
    }


def first_run(row: Mapping[str, Any], beside: Beside) -> str | None:
    """The id of a trial's run; None where it is not on record any more."""
    runs = ended(row["number"], row["epochs"], beside.runs)
    return min(runs, key=seed).id if runs else None


def seed(run: RecordedRun) -> tuple[int, str]:
    """In the order of numbers, whatever a record from elsewhere has in its place."""
    text = run.params.get("seed", "")
    return len(text), text


def setting(trials: Trials, place: int, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the leaderboard."""
    levels = ", ".join(f"{key}={level(row[key])}" for key in trials.keys)
    state, epochs = STATES[row["state"]], row["epochs"]
    return {
        "s": place,
        "label": f"trial {row['number']}: {levels}",
        "levels": [str(row["number"])],
        "told": f"{share(row['value'])}, {state}, {epochs} {'epoch' if epochs == 1 else 'epochs'}",
        "number": row["number"],
        "state": state,
        "mean": number(row["value"]),
    }


def history(trials: Trials) -> Spec:
    """Each trial's accuracy in the order in which they were asked for, and the best so far."""
    known = trials.table[trials.table["value"].notna()]
    window = clipping.window(known["value"], RANKING)
    ends = clipped.axis(window, known["value"])
    ticks = AXIS | {"values": style.whole_numbers(0, len(trials.table) - 1), "format": "d"}
    x: Spec = {"field": "number", "type": "quantitative", "title": "trial", "axis": ticks,
               "scale": {"nice": False, "padding": 8}}  # fmt: skip
    y: Spec = {"field": "mean", "type": "quantitative", "title": ACCURACY,
               "scale": {"zero": False} | clipped.scale(ends)}  # fmt: skip
    encoding: Spec = {"x": x, "y": y, "color": COLOR, "opacity": dimmed(0.25), **MARK,
                      "tooltip": tooltip(ACCURACY)}  # fmt: skip
    color = {"calculate": f"colors[datum.s] || ({UNSAID})", "as": "color"}
    rows: Spec = {"data": {"name": "settings"}, "transform": [color]}
    points = []
    for state, look in LOOKS.items():
        kept = [{"filter": f"datum.state == '{state}'"}, color, *clipped.within(ends, "mean")]
        mark = {"type": "point", "opacity": 1, **look}
        points.append(rows | {"transform": kept, "mark": mark, "encoding": encoding})
    pruned = "pruned: at the rung where it ended" if (known["state"] == PRUNED).any() else ""
    return chart(
        "history",
        f"{ACCURACY} of each trial, in the order in which they were asked for",
        f"sampler {trials.sampler}; {mean_of(trials)}",
        "circle: complete, cross: pruned",
        "stroke: failed, line: the best so far",
        pruned,
        window.said(known["value"]),
        height=260,
        layer=[
            *best_so_far(trials, x, y, ends),
            *points,
            *clipped.arrows(ends, "y", ["mean"], rows, encoding),
            *failed(trials, x),
        ],
    )


def best_so_far(trials: Trials, x: Spec, y: Spec, ends: clipping.Window) -> list[Spec]:
    complete = trials.table[trials.table["state"] == COMPLETE]
    best = complete["value"].cummax()
    points = zip(complete["number"].tolist(), best.tolist(), strict=True)
    rows = [{"number": one, "mean": number(value)} for one, value in points]
    mark = {"type": "line", "interpolate": "step-after", "strokeWidth": 1.2, "color": style.GREY,
            "clip": ends != clipping.WHOLE, **SILENT}  # fmt: skip
    return [{"data": {"values": rows}, "mark": mark, "encoding": {"x": x, "y": y}}] if rows else []


def failed(trials: Trials, x: Spec) -> list[Spec]:
    """A stroke at the foot of the chart for each trial without a value, which tells why."""
    table = trials.table[trials.table["state"] == FAILED]
    rows = [
        {"number": one, "reason": reason, "said": f"trial {one} failed: {reason}"}
        for one, reason in zip(table["number"].tolist(), table["reason"], strict=True)
    ]
    mark = {"type": "tick", "orient": "vertical", "size": 12, "thickness": 2, "yOffset": -6,
            "color": style.COLORS[1]}  # fmt: skip
    told = [{"field": "number", "title": "failed trial"}, {"field": "reason", "title": "reason"}]
    encoding = {"x": x, "y": {"value": "height"}, "tooltip": told,
                "description": MARK["description"]}  # fmt: skip
    return [{"data": {"values": rows}, "mark": mark, "encoding": encoding}] if rows else []
