"""What the data say, with intervals: means, ties, what each of two factors brings.

All intervals are at 95 %. Those over seeds are Student's t; n = 1 has none, and says so by nan.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit
from statsmodels.stats.libqsturng import qsturng

LEVEL = 0.95
Array = NDArray[np.float64]
Scores = Sequence[float] | Array


class Estimate(NamedTuple):
    """A value, its 95 % interval (nan where there is none), and from how many runs it comes."""

    value: float
    low: float
    high: float
    n: int

    @property
    def has_interval(self) -> bool:
        return math.isfinite(self.low)


def average(values: Scores) -> float:
    """The mean, which is never beyond the values: a rounded sum of equal ones can be."""
    return min(max(math.fsum(values) / len(values), min(values)), max(values))


def variance(values: Scores) -> float:
    """The sample variance; 0 where all values are equal, and nan for a single one."""
    center = average(values)
    squares = math.fsum((value - center) ** 2 for value in values)
    return squares / (len(values) - 1) if len(values) > 1 else math.nan


def mean(values: Scores) -> Estimate:
    """The mean with Student's t interval: m +- t(n - 1) s / sqrt(n)."""
    return contrast([values], [1.0])


def mean_share(values: Scores) -> Estimate:
    """The same for shares, whose interval ends at 0 and 1."""
    if not len(values):
        return Estimate(math.nan, math.nan, math.nan, 0)
    estimate = mean(values)
    return estimate._replace(low=max(estimate.low, 0.0), high=min(estimate.high, 1.0))


def contrast(groups: Sequence[Scores], weights: Sequence[float]) -> Estimate:
    """The sum of weighted group means, with the interval of Welch (1947).

    Variances are the groups' own, degrees of freedom Satterthwaite's; no interval where a group
    has one value, or where none varies.
    """
    value = math.fsum(w * average(group) for w, group in zip(weights, groups, strict=True))
    n = sum(map(len, groups))
    if min(map(len, groups)) < 2:
        return Estimate(value, math.nan, math.nan, n)
    parts = [w * w * variance(g) / len(g) for w, g in zip(weights, groups, strict=True)]
    total = math.fsum(parts)
    if total == 0:  # seeds that score alike leave nothing to judge their spread by
        return Estimate(value, math.nan, math.nan, n)
    freedom = total**2 / sum(p * p / (len(g) - 1) for p, g in zip(parts, groups, strict=True))
    half = student(freedom) * math.sqrt(total)
    return Estimate(value, value - half, value + half, n)


def student(freedom: float) -> float:
    """What Student's t does not exceed, on either side, in 95 of 100 cases."""
    return float(stdtrit(freedom, (1 + LEVEL) / 2))


def binomial(share: float, n: int) -> tuple[float, float]:
    """Wilson's interval (1927) for an accuracy measured on n examples, drawn at random."""
    z = float(ndtri((1 + LEVEL) / 2))
    center = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(center - half, 0.0), min(center + half, 1.0)


def better(groups: Sequence[Scores], examples: int | None) -> NDArray[np.bool_]:
    """Which group (row) has a mean above another's (column) by more than chance gives all k."""
    means = np.array([average(group) for group in groups])
    told: NDArray[np.bool_] = np.subtract.outer(means, means) > least_differences(groups, examples)
    return told


def least_differences(groups: Sequence[Scores], examples: int | None) -> Array:
    """The difference that any two of k means have to exceed, at 5 % for all pairs together: [k, k].

    Games and Howell's test (1976): studentized range of k means, each pair with its own variances,
    but with the smaller group's degrees of freedom, which keeps the level for few seeds. Where no
    group has a second seed the error is the binomial one of `examples`; a group of one seed among
    others that have more is told apart from none.
    """
    means = np.array([average(group) for group in groups])
    sizes = np.array([len(group) for group in groups])
    if sizes.max() < 2 and examples:
        variances, freedom = means * (1 - means) / examples, np.full(len(means), math.inf)
    else:
        # an accuracy is a count: even seeds that score alike are known to a fraction of an image
        least = 1 / (12 * examples**2) if examples else 0.0
        known = [max(variance(g), least) / len(g) if len(g) > 1 else math.inf for g in groups]
        variances, freedom = np.array(known), np.maximum(sizes - 1.0, 1.0)
    k = max(len(groups), 2)
    critical = {df: float(qsturng(LEVEL, k, df)) for df in set(freedom)}
    pairwise = np.vectorize(critical.get)(np.minimum.outer(freedom, freedom))
    result: Array = pairwise * np.sqrt(np.add.outer(variances, variances) / 2)
    return result


def least_difference_blocked(scores: Array, examples: int | None) -> float:
    """The same for a randomized complete block design, one for all pairs: scores are [seeds, k].

    Tukey's test on the residuals, with (seeds - 1)(k - 1) degrees of freedom: it assumes that a
    seed shifts all settings alike, and that their variances are equal.
    """
    seeds, k = scores.shape
    freedom = (seeds - 1) * (k - 1)
    residuals = scores - scores.mean(axis=0) - scores.mean(axis=1, keepdims=True) + scores.mean()
    least = 1 / (12 * examples**2) if examples else 0.0
    error = max(float((residuals**2).sum()) / freedom, least)
    return float(qsturng(LEVEL, k, freedom)) * math.sqrt(error / seeds)


def front(costs: Sequence[float], scores: Sequence[float]) -> list[bool]:
    """Whether each point is on the Pareto front: no other costs no more and scores no less."""
    points = list(zip(costs, scores, strict=True))
    return [
        not any(c <= cost and s >= score and (c, s) != (cost, score) for c, s in points)
        for cost, score in points
    ]


class Square(NamedTuple):
    """Two factors of two levels: what each brings alone, both together, and beyond their sum."""

    first: Estimate
    second: Estimate
    both: Estimate
    interaction: Estimate


# over (base, base), (first, base), (base, second), (first, second)
SQUARE = ((-1, 1, 0, 0), (-1, 0, 1, 0), (-1, 0, 0, 1), (1, -1, -1, 1))


def square(groups: Sequence[Scores]) -> Square:
    """From the scores at (base, base), (first, base), (base, second), (first, second)."""
    return Square(*(contrast(*zip(*used(groups, row), strict=True)) for row in SQUARE))


def used(groups: Sequence[Scores], weights: Sequence[float]) -> list[tuple]:  # type: ignore[type-arg]
    return [(group, weight) for group, weight in zip(groups, weights, strict=True) if weight]


def paired(scores: Array, weights: Sequence[float]) -> Estimate:
    """The mean over seeds of a weighted sum, with Student's interval: scores are [seeds, groups].

    A check on `contrast`, which takes groups as independent: here a seed's scores stay together.
    """
    return mean(scores @ np.asarray(weights, dtype=float))
