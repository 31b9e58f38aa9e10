"""The factors' effects on a scale: differences of what ranks, or ratios of error."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from factorial.comparison import anova, intervals
from factorial.comparison.anova import Analysis
from factorial.comparison.effects import level_effects
from factorial.comparison.estimable import is_aliased
from factorial.comparison.intervals import Estimate, Square
from factorial.comparison.nested import nesting
from factorial.comparison.table import SEED, Comparison, label


@dataclass(frozen=True)
class Scale:
    """The factors' effects on one scale: differences of what ranks, or ratios of error.

    `square` is there for two factors of two levels, with `checks`, the same from
    differences within each seed.
    """

    factors: Mapping[str, list[str]]  # with their levels, in order
    levels: pd.DataFrame
    analysis: Analysis
    square: Square | None
    checks: list[Estimate] | None
    base: float = math.nan  # the mean at the first level of both


def log_error(comparison: Comparison) -> pd.Series:
    """log10 of the share misread; no error at all counts as half an image (Haldane, 1956)."""
    images = comparison.examples.get(comparison.selected_on, 10_000)
    return np.log10((1 - comparison.runs["score"]).clip(lower=0.5 / images))


def scale(runs: pd.DataFrame, comparison: Comparison, column: str) -> Scale:
    varying = [key for key in comparison.settings if runs[key].nunique() > 1]
    present = {
        key: [level for level in comparison.levels[key] if level in set(runs[key])]
        for key in varying
    }
    runs, levels, notes = merged(runs, present)
    factors = list(levels)
    analysis = anova.analyse(runs, factors, column)
    analysis = analysis._replace(notes=notes + analysis.notes)
    aliased = bool(factors) and is_aliased(runs, [(factor,) for factor in factors])
    table = level_effects(runs, [] if aliased else factors, levels, column)
    groups = corners(runs, levels, column)
    if groups is None:
        return Scale(levels, table, analysis, None, None)
    wide = groups.dropna().to_numpy(dtype=float)
    paired = [intervals.paired(wide, weights) for weights in intervals.SQUARE]
    checks = paired if len(wide) > 1 else None
    columns = [groups[key].dropna().to_numpy(dtype=float) for key in groups]
    base = intervals.average(columns[0])
    return Scale(levels, table, analysis, intervals.square(columns), checks, base)


def merged(
    runs: pd.DataFrame, levels: Mapping[str, list[str]]
) -> tuple[pd.DataFrame, dict[str, list[str]], list[str]]:
    """Factors of which one follows from the other, as one factor: nobody can tell them apart.

    One that is nested within another is told within it.
    """
    kept, notes = dict(levels), []
    nests = nesting(runs[list(levels)])
    for one, other in itertools.combinations([key for key in levels if key not in nests], 2):
        if one in kept and other in kept and follows(runs, one, other):
            together = f"{one} + {other}"
            runs = runs.assign(**{together: label(runs, [one, other])})
            kept = {key: value for key, value in kept.items() if key not in (one, other)}
            kept[together] = list(dict.fromkeys(runs[together]))
            notes.append(f"{one} and {other} change together: they count as one factor")
    return runs, kept, notes


def follows(runs: pd.DataFrame, one: str, other: str) -> bool:
    return any(
        runs.groupby(key)[value].nunique().max() == 1 for key, value in ((one, other), (other, one))
    )


def corners(
    runs: pd.DataFrame, levels: Mapping[str, list[str]], column: str
) -> pd.DataFrame | None:
    """Of two factors with two levels, a column for each of the four cells, a row for each seed."""
    if [len(of_factor) for of_factor in levels.values()] != [2, 2]:
        return None
    (first, one), (second, two) = levels.items()
    wide = runs.pivot_table(column, SEED, [first, second], observed=True)
    order = [(one[0], two[0]), (one[1], two[0]), (one[0], two[1]), (one[1], two[1])]
    return wide[order] if set(order) <= set(wide.columns) else None
