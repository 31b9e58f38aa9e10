"""Which factor explains the differences: effects of levels, and shares of the variance."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from factorial.comparison.intervals import LEVEL, Array, contrast, draws

Term = tuple[str, ...]  # one factor, or two that interact
FEWEST = 10  # seeds for a bootstrap: with fewer its intervals are too narrow


def cells(runs: pd.DataFrame, factors: Sequence[str], score: str) -> dict[tuple[str, ...], Array]:
    """The scores of each combination of levels."""
    grouped = runs.groupby(list(factors), sort=False)[score]
    return {key: group.to_numpy(dtype=float) for key, group in grouped}


def level_effects(
    runs: pd.DataFrame, factors: Sequence[str], levels: Mapping[str, Sequence[str]], score: str
) -> pd.DataFrame:
    """Each level against its factor's first: `factor`, `level`, `against`, `estimate`, `over`.

    The difference of means over those `over` settings of the other factors that have both.
    """
    table = cells(runs, factors, score) if factors else {}
    rows = []
    for position, factor in enumerate(factors):
        first, *others = [level for level in levels[factor] if level in set(runs[factor])]
        for level in others:
            pairs = [
                (table[key], table[other])
                for key in table
                if key[position] == level
                and (other := (*key[:position], first, *key[position + 1 :])) in table
            ]
            if not pairs:
                continue
            weights = [1 / len(pairs)] * len(pairs) + [-1 / len(pairs)] * len(pairs)
            groups = [pair[0] for pair in pairs] + [pair[1] for pair in pairs]
            estimate = contrast(groups, weights)
            rows.append((factor, level, first, estimate, len(pairs)))
    return pd.DataFrame(rows, columns=["factor", "level", "against", "estimate", "over"])


class Analysis(NamedTuple):
    """An analysis of variance; `notes` say what could not be told, and why.

    `table` has a row for each term, then for what the terms leave: `term`, `df`, `sum` of squares,
    `share` of the total, its interval `low` and `high`, `F` and `p` (nan where there is none).
    """

    table: pd.DataFrame
    notes: list[str]


def analyse(runs: pd.DataFrame, factors: Sequence[str], score: str) -> Analysis:
    """Type II sums of squares of main effects and two-way interactions (statsmodels).

    Intervals of the shares are percentiles of a bootstrap over whole seeds.
    """
    nothing = pd.DataFrame(columns=["term", "df", "sum", "F", "p", "share", "low", "high"])
    groups = runs.groupby(list(factors), sort=False)[score] if factors else None
    refusal = why_not(runs, factors, score)
    if refusal or groups is None:
        return Analysis(nothing, refusal)
    replicated = len(runs) > groups.ngroups
    terms, notes = estimable(runs, factors, replicated)
    fitted = ols(formula(terms, factors), coded(runs, factors, score)).fit()
    if fitted.df_resid < 1:
        return Analysis(
            nothing, [*notes, "as many effects as runs: nothing is left to tell them by"]
        )
    total = float(((runs[score] - runs[score].mean()) ** 2).sum())
    if fitted.ssr < 1e-12 * total:
        return Analysis(nothing, [*notes, "all seeds score alike: nothing to judge effects by"])
    squares = anova_lm(fitted, typ=2).rename(columns={"PR(>F)": "p"})
    lines = zip(terms, squares.itertuples(index=False), strict=False)
    rows = [(" x ".join(term), int(line.df), line.sum_sq, line.F, line.p) for term, line in lines]
    table = pd.DataFrame(rows, columns=["term", "df", "sum", "F", "p"])
    if not replicated:
        table[["F", "p"]] = math.nan
        notes.append("one seed: no intervals, since nothing tells an effect from chance")
    noise = float(((runs[score] - groups.transform("mean")) ** 2).sum())
    rest = float(squares["sum_sq"].iloc[-1]) - noise
    between = int(fitted.df_resid) - (len(runs) - groups.ngroups)
    if between:
        name = "higher interactions" if replicated else "interactions and noise"
        table.loc[len(table)] = [name, between, max(rest, 0.0), math.nan, math.nan]
    if replicated:
        table.loc[len(table)] = ["seeds", len(runs) - groups.ngroups, noise, math.nan, math.nan]
    table["share"] = table["sum"] / total
    if abs(table["share"].sum() - 1) > 0.001:
        notes.append("unbalanced: shares of the variance do not add up to 100 %")
    bounds = resampled(runs, factors, terms, score)
    table["low"], table["high"] = zip(
        *(bounds.get(term, (math.nan, math.nan)) for term in table["term"]), strict=True
    )
    return Analysis(table, notes)


def why_not(runs: pd.DataFrame, factors: Sequence[str], score: str) -> list[str]:
    """What stands against any analysis of these runs."""
    if not factors:
        return ["no factor varies"]
    if runs[score].nunique() < 2:
        return ["all runs score alike"]
    if is_aliased(runs, [(factor,) for factor in factors]):
        changing = [
            f"{one} and {other}"
            for one, other in itertools.combinations(factors, 2)
            if runs.groupby(one)[other].nunique().max() == 1
            or runs.groupby(other)[one].nunique().max() == 1
        ]
        which = ", ".join(changing) or ", ".join(factors)
        return [f"{which} change together: the data can't tell their effects apart"]
    return []


def is_aliased(runs: pd.DataFrame, terms: Sequence[Term]) -> bool:
    """Whether some effect is a combination of others in these runs."""
    settings = runs[sorted({factor for term in terms for factor in term})].drop_duplicates()
    matrix = np.hstack([np.ones((len(settings), 1)), *(dummies(settings, term) for term in terms)])
    return bool(np.linalg.matrix_rank(matrix) < matrix.shape[1])


def estimable(
    runs: pd.DataFrame, factors: Sequence[str], replicated: bool
) -> tuple[list[Term], list[str]]:
    """The terms that the data can tell, and why not the others."""
    terms: list[Term] = [(factor,) for factor in factors]
    pairs, notes = [], []
    for pair in itertools.combinations(factors, 2):
        have, possible = runs.groupby(list(pair)).ngroups, int(runs[list(pair)].nunique().prod())
        if have == possible:
            pairs.append(pair)
        else:
            notes.append(
                f"{pair[0]} x {pair[1]}: {possible - have} of {possible} combinations have no "
                f"result, so their interaction can't be told"
            )
    if pairs and is_aliased(runs, [*terms, *pairs]):
        return terms, [*notes, "too few combinations to tell interactions from each other"]
    wanted = 1 + sum(math.prod(runs[f].nunique() - 1 for f in term) for term in (*terms, *pairs))
    if pairs and not replicated and wanted >= len(runs):
        return terms, [*notes, "one run a setting: interactions can't be told from noise"]
    return terms + pairs, notes


def coded(runs: pd.DataFrame, factors: Sequence[str], score: str) -> pd.DataFrame:
    """The factors as f0, f1, ..., for a formula takes no dots; the score as y."""
    columns = {f"f{number}": runs[factor] for number, factor in enumerate(factors)}
    return pd.DataFrame(columns | {"y": runs[score].astype(float)})


def formula(terms: Sequence[Term], factors: Sequence[str]) -> str:
    code = {factor: f"C(f{number}, Sum)" for number, factor in enumerate(factors)}
    return "y ~ " + " + ".join(":".join(code[factor] for factor in term) for term in terms)


def resampled(
    runs: pd.DataFrame, factors: Sequence[str], terms: Sequence[Term], score: str
) -> dict[str, tuple[float, float]]:
    """The 95 % percentile interval of each term's share, where all settings have the same seeds."""
    wide = runs.pivot_table(score, list(factors), "seed", sort=False, observed=True)
    if wide.isna().to_numpy().any() or wide.shape[1] < FEWEST:
        return {}  # of other runs than the share is
    settings, scores = wide.index.to_frame(index=False), wide.to_numpy(dtype=float)
    drawn = scores[:, draws(scores.shape[1])].transpose(1, 0, 2)  # [resamples, settings, seeds]
    total = ((drawn - drawn.mean(axis=(1, 2), keepdims=True)) ** 2).sum(axis=(1, 2))
    total = np.where(total > 0, total, math.nan)
    bounds = {}
    for term in terms:
        parts = drawn.mean(axis=2) @ gained(settings, term, terms)
        shares = scores.shape[1] * (parts**2).sum(axis=1) / total
        ends = np.nanpercentile(shares, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
        bounds[" x ".join(term)] = (float(ends[0]), float(ends[1]))
    return bounds


def gained(settings: pd.DataFrame, term: Term, terms: Sequence[Term]) -> Array:
    """The projection whose squared length is a term's type II sum of squares: [settings, settings].

    What the term explains beyond all terms that do not contain it.
    """
    others = [other for other in terms if not set(term) <= set(other)]
    return projection(settings, [*others, term]) - projection(settings, others)


def projection(settings: pd.DataFrame, terms: Sequence[Term]) -> Array:
    """Onto the space of the terms' means."""
    columns = [np.ones((len(settings), 1)), *(dummies(settings, term) for term in terms)]
    matrix = np.hstack(columns)
    result: Array = matrix @ np.linalg.pinv(matrix)
    return result


def dummies(settings: pd.DataFrame, term: Term) -> Array:
    """Indicators of the levels of a factor but the first; products of them for two factors."""
    first: Array
    first, *others = (
        pd.get_dummies(settings[factor], drop_first=True).to_numpy(dtype=float) for factor in term
    )
    for other in others:
        first = (first[:, :, None] * other[:, None, :]).reshape(len(settings), -1)
    return first
