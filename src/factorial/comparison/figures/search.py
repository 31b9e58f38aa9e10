"""A search: its history, its rungs, and its trials by their settings."""

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from factorial.comparison.figures import clipping, naming, places, style
from factorial.comparison.figures.heights import numbers, scale
from factorial.comparison.ranking import ACCURACY as RANKING
from factorial.comparison.trials import COMPLETE, FAILED, PRUNED, Trials

Shares = dict[str, float]
ACCURACY = "validation accuracy"
MOST_PANELS = 12
LEVELS = 12  # of accuracy in a contour
BEYOND = "as the least that is shown"  # where the scale of colours ends
FEWEST = 6  # different trials that a contour is drawn between


def mean_of(trials: Trials) -> str:
    """What a point is."""
    seeds = len(trials.seeds)
    return "one seed a trial" if seeds == 1 else f"a trial is the mean of {seeds} seeds"


def called(trials: Trials) -> dict[str, str]:
    """The settings, as an axis has room for them."""
    return dict(zip(trials.keys, naming.fitted(trials.keys, naming.LEGEND), strict=True))


def mark(axes: Axes, trials: Trials, numbers: pd.Series, across: Any, up: Any) -> None:
    """Where a page finds each trial: by its place on the leaderboard, from 0."""
    ranks = {number: place for place, number in enumerate(trials.ranked["number"])}
    for number, x, y in zip(numbers, across, up, strict=True):
        places.point(axes, [ranks[number]], x, y)


def cut(axes: Axes, values: pd.Series, across: Any) -> str:
    """The axis of accuracy ends before what lies far below, where arrows stand; said as the end of
    a caption."""
    window = clipping.window(values, RANKING)
    if window.cuts(values):
        clipping.end(axes, window, values)
        clipping.arrows(axes, window, values.tolist(), list(across), style.GREY)
    return window.said(values)


def history(trials: Trials, shares: Shares) -> Figure | None:  # noqa: ARG001
    """Each trial's accuracy in the order in which they were asked for, and the best so far."""
    table = trials.table
    if table["value"].isna().all():
        return None
    drawn = style.figure(7.5, 3.4)
    axes = drawn.subplots()
    complete, pruned = (table[table["state"] == state] for state in (COMPLETE, PRUNED))
    axes.plot(pruned["number"], pruned["value"], "x", color=style.GREY, label="pruned")
    axes.plot(complete["number"], complete["value"], "o", color=style.COLORS[0], label="complete",
              markersize=5)  # fmt: skip
    best = complete["value"].cummax()
    axes.step(complete["number"], best, where="post", color="#000000", linewidth=1,
              label="best so far")  # fmt: skip
    failed = table[table["state"] == FAILED]["number"]
    if len(failed):
        axes.plot(failed, np.zeros(len(failed)), "|", color=style.COLORS[1], markersize=10,
                  transform=axes.get_xaxis_transform(), clip_on=False, label="failed")  # fmt: skip
    axes.set_xlabel("trial")
    axes.set_ylabel(ACCURACY)
    style.whole_ticks(axes.xaxis)
    axes.grid()
    known = table[table["value"].notna()]
    at = "; pruned: at the rung where they ended" if len(pruned) else ""
    at += cut(axes, known["value"], known["number"])
    axes.set_title(f"sampler {trials.sampler}; {mean_of(trials)}{at}", loc="left")
    style.beside(axes)
    return drawn


