"""What the data say, with intervals: means, ties, what each of two factors brings.

All intervals are at 95 %. Those over seeds are Student's t; n = 1 has none, and says so by nan.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.libqsturng import qsturng
from statsmodels.stats.proportion import proportion_confint

LEVEL = 0.95
RESAMPLES = 2000  # of the bootstrap
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


def mean(values: Scores) -> Estimate:
    """The mean with Student's t interval: m +- t(n - 1) s / sqrt(n)."""
    return contrast([values], [1.0])


def mean_share(values: Scores) -> Estimate:
    """The same for shares, whose interval ends at 0 and 1."""
    if not len(values):
        return Estimate(math.nan, math.nan, math.nan, 0)
    found = mean(values)
    return found._replace(low=max(found.low, 0.0), high=min(found.high, 1.0))


def centre(values: Array) -> float:
    """The mean, within the values: that of equal ones is rounded to beyond them by 1e-16."""
    return float(np.clip(values.mean(), values.min(), values.max()))


def contrast(groups: Sequence[Scores], weights: Sequence[float]) -> Estimate:
    """The sum of weighted group means, with the interval of Welch (1947).

    Variances are the groups' own, degrees of freedom Satterthwaite's; no interval where a group
    has one value, or where none varies.
    """
    arrays = [np.asarray(group, dtype=float) for group in groups]
    value = sum(w * centre(array) for w, array in zip(weights, arrays, strict=True))
    n = sum(map(len, arrays))
    if min(map(len, arrays)) < 2:
        return Estimate(float(value), math.nan, math.nan, n)
    parts = np.array([w * w * a.var(ddof=1) / len(a) for w, a in zip(weights, arrays, strict=True)])
    variance = parts.sum()
    if variance == 0:  # seeds that score alike leave nothing to judge their spread by
        return Estimate(float(value), math.nan, math.nan, n)
    freedom = variance**2 / sum(p * p / (len(a) - 1) for p, a in zip(parts, arrays, strict=True))
    half = stats.t.ppf((1 + LEVEL) / 2, freedom) * math.sqrt(variance)
    return Estimate(float(value), float(value - half), float(value + half), n)


def binomial(share: float, n: int) -> tuple[float, float]:
    """Wilson's interval (1927) for an accuracy measured on n examples, drawn at random."""
    low, high = proportion_confint(share * n, n, alpha=1 - LEVEL, method="wilson")
    return float(low), float(high)


def better(groups: Sequence[Scores], examples: int | None) -> NDArray[np.bool_]:
    """Which group (row) has a mean above another's (column) by more than chance gives all k groups.

    Games and Howell's test (1976): studentized range of k means, each pair with its own variances,
    but with the smaller group's degrees of freedom, which keeps the level for few seeds. Where no
    group has a second seed the error is the binomial one of `examples`; a group of one seed among
    others that have more is told apart from none.
    """
    means = np.array([np.mean(group) for group in groups])
    sizes = np.array([len(group) for group in groups])
    if sizes.max() < 2 and examples:
        variances, freedom = means * (1 - means) / examples, np.full(len(means), math.inf)
    else:
        # an accuracy is a count: even seeds that score alike are known to a fraction of an image
        least = 1 / (12 * examples**2) if examples else 0.0
        variances = np.array(
            [
                max(float(np.var(g, ddof=1)), least) / len(g) if len(g) > 1 else math.inf
                for g in groups
            ]
        )
        freedom = np.maximum(sizes - 1.0, 1.0)
    k = max(len(groups), 2)
    critical = {df: float(qsturng(LEVEL, k, df)) for df in set(freedom)}
    pairwise = np.vectorize(critical.get)(np.minimum.outer(freedom, freedom))
    errors = np.sqrt(np.add.outer(variances, variances) / 2)
    result: NDArray[np.bool_] = np.subtract.outer(means, means) > pairwise * errors
    return result


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


def paired(scores: Array, weights: Sequence[float]) -> tuple[float, float]:
    """The percentile interval of a weighted sum of means, by a bootstrap that draws whole seeds.

    `scores` is [seeds, groups]: what belongs to one seed stays together. A check on `contrast`,
    which takes groups as independent; with few seeds it is the narrower of the two.
    """
    drawn = scores[draws(len(scores))].mean(axis=1) @ np.asarray(weights, dtype=float)
    low, high = np.percentile(drawn, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return float(low), float(high)


def draws(seeds: int) -> NDArray[np.int64]:
    """Resamples of seeds with replacement, the same ones each time: int64 [RESAMPLES, seeds]."""
    return np.random.default_rng(0).integers(seeds, size=(RESAMPLES, seeds))
