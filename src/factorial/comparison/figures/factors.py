"""What each factor does: means by level, shares of the variance, interactions."""

import itertools
import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from factorial.comparison import intervals
from factorial.comparison.figures import clipping, naming, places, style
from factorial.comparison.figures.clipping import Window
from factorial.comparison.findings import Findings
from factorial.comparison.intervals import Estimate
from factorial.comparison.wording import name, term

Pair = tuple[str, str]
Levels = list[list[str]]
Means = dict[Pair, Estimate]
MOST_PAIRS = 6


def shares(findings: Findings) -> Figure | None:
    """How much of the variance each term explains."""
    table = findings.score.analysis.table
    if table.empty:
        return None
    drawn = style.figure(7.5, 1.2 + 0.3 * len(table))
    axes = drawn.subplots()
    at = range(len(table))
    axes.barh(at, table["share"], height=0.6, color=style.COLORS[5])
    for place, row in zip(at, table.itertuples(), strict=True):
        if math.isfinite(row.low):
            axes.plot([row.low, row.high], [place, place], color="#000000", linewidth=1.4)
    axes.set_yticks(at, table["term"].map(term))
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.grid(axis="x")
    axes.set_xlabel(f"share of the variance in {findings.comparison.measure}")
    seeds = findings.comparison.runs["seed"].nunique()
    bars = f"line: 95 % jackknife interval over {seeds} seeds"
    some = table["low"].notna().any()
    axes.set_title(bars if some else f"n = {len(findings.comparison.runs)} runs", loc="left")
    return drawn


def interactions(findings: Findings) -> Figure | None:
    """Mean score by the levels of one factor, a line for each level of another."""
    runs, levels = findings.comparison.runs, findings.comparison.levels
    factors = [key for key in findings.comparison.settings if runs[key].nunique() > 1]
    by_levels = sorted(factors, key=lambda key: -runs[key].nunique())
    possible = list(itertools.combinations(by_levels, 2))
    pairs = [pair for pair in possible if runs[pair[1]].nunique() <= style.MOST][:MOST_PAIRS]
    if not pairs:
        return None
    across = min(2, len(pairs))
    down = -(-len(pairs) // across)
    drawn = style.figure(5.2 * across, 2.8 * down)
    panels = list(drawn.subplots(down, across, sharey=True, squeeze=False).flat)
    for unused in panels[len(pairs) :]:
        unused.set_visible(False)
    means = [table(runs, findings, pair) for pair in pairs]
    window = shown(findings, means)
    for axes, pair, each in zip(panels, pairs, means, strict=False):
        present = [[level for level in levels[key] if level in set(runs[key])] for key in pair]
        at = findings.board.reset_index(drop=True).groupby(list(pair)).groups
        lines(axes, each, present, window, {levels: of.tolist() for levels, of in at.items()})
        axes.set_xlabel(name(pair[0]))
        axes.set_ylabel(findings.comparison.measure)
        bars = "; bars: 95 % intervals" if any(one.has_interval for one in each.values()) else ""
        of = style.many(runs.groupby(list(pair)).size())
        cut = window.said([one.value for one in each.values()])
        axes.set_title(f"means of {of} runs{bars}{cut}", loc="left")
        style.beside(axes, name(pair[1]))
    if len(pairs) < len(possible):
        left = [" x ".join(map(name, pair)) for pair in possible if pair not in pairs]
        words = f"{len(pairs)} of {len(possible)} pairs of factors; not shown: {', '.join(left)}"
        style.heading(drawn, words)
    return drawn


def shown(findings: Findings, means: list[Means]) -> Window:
    """Of losses as all settings are; of accuracies as these means are, for one over cells that
    failed and others is no outlier among such means."""
    drawn = pd.Series([one.value for each in means for one in each.values()])
    of = findings.comparison.ranking
    return clipping.window(drawn if of.is_accuracy else findings.board["mean"], of)


def table(runs: pd.DataFrame, findings: Findings, pair: Pair) -> Means:
    """The mean over all other settings at two levels, each setting counting the same; of those
    pairs of levels that have any. An accuracy's interval ends at 0 and 1."""
    settings, is_share = findings.comparison.settings, findings.comparison.ranking.is_accuracy
    means = {}
    for at, here in runs.groupby(list(pair)):
        cells = [cell.to_numpy(dtype=float) for _, cell in here.groupby(settings)["score"]]
        one = intervals.contrast(cells, [1 / len(cells)] * len(cells))
        ends = np.clip([one.low, one.high], 0, 1) if is_share else (one.low, one.high)
        means[at] = one._replace(low=float(ends[0]), high=float(ends[1]))
    return means


def lines(
    axes: Axes, means: Means, levels: Levels, window: Window, settings: Mapping[Pair, list[int]]
) -> None:
    """A line for each level of the second factor; `settings` are at each pair of levels."""
    words = naming.fitted(levels[1], naming.LEGEND)
    for number, (level, label) in enumerate(zip(levels[1], words, strict=True)):
        known = [(at, other) for at, other in enumerate(levels[0]) if (other, level) in means]
        points = [(at, means[other, level]) for at, other in known]
        look, shift = style.look(number), (number - (len(levels[1]) - 1) / 2) * 0.05
        across = [at + shift for at, _ in points]
        drawn = [window.bar(one.low, one.value, one.high) for _, one in points]
        low, values, high = np.array(drawn).reshape(-1, 3).T
        bars = [values - low, high - values]
        marked = window.marked([one.value for _, one in points])
        axes.errorbar(across, values, bars, label=label, markersize=5, markevery=marked, **look)
        for x, value, (_, one), (_, other) in zip(across, values, points, known, strict=True):
            ends = [one.value] if window.cuts(one.value) else [one.low, one.high]
            clipping.arrows(axes, window, ends, [x] * len(ends), look["color"])
            places.point(axes, settings[other, level], x, value)
    style.ticks(axes, levels[0])
    axes.set_xlim(-0.5, len(levels[0]) - 0.5)
    axes.grid(axis="y")
