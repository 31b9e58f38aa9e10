"""What each factor does: means by level, shares of the variance, interactions."""

import itertools
import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from factorial.comparison import intervals
from factorial.comparison.figures import style
from factorial.comparison.findings import Findings
from factorial.comparison.intervals import Estimate
from factorial.comparison.wording import name

Pair = tuple[str, str]
Levels = list[list[str]]
MOST_PAIRS = 6


def shares(findings: Findings) -> Figure | None:
    """How much of the variance each term explains."""
    table = findings.score.analysis.table
    if table.empty:
        return None
    drawn = style.figure(7.5, 1.2 + 0.3 * len(table))
    axes = drawn.subplots()
    places = range(len(table))
    axes.barh(places, table["share"], height=0.6, color=style.COLORS[5])
    for place, row in zip(places, table.itertuples(), strict=True):
        if math.isfinite(row.low):
            axes.plot([row.low, row.high], [place, place], color="#000000", linewidth=1.4)
    axes.set_yticks(places, [" x ".join(map(name, term.split(" x "))) for term in table["term"]])
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
    panels = list(drawn.subplots(down, across, squeeze=False).flat)
    for unused in panels[len(pairs) :]:
        unused.set_visible(False)
    for axes, pair in zip(panels, pairs, strict=False):
        present = [[level for level in levels[key] if level in set(runs[key])] for key in pair]
        lines(axes, runs, findings.comparison.settings, pair, present)
        axes.set_ylabel(findings.comparison.measure)
    if len(pairs) < len(possible):
        left = [" x ".join(map(name, pair)) for pair in possible if pair not in pairs]
        words = f"{len(pairs)} of {len(possible)} pairs of factors; not shown: {', '.join(left)}"
        style.heading(drawn, words)
    return drawn


def lines(axes: Axes, runs: pd.DataFrame, settings: list[str], pair: Pair, levels: Levels) -> None:
    drawn: list[Estimate | None] = []
    for number, level in enumerate(levels[1]):
        means = [mean(runs, settings, pair, (other, level)) for other in levels[0]]
        points = [(place, one) for place, one in enumerate(means) if one is not None]
        drawn += means
        shift = (number - (len(levels[1]) - 1) / 2) * 0.05
        axes.errorbar(
            [place + shift for place, _ in points],
            [one.value for _, one in points],
            [
                [one.value - one.low for _, one in points],
                [one.high - one.value for _, one in points],
            ],
            label=level,
            markersize=5,
            **style.look(number),
        )
    style.ticks(axes, levels[0])
    axes.set_xlabel(name(pair[0]))
    axes.set_xlim(-0.5, len(levels[0]) - 0.5)
    axes.grid(axis="y")
    bars = "; bars: 95 % intervals" if any(one and one.has_interval for one in drawn) else ""
    axes.set_title(f"means of {style.many(runs.groupby(list(pair)).size())} runs{bars}", loc="left")
    style.beside(axes, name(pair[1]))


def mean(runs: pd.DataFrame, settings: list[str], pair: Pair, at: Pair) -> Estimate | None:
    """The mean over all other settings at two levels, each setting counting the same."""
    here = runs[(runs[pair[0]] == at[0]) & (runs[pair[1]] == at[1])]
    groups = [group.to_numpy(dtype=float) for _, group in here.groupby(settings)["score"]]
    return intervals.contrast(groups, [1 / len(groups)] * len(groups)) if groups else None
