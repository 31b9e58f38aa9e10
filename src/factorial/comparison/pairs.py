"""Two settings on the same images: which of them reads what, and how far they differ.

Unpaired errors are wider than they need be: most images are read, or misread, by both. Runs are
paired by seed, and an array holds whether each run (row) reads each image (column).
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from factorial.comparison.intervals import Estimate, student

Correct = NDArray[np.bool_]


class Discordant(NamedTuple):
    """How many images one of two alone reads."""

    first: int
    other: int

    @property
    def p(self) -> float:
        """McNemar's exact test (1947), two-sided: images that one alone reads are as often the
        first's as the other's. Says something of these images' kind, for the two as they are."""
        n = self.first + self.other
        return min(2 * float(bdtr(min(self), n, 0.5)), 1.0) if n else 1.0


class Pair(NamedTuple):
    """`difference` is the first's accuracy less the other's, over `seeds` that both have.

    `each` are the counts of every seed's two runs, `images` those of the two settings: each reads
    an image where more than half of its runs do. `first` and `other` are the images that it alone
    so reads, by their places.
    """

    difference: Estimate
    seeds: list[str]
    each: list[Discordant]
    images: Discordant
    first: NDArray[np.int64]
    other: NDArray[np.int64]


def compare(first: Mapping[str, Correct], other: Mapping[str, Correct]) -> Pair | None:
    """Two settings by what their runs, by seed, read of the same images; None without a seed that
    both have."""
    seeds = [seed for seed in first if seed in other]
    if not seeds:
        return None
    one, two = (np.stack([runs[seed] for seed in seeds]) for runs in (first, other))
    mine, its = majority(one), majority(two)
    return Pair(
        difference(one, two),
        seeds,
        [discordant(*runs) for runs in zip(one, two, strict=True)],
        discordant(mine, its),
        np.flatnonzero(mine & ~its),
        np.flatnonzero(its & ~mine),
    )


def majority(correct: Correct) -> Correct:
    """Which images more than half of the runs read."""
    most: Correct = 2 * correct.sum(axis=0) > len(correct)
    return most


def discordant(first: Correct, other: Correct) -> Discordant:
    return Discordant(int((first & ~other).sum()), int((other & ~first).sum()))


def difference(first: Correct, other: Correct) -> Estimate:
    """The difference of two accuracies, with an interval that holds for other seeds and images.

    Seeds and images are crossed random effects, as readers and cases are where tests of patients
    are compared: the variance of the mean is (MS seeds + max(MS images - MS rest, 0)) / (seeds x
    images), with the degrees of freedom of Hillis (2007, Statistics in Medicine 26:596). MS seeds
    counts as MS rest where it is below, as it is not expected to be: few seeds may differ alike.
    Of one seed the interval holds for other images alone. None where nothing varies.
    """
    apart = first.astype(float) - other
    seeds, images = apart.shape
    value, by_seed, by_image = apart.mean(), apart.mean(axis=1), apart.mean(axis=0)
    if images < 2:
        return Estimate(float(value), math.nan, math.nan, seeds)
    of_images = seeds * float(((by_image - value) ** 2).sum()) / (images - 1)
    if seeds == 1:
        error, freedom = of_images, float(images - 1)
    else:
        of_seeds = images * float(((by_seed - value) ** 2).sum()) / (seeds - 1)
        left = apart - by_seed[:, None] - by_image + value
        rest = float((left**2).sum()) / ((seeds - 1) * (images - 1))
        error = max(of_seeds, rest) + max(of_images - rest, 0.0)
        freedom = (seeds - 1) * (error / of_seeds) ** 2 if of_seeds else math.inf
    if error == 0:
        return Estimate(float(value), math.nan, math.nan, seeds)
    half = student(freedom) * math.sqrt(error / apart.size)
    return Estimate(float(value), max(value - half, -1.0), min(value + half, 1.0), seeds)
