"""Settings by score with their intervals, and what they cost."""

import itertools
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from factorial.comparison.figures import clipping, naming, style
from factorial.comparison.figures.clipping import Window
from factorial.comparison.figures.naming import Names
from factorial.comparison.findings import Findings

FEW = 6  # ticks, where long names leave no room for more
SHOWN = 40  # settings; the others are in the table
AVERAGES = {"seconds": "median time and mean {words}", "parameters": "means"}


def leaderboard(findings: Findings) -> Figure:
    """A row for each setting: its mean, the interval over seeds, every seed, the binomial error."""
    rows = naming.leaders(findings, SHOWN)
    names = naming.names(rows, findings.comparison.settings)
    window = clipping.window(rows["mean"], findings.comparison.ranking)
    drawn = style.figure(7.5, 1.5 + (0.1 + 0.14 * names.lines) * len(rows))
    axes = drawn.subplots()
    seeds = dict(list(findings.comparison.runs.groupby(findings.comparison.labels)["score"]))
    for place, row in enumerate(rows.itertuples()):
        color = style.COLORS[0] if row.tie else style.GREY
        values = seeds[row.label]
        kept = [value for value in values if not window.cuts(value)]
        axes.plot(kept, [place] * len(kept), "|", color=color, markersize=9, alpha=0.6)
        if window.cuts(row.mean):
            clipping.write(axes, window, row.mean, place)
            beyond = [row.mean]
        else:
            interval(axes, window, row, place, color)
            beyond = [row.low, row.high, *values]
        clipping.arrows(axes, window, beyond, [place] * len(beyond), color, across=True)
    axes.set_yticks(range(len(rows)), [names.of[label] for label in rows["label"]])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    if max(len(line) for name in names.of.values() for line in name.splitlines()) > naming.LEGEND:
        axes.xaxis.set_major_locator(MaxNLocator(FEW))
    axes.grid(axis="x")
    axes.set_xlabel(findings.comparison.measure)
    cut = window.said([*rows[["mean", "low", "high"]].to_numpy().flat,
                       *itertools.chain(*(seeds[label] for label in rows["label"]))])  # fmt: skip
    axes.set_title(caption(findings, rows, names, cut), loc="left")
    return drawn


def interval(axes: Axes, window: Window, row: Any, place: int, color: str) -> None:
    """A mean with its interval and, behind it, the binomial error."""
    if hasattr(row, "binomial_low"):
        ends = window.inside([row.binomial_low, row.binomial_high])
        axes.plot(ends, [place, place], color="#E4E4E4", linewidth=7, zorder=1)
    low, _, high = window.bar(row.low, row.mean, row.high)
    axes.plot([low, high], [place, place], color=color, linewidth=1.6)
    axes.plot(row.mean, place, "o", color=color, markersize=5)


def caption(findings: Findings, rows: pd.DataFrame, names: Names, cut: str) -> str:
    some = (
        f", the best {len(rows)} of {len(findings.board)}"
        if len(rows) < len(findings.board)
        else ""
    )
    images = findings.comparison.images
    band = f"\ngrey band: binomial error of {images:,} images" if images else ""
    lines = "line: 95 % interval over seeds" if rows["n"].max() > 1 else "one seed: no interval"
    first = f"{style.many(rows['n'])} a setting{some}; {lines}"
    return f"{first}\nblue: not told apart from the best{cut}{band}{names.said()}"


def cost(findings: Findings) -> Figure | None:
    """Score against training time and against parameters, with both Pareto fronts."""
    known = [name for name in ("seconds", "parameters") if findings.board[name].notna().any()]
    if not known:
        return None
    window = clipping.window(findings.board["mean"], findings.comparison.ranking)
    drawn = style.figure(7.5, 3.2 * len(known))
    units = {"seconds": "training time of a run (s)", "parameters": "parameters of the model"}
    for axes, name in zip(drawn.subplots(len(known), squeeze=False)[:, 0], known, strict=True):
        scatter(axes, findings, name, window)
        axes.set_xlabel(f"{units[name]}, log scale")
        averages = AVERAGES[name].format(words=findings.comparison.ranking.words)
        words = f"{averages} of {style.many(findings.board['n'])} runs"
        axes.set_title(words + window.said(findings.board["mean"]), loc="left")
    return drawn


def scatter(axes: Axes, findings: Findings, name: str, window: Window) -> None:
    rows = findings.board.sort_values(name)
    on_front = rows[f"front_{name}"].astype(bool)
    front = rows[on_front].drop_duplicates([name, "mean"])
    kept = rows[rows["mean"].map(lambda mean: not window.cuts(mean))]
    axes.plot(kept[name], kept["mean"], "o", color=style.GREY, markersize=4, alpha=0.7)
    clipping.arrows(axes, window, rows["mean"], rows[name], style.GREY)
    steps = window.inside(front["mean"])
    axes.plot(front[name], steps, color="#000000", linewidth=0.8, drawstyle="steps-post")
    named = front.tail(style.MOST)  # the best of a long front
    names = naming.names(named, findings.comparison.settings, naming.LEGEND)
    for number, row in enumerate(named.to_dict("records")):
        point = {**style.look(number), "linestyle": "none", "markersize": 7}
        at = window.inside(row["mean"])
        axes.plot(row[name], at, label=names.of[row["label"]], **point)
    axes.set_xscale("log")
    style.log_ticks(axes.xaxis)
    axes.grid()
    axes.set_ylabel(findings.comparison.measure)
    style.beside(axes, f"nothing cheaper is better{names.said(naming.LEGEND)}")