def climb(trials: Trials, shares: Shares) -> Figure | None:  # noqa: ARG001
    """Accuracy by epochs, rung by rung: where each trial ended."""
    if len(trials.rungs) < 2 or not any(trials.curves):
        return None
    drawn = style.figure(7.5, 3.4)
    axes = drawn.subplots()
    for state, curve in zip(trials.table["state"], trials.curves, strict=True):
        is_whole = state == COMPLETE
        axes.plot(list(curve), list(curve.values()), marker="o", markersize=3,
                  color=style.COLORS[0] if is_whole else style.GREY,
                  linewidth=1.2 if is_whole else 0.7, zorder=3 if is_whole else 2)  # fmt: skip
    if trials.rungs[-1] / trials.rungs[0] > 8 and len(trials.rungs) < 8:
        axes.set_xscale("log")
        axes.minorticks_off()
        axes.set_xticks(trials.rungs, [str(rung) for rung in trials.rungs])
    else:
        style.whole_ticks(axes.xaxis)
    axes.set_xlabel("epochs")
    axes.set_ylabel(ACCURACY)
    axes.grid()
    points = [point for curve in trials.curves for point in curve.items()]
    values = pd.Series([value for _, value in points])
    below = cut(axes, values, [epochs for epochs, _ in points])
    last, window = trials.ranked, clipping.window(values, RANKING)
    mark(axes, trials, last["number"], last["epochs"], window.inside(last["value"]))
    words = f"blue: complete, grey: pruned or failed; {mean_of(trials)}{below}"
    axes.set_title(words, loc="left")
    return drawn


def importances(trials: Trials, shares: Shares) -> Figure | None:
    """Optuna's importance of each setting."""
    if not shares:
        return None
    drawn = style.figure(7.5, 1.2 + 0.3 * len(shares))
    axes = drawn.subplots()
    axes.barh(range(len(shares)), list(shares.values()), height=0.6, color=style.COLORS[5])
    axes.set_yticks(range(len(shares)), naming.fitted([*shares], naming.WIDEST))
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.grid(axis="x")
    axes.set_xlabel("importance (fANOVA): share of the variance of a fitted random forest")
    known = int(trials.table["first"].notna().sum())
    at = f" after epoch {trials.rungs[0]}" if len(trials.rungs) > 1 else ""
    axes.set_title(
        f"of {ACCURACY}{at}, n = {known} trials; not an analysis of variance", loc="left"
    )
    return drawn


def parallel(trials: Trials, shares: Shares) -> Figure | None:
    """A line for each trial through its settings to its accuracy; the better ones on top."""
    table = trials.ranked.iloc[::-1]
    keys = ordered(trials, shares)
    if table.empty or not keys:
        return None
    drawn = style.figure(max(5.0, 1.6 * (len(keys) + 1)), 3.6)
    axes = drawn.subplots()
    window = clipping.window(table["value"], RANKING)
    below = window.said(table["value"], BEYOND)
    table = table.assign(value=window.inside(table["value"]))
    scales = [scale(trials, key) for key in keys] + [numbers(table["value"])]
    heights = np.column_stack(
        [one(table[key]) for one, key in zip(scales, [*keys, "value"], strict=True)]
    )
    norm = Normalize(table["value"].min(), table["value"].max())
    colors = matplotlib.colormaps[style.MAP](norm(table["value"]))
    lines = [list(enumerate(row)) for row in heights]
    for x, column in enumerate(heights.T):
        mark(axes, trials, table["number"], [x] * len(table), column)
    axes.add_collection(LineCollection(lines, colors=colors, linewidths=1.1))
    axes.set_xlim(-0.1, len(keys) + 0.1)
    axes.set_ylim(-0.05, 1.05)
    axes.set_xticks(range(len(keys) + 1), naming.fitted([*keys, ACCURACY], 22))
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    for place, one in enumerate(scales):
        axes.axvline(place, color="#000000", linewidth=0.7)
        at, words = zip(*one.ticks(), strict=True)
        for height, said in zip(at, naming.fitted(words, naming.SHORT), strict=True):
            axes.text(place + 0.03, height, said, fontsize=8, va="center",
                      bbox={"color": "#FFFFFF", "alpha": 0.7, "pad": 0.5})  # fmt: skip
    drawn.colorbar(ScalarMappable(norm, style.MAP), ax=axes, label=ACCURACY)
    axes.set_title(f"n = {len(table)} trials; {mean_of(trials)}{below}", loc="left")
    return drawn


