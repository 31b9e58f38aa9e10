"""Score against the learning rate, for each optimizer."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from factorial.comparison.figures import clipping, naming, places, style
from factorial.comparison.figures.clipping import Window
from factorial.comparison.findings import Findings
from factorial.comparison.intervals import average
from factorial.comparison.table import label

RATE = "optimizer.lr"
MOST_PANELS = 8
WIDTH = 3.2  # inches of a panel


def sensitivity(findings: Findings) -> Figure | None:
    """A panel for each combination of the other settings that has several rates; None without."""
    comparison = findings.comparison
    if RATE not in comparison.settings or comparison.runs[RATE].nunique() < 2:
        return None
    others = [key for key in comparison.settings if key not in (RATE, "optimizer")]
    runs = comparison.runs.assign(panel=label(comparison.runs, others) if others else "")
    runs = runs[runs[RATE] != "-"].assign(rate=lambda rows: rows[RATE].map(float))
    runs = runs[runs.groupby("panel")["rate"].transform("nunique") > 1]
    if runs.empty:
        return None
    panels, names = shown(findings, runs, others)
    board = findings.board.assign(panel=label(findings.board, others) if others else "")
    window = clipping.window(board["mean"], comparison.ranking)
    across = min(2, len(panels))
    down = -(-len(panels) // across)
    drawn = style.figure(WIDTH * across + 1.6, 2.6 * down + 0.4)
    axes_of = drawn.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for axes, panel in zip(axes_of.flat, panels, strict=False):
        optimizers = comparison.levels.get("optimizer", [""])  # none where it does not vary
        lines(axes, runs[runs["panel"] == panel], optimizers, window)
        for place, row in enumerate(board.to_dict("records")):
            if row["panel"] == panel and row[RATE] != "-":
                places.point(axes, [place], float(row[RATE]), window.inside(row["mean"]))
        style.panel_title(axes, names.of[panel] if others else "", WIDTH)
        axes.set_xlabel("learning rate (log scale)")
        axes.tick_params(labelbottom=True)
        axes.set_ylabel(comparison.measure)
    for unused in list(axes_of.flat)[len(panels) :]:
        unused.set_visible(False)
    handles: dict[str, Any] = {}
    for axes in axes_of.flat:
        handles |= dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    if any(handles):
        drawn.legend(list(handles.values()), list(handles), loc="outside right upper")
    words = style.over_seeds(findings, "bar: lowest to highest")
    if len(panels) < runs["panel"].nunique():
        words += f"; {len(panels)} of {runs['panel'].nunique()} panels"
    style.heading(drawn, words + window.said(findings.board["mean"]) + names.said(), beside=1.5)
    return drawn


def shown(
    findings: Findings, runs: pd.DataFrame, others: list[str]
) -> tuple[list[str], naming.Names]:
    """The panels, the winner's first, then by their best mean; and their names."""
    if not others:
        return [""], naming.Names({}, "")
    board = findings.board.assign(panel=label(findings.board, others))
    board = board[board["panel"].isin(runs["panel"])].drop_duplicates("panel")
    wins = (board[others] == findings.winner[others]).all(axis="columns")
    best = pd.concat([board[wins], board[~wins]]).head(MOST_PANELS)
    return best["panel"].tolist(), naming.names(best, others, by="panel")


def lines(axes: Axes, runs: pd.DataFrame, optimizers: list[str], window: Window) -> None:
    for number, optimizer in enumerate(optimizers):
        of_one = runs[runs["optimizer"] == optimizer] if optimizer else runs
        by_rate = of_one.groupby("rate")["score"].agg([average, "min", "max"])
        kept = by_rate.map(window.inside)
        bars = [kept["average"] - kept["min"], kept["max"] - kept["average"]]
        if len(by_rate):
            look = style.look(number)
            axes.errorbar(kept.index, kept["average"], bars, label=optimizer, markersize=4.5,
                          markevery=window.marked(by_rate["average"]), **look)  # fmt: skip
            for side in ("min", "max"):
                clipping.arrows(axes, window, by_rate[side], by_rate.index, look["color"])
    axes.set_xscale("log")
    style.log_ticks(axes.xaxis)
    axes.grid()
