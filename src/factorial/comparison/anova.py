"""Which factor explains the differences: shares of the variance, with their tests and intervals."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import fdtrc

from factorial.comparison.estimable import estimable, why_not
from factorial.comparison.intervals import LEVEL, Array, student
from factorial.comparison.nested import Term, contains, dummies, nesting, words

FEWEST = 3  # seeds for a jackknife


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