def contour(trials: Trials, shares: Shares) -> Figure | None:
    """Accuracy at the first rung, which all trials have, over the two numbers that mattered most:
    between the trials linear, and beyond them nothing is drawn."""
    table = trials.table[trials.table["first"].notna()]
    keys = [key for key in ordered(trials, shares) if trials.is_numeric(key)][:2]
    scales = [scale(trials, key) for key in keys]
    heights = np.array([one(table[key]) for one, key in zip(scales, keys, strict=True)])
    points = np.unique(heights, axis=1) if len(keys) == 2 else np.zeros((2, 0))
    if points.shape[1] < FEWEST or np.linalg.matrix_rank(points - points[:, :1]) < 2:
        return None  # nothing lies between too few, or on one line
    drawn = style.figure(6.0, 4.2)
    axes = drawn.subplots()
    across, up = heights
    window = clipping.window(table["first"], RANKING)
    shown = window.inside(table["first"])
    colors = axes.tricontourf(across, up, shown, levels=LEVELS, cmap=style.MAP)
    axes.plot(across, up, "o", color="#000000", markersize=3)
    mark(axes, trials, table["number"], across, up)
    for axis, one, key in zip((axes.xaxis, axes.yaxis), scales, keys, strict=True):
        axis.set_ticks(*map(list, zip(*one.ticks(), strict=True)))
        axis.set_label_text(called(trials)[key] + (", log scale" if one.is_log else ""))
    drawn.colorbar(colors, ax=axes, label=ACCURACY)
    at = f" after epoch {trials.rungs[0]}" if len(trials.rungs) > 1 else ""
    below = window.said(table["first"], BEYOND)
    axes.set_title(f"n = {len(table)} trials{at}; {mean_of(trials)}{below}", loc="left")
    return drawn


def slices(trials: Trials, shares: Shares) -> Figure | None:
    """A panel for each setting: every trial's accuracy at its level, later trials darker."""
    table = trials.table[trials.table["value"].notna()]
    keys = ordered(trials, shares)[:MOST_PANELS]
    if table.empty or not keys:
        return None
    across = min(3, len(keys))
    down = -(-len(keys) // across)
    drawn = style.figure(2.6 * across + 1.0, 2.5 * down + 0.4)
    panels = drawn.subplots(down, across, sharey=True, squeeze=False)
    norm = Normalize(0, max(1, int(trials.table["number"].max())))
    for axes, key in zip(panels.flat, keys, strict=False):
        below = slice_of(axes, trials, table, key, norm)
    for unused in list(panels.flat)[len(keys) :]:
        unused.set_visible(False)
    for axes in panels[:, 0]:
        axes.set_ylabel(ACCURACY)
    drawn.colorbar(ScalarMappable(norm, f"{style.MAP}_r"), ax=panels, label="trial")
    style.heading(drawn, f"circle: complete, cross: pruned at some rung; {mean_of(trials)}{below}")
    return drawn


def slice_of(axes: Axes, trials: Trials, table: pd.DataFrame, key: str, norm: Normalize) -> str:
    """What a caption says of its axis of accuracy."""
    one = scale(trials, key)
    below = cut(axes, table["value"], along(trials, table, key))
    inside = clipping.window(table["value"], RANKING).inside
    for state, marker in ((PRUNED, "x"), (COMPLETE, "o")):
        rows = table[table["state"] == state]
        at = along(trials, rows, key)
        axes.scatter(at, rows["value"], c=rows["number"], norm=norm, cmap=f"{style.MAP}_r",
                     marker=marker, s=18, linewidths=1)  # fmt: skip
        mark(axes, trials, rows["number"], at, inside(rows["value"]))
    if not trials.is_numeric(key):
        style.ticks(axes, [str(level) for level in trials.spaces[key]["choices"]])
        axes.set_xlim(-0.5, one.size - 0.5)
    elif trials.is_log(key):
        axes.set_xscale("log")
        style.log_ticks(axes.xaxis)
    axes.set_xlabel(called(trials)[key] + (", log scale" if trials.is_log(key) else ""))
    axes.grid()
    return below


def along(trials: Trials, rows: pd.DataFrame, key: str) -> Any:
    """Numbers as they are, choices as 0, 1, 2 and so on."""
    one = scale(trials, key)
    return rows[key] if trials.is_numeric(key) else one(rows[key]) * max(1, one.size - 1)


def ordered(trials: Trials, shares: Shares) -> list[str]:
    """The settings, those that mattered most first, where that is known."""
    return sorted(trials.keys, key=lambda key: -shares.get(key, 0.0))
