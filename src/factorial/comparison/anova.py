"""Which factor explains the differences: effects of levels, and shares of the variance."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import fdtrc

from factorial.comparison.intervals import LEVEL, Array, contrast, student
from factorial.comparison.nested import Term, applicable, contains, dummies, nesting, words
from factorial.settings.names import ABSENT

FEWEST = 3  # seeds for a jackknife


def cells(runs: pd.DataFrame, factors: Sequence[str], score: str) -> dict[tuple[str, ...], Array]:
    """The scores of each combination of levels."""
    grouped = runs.groupby(list(factors), sort=False)[score]
    return {key: group.to_numpy(dtype=float) for key, group in grouped}


def level_effects(
    runs: pd.DataFrame, factors: Sequence[str], levels: Mapping[str, Sequence[str]], score: str
) -> pd.DataFrame:
    """Each level against its factor's first: `factor`, `level`, `against`, `estimate`, `over`.

    The difference of means over those `over` settings of the other factors that have both. Of a
    factor within this one, which only one of the two has, the mean counts.
    """
    table = cells(runs, factors, score) if factors else {}
    nests = nesting(runs[list(factors)])
    rows = []
    for factor in factors:
        present = [level for level in levels[factor] if level in set(runs[factor])]
        first, *others = [one for one in present if one != ABSENT or factor not in nests]
        for level in others:
            sides = [matched(table, factors, factor, (level, first), nests, at) for at in (0, 1)]
            both = [rest for rest in sides[0] if rest in sides[1]]
            if not both:
                continue
            groups, weights = [], []
            for side, sign in zip(sides, (1, -1), strict=True):
                for rest in both:
                    groups += side[rest]
                    weights += [sign / len(both) / len(side[rest])] * len(side[rest])
            rows.append((factor, level, first, contrast(groups, weights), len(both)))
    return pd.DataFrame(rows, columns=["factor", "level", "against", "estimate", "over"])


def matched(
    table: Mapping[tuple[str, ...], Array],
    factors: Sequence[str],
    factor: str,
    pair: tuple[str, str],
    nests: Mapping[str, str],
    at: int,
) -> dict[tuple[str, ...], list[Array]]:
    """The scores at one of two levels, by the levels of the other factors that both have."""
    position = factors.index(factor)
    averaged = {position} | {
        place
        for place, other in enumerate(factors)
        if nests.get(other) == factor
        and any(key[place] == ABSENT for key in table if key[position] in pair)
    }
    groups: dict[tuple[str, ...], list[Array]] = {}
    for key, scores in table.items():
        if key[position] == pair[at]:
            rest = tuple(level for place, level in enumerate(key) if place not in averaged)
            groups.setdefault(rest, []).append(scores)
    return groups


class Analysis(NamedTuple):
    """An analysis of variance; `notes` say what could not be told, and why.

    `table` has a row for each term, then for what the terms leave: `term`, `df`, `sum` of squares,
    `share` of the total, its interval `low` and `high`, `F` and `p` (nan where there is none).
    `rest` are the degrees of freedom of what all terms leave, whose mean square is F's denominator.
    """

    table: pd.DataFrame
    notes: list[str]
    rest: int = 0


class Squares(NamedTuple):
    """Sums of squares: of each term (with `freedom`), between all settings, within, and in all."""

    terms: Array
    freedom: list[int]
    model: float  # of all terms together
    between: float
    within: float

    @property
    def total(self) -> float:
        return self.between + self.within


COLUMNS = ["term", "df", "sum", "F", "p", "share", "low", "high"]


def analyse(runs: pd.DataFrame, factors: Sequence[str], score: str) -> Analysis:
    """Type II sums of squares of main effects and two-way interactions.

    F is a term's mean square over that of what all terms leave: seeds and higher interactions.
    Intervals of the shares are `jackknifed`.
    """
    refusal = why_not(runs, factors, score)
    if refusal:
        return Analysis(pd.DataFrame(columns=COLUMNS), refusal)
    settings = runs.groupby(list(factors)).ngroups
    replicated = len(runs) > settings
    terms, notes = estimable(runs, factors, replicated)
    notes = [*words(runs, nesting(runs[list(factors)])), *notes]
    squares = sums_of_squares(runs, factors, terms, score)
    rest = len(runs) - 1 - sum(squares.freedom)
    left = squares.total - squares.model
    if rest < 1 or left < 1e-12 * squares.total:
        why = (
            "as many effects as runs: nothing is left to tell them by"
            if rest < 1
            else "all seeds score alike: nothing to judge effects by"
        )
        return Analysis(pd.DataFrame(columns=COLUMNS), [*notes, why])
    table = pd.DataFrame({"term": [" x ".join(term) for term in terms], "df": squares.freedom})
    table["sum"] = squares.terms
    table["F"] = table["sum"] / table["df"] / (left / rest)
    table["p"] = fdtrc(table["df"], rest, table["F"])
    table["low"], table["high"] = jackknifed(runs, factors, terms, score)
    table.loc[table["p"] > 1 - LEVEL, "low"] *= 0  # a term that may as well be nothing
    if not replicated:
        table[["F", "p"]] = math.nan
        notes.append("one seed: no intervals, since nothing tells an effect from chance")
    table = pd.concat([table, remainder(squares, settings, len(runs))], ignore_index=True)
    table["share"] = table["sum"] / squares.total
    if abs(table["share"].sum() - 1) > 0.001:
        notes.append("unbalanced: shares of the variance do not add up to 100 %")
    return Analysis(table[COLUMNS], notes, rest)


def remainder(squares: Squares, settings: int, runs: int) -> pd.DataFrame:
    """What the terms leave between settings, and what seeds leave within them."""
    noise = runs - settings
    higher = settings - 1 - sum(squares.freedom)
    name = "higher interactions" if noise else "interactions and noise"
    rows = [
        (name, higher, max(squares.between - squares.model, 0.0)),
        ("seeds", noise, squares.within),
    ]
    return pd.DataFrame([row for row in rows if row[1]], columns=["term", "df", "sum"])


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
    nests = nesting(settings)
    columns = (dummies(settings, term, nests) for term in terms)
    matrix = np.hstack([np.ones((len(settings), 1)), *columns])
    return bool(np.linalg.matrix_rank(matrix) < matrix.shape[1])


def estimable(
    runs: pd.DataFrame, factors: Sequence[str], replicated: bool
) -> tuple[list[Term], list[str]]:
    """The terms that the data can tell, and why not the others."""
    terms: list[Term] = [(factor,) for factor in factors]
    settings = runs[list(factors)].drop_duplicates()
    nests = nesting(settings)
    pairs, notes = [], []
    for pair in itertools.combinations(factors, 2):
        both = applicable(settings, pair, nests)
        have, possible = both.groupby(list(pair)).ngroups, int(both[list(pair)].nunique().prod())
        if both[list(pair)].nunique().min() < 2:
            continue  # a factor within one level of the other, or two that none has both of
        if have == possible:
            pairs.append(pair)
        else:
            notes.append(
                f"{pair[0]} x {pair[1]}: {possible - have} of {possible} combinations have no "
                f"result, so their interaction can't be told"
            )
    if pairs and is_aliased(runs, [*terms, *pairs]):
        return terms, [*notes, "too few combinations to tell interactions from each other"]
    wanted = 1 + sum(dummies(settings, term, nests).shape[1] for term in (*terms, *pairs))
    if pairs and not replicated and wanted >= len(runs):
        return terms, [*notes, "one run a setting: interactions can't be told from noise"]
    return terms + pairs, notes


def sums_of_squares(
    runs: pd.DataFrame, factors: Sequence[str], terms: Sequence[Term], score: str
) -> Squares:
    """Type II: what a term explains beyond all the terms that do not contain it.

    A nested factor contains that which it is nested within (Searle, Linear Models, 1971).
    """
    groups = runs.groupby(list(factors), sort=False)[score]
    means, sizes = groups.mean(), groups.size().to_numpy(dtype=float)
    settings, weights = means.index.to_frame(index=False), np.sqrt(sizes)[:, None]
    scores = weights[:, 0] * (means.to_numpy(dtype=float) - runs[score].mean())
    nests = nesting(settings)
    columns = {term: weights * dummies(settings, term, nests) for term in terms}

    def explained(kept: Sequence[Term]) -> float:
        basis = np.linalg.qr(np.hstack([weights, *(columns[term] for term in kept)]))[0]
        return float(((basis.T @ scores) ** 2).sum())

    others = [[other for other in terms if not contains(other, term, nests)] for term in terms]
    pairs = zip(terms, others, strict=True)
    return Squares(
        np.array([explained([*kept, term]) - explained(kept) for term, kept in pairs]).clip(0),
        [columns[term].shape[1] for term in terms],
        explained(terms),
        float((scores**2).sum()),
        float(((runs[score] - groups.transform("mean")) ** 2).sum()),
    )


def jackknifed(
    runs: pd.DataFrame, factors: Sequence[str], terms: Sequence[Term], score: str
) -> tuple[Array, Array]:
    """The 95 % interval of each term's share of the variance; nan with fewer than FEWEST seeds.

    Student's, with the standard error of the delete-one jackknife over whole seeds (Tukey 1958;
    Efron and Stein 1981): around the share of all runs, and made of them. On the scale of Fisher's
    z of the correlation ratio, artanh(sqrt(share)), where small shares have an even spread and
    large ones that of their log-odds.
    """
    parts = [runs[runs["seed"] != seed] for seed in runs["seed"].unique()]
    settings = runs.groupby(list(factors)).ngroups
    n = len(parts)
    if n < FEWEST or any(part.groupby(list(factors)).ngroups < settings for part in parts):
        nothing = np.full(len(terms), math.nan)
        return nothing, nothing.copy()

    def z(part: pd.DataFrame) -> Array:
        squares = sums_of_squares(part, factors, terms, score)
        shares = squares.terms / squares.total if squares.total else math.nan * squares.terms
        result: Array = np.arctanh(np.sqrt(np.minimum(shares, 1 - 1e-12)))
        return result

    left, center = np.array([z(part) for part in parts]), z(runs)
    error = np.sqrt((n - 1) / n * ((left - left.mean(axis=0)) ** 2).sum(axis=0))
    half = student(n - 1) * error
    return np.tanh((center - half).clip(0)) ** 2, np.tanh(center + half) ** 2
