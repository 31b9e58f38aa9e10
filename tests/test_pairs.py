"""Two settings on the same images: against statsmodels, and intervals that hold what they say."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from recorded import compared
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.weightstats import DescrStatsW

from factorial.comparison import findings, intervals, paired, pairs
from factorial.comparison.findings import Findings
from factorial.comparison.pairs import Discordant
from factorial.comparison.readings import Reading, Readings, gathered
from factorial.record.predictions import Read

TRUTH = 0.03


def drawn(rng: np.random.Generator, seeds: int, images: int, spread: float) -> list[np.ndarray]:
    """Two settings' runs: images are easy or hard for a setting, and a seed shifts its accuracy."""
    runs = []
    for easy in (0.86 + TRUTH / 0.78, 0.86):
        of_image = np.where(rng.random(images) < easy, 0.93, 0.15)
        of_seed = rng.uniform(-spread, spread, (seeds, 1))
        runs.append(rng.random((seeds, images)) < of_image + of_seed)
    return runs


@pytest.mark.parametrize(
    ("first", "other"), [(0, 0), (1, 0), (0, 7), (3, 3), (10, 4), (40, 61), (400, 300), (2000, 1)]
)
def test_mcnemars_p_is_statsmodels(first: int, other: int) -> None:
    expected = mcnemar([[5, first], [other, 9]], exact=True).pvalue if first + other else 1.0
    assert Discordant(first, other).p == pytest.approx(expected, rel=1e-9)


def test_discordant_images_are_counted_and_named() -> None:
    first = np.array([[1, 1, 0, 0, 1, 1]], dtype=bool)
    other = np.array([[1, 0, 0, 1, 0, 0]], dtype=bool)
    found = pairs.compare({"0": first[0]}, {"0": other[0]})
    assert found is not None
    assert found.images == Discordant(3, 1) == found.each[0]
    assert (found.first.tolist(), found.other.tolist()) == ([1, 4, 5], [3])
    assert found.difference.value == pytest.approx(2 / 6)


def test_a_setting_reads_what_more_than_half_of_its_runs_read() -> None:
    two = np.array([[1, 1, 0], [1, 0, 0]], dtype=bool)
    three = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1]], dtype=bool)
    assert pairs.majority(two).tolist() == [True, False, False]
    assert pairs.majority(three).tolist() == [True, True, False]


def test_runs_are_paired_by_the_seeds_that_both_have() -> None:
    rng = np.random.default_rng(0)
    runs = {str(seed): rng.random(50) < 0.8 for seed in range(4)}
    found = pairs.compare({"0": runs["0"], "1": runs["1"]}, {"2": runs["2"], "1": runs["3"]})
    assert found is not None and found.seeds == ["1"]
    assert found.difference.value == pytest.approx(runs["1"].mean() - runs["3"].mean())
    assert pairs.compare({"0": runs["0"]}, {"1": runs["1"]}) is None


def test_the_other_way_round_is_the_same_with_the_other_sign() -> None:
    first, other = drawn(np.random.default_rng(1), 3, 200, 0.03)
    one, two = pairs.difference(first, other), pairs.difference(other, first)
    assert (one.value, one.low, one.high) == pytest.approx((-two.value, -two.high, -two.low))


def test_of_one_seed_the_interval_is_students_over_images() -> None:
    first, other = drawn(np.random.default_rng(2), 1, 200, 0.03)
    found = pairs.difference(first, other)
    expected = DescrStatsW(first[0].astype(float) - other[0]).tconfint_mean()
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.n == 1


@pytest.mark.parametrize("seeds", [2, 4])
def test_the_interval_is_made_of_the_mean_squares_of_a_two_way_layout(seeds: int) -> None:
    """Hillis' formula over the mean squares that statsmodels gives."""
    images = 40
    first, other = drawn(np.random.default_rng(seeds), seeds, images, 0.03)
    apart = first.astype(float) - other
    table = pd.DataFrame({
        "d": apart.ravel(),
        "seed": np.repeat(np.arange(seeds), images),
        "image": np.tile(np.arange(images), seeds),
    })  # fmt: skip
    layout = anova_lm(ols("d ~ C(seed) + C(image)", table).fit())
    squares = layout["sum_sq"] / layout["df"]
    rest = squares["Residual"]
    error = max(squares["C(seed)"], rest) + max(squares["C(image)"] - rest, 0)
    freedom = error**2 / (squares["C(seed)"] ** 2 / (seeds - 1))
    half = intervals.student(freedom) * math.sqrt(error / (seeds * images))
    found = pairs.difference(first, other)
    assert found.value == pytest.approx(apart.mean())
    expected = (max(apart.mean() - half, -1), min(apart.mean() + half, 1))
    assert (found.low, found.high) == pytest.approx(expected)


def test_seeds_that_differ_alike_leave_the_error_of_the_rest() -> None:
    """Each seed's two runs differ by one image of 40, in another one each time."""
    first, other = np.ones((3, 40), dtype=bool), np.ones((3, 40), dtype=bool)
    other[[0, 1, 2], [5, 6, 7]] = False
    found = pairs.difference(first, other)
    apart = first.astype(float) - other
    squares = 3 * ((apart.mean(axis=0) - 1 / 40) ** 2).sum() / 39
    rest = ((apart - apart.mean(axis=0)) ** 2).sum() / (2 * 39)
    half = 1.959964 * math.sqrt(max(squares, rest) / 120)
    assert (found.low, found.high) == pytest.approx((1 / 40 - half, 1 / 40 + half), rel=1e-6)


def test_a_difference_of_accuracies_ends_at_1() -> None:
    """Of two images in three: Student's interval would go to 2.1."""
    first, other = np.array([[1, 1, 0]], dtype=bool), np.zeros((1, 3), dtype=bool)
    for found in (pairs.difference(first, other), pairs.difference(other, first)):
        assert max(abs(found.low), abs(found.high)) == 1
        assert min(found.low, found.high) > -1 or found.value < 0


def test_where_nothing_varies_there_is_no_interval() -> None:
    runs = np.ones((2, 30), dtype=bool)
    assert not pairs.difference(runs, runs).has_interval
    assert not pairs.difference(runs[:, :1], ~runs[:, :1]).has_interval


@pytest.mark.parametrize("seeds", [4, 6])
def test_intervals_hold_for_other_seeds_and_other_images(seeds: int) -> None:
    """95 in 100 of them hold the truth; those over seeds or images alone hold far fewer."""
    rng = np.random.default_rng(seeds)
    held = {"both": 0, "images": 0, "seeds": 0}
    tries = 600
    for _ in range(tries):
        first, other = drawn(rng, seeds, 300, 0.055)
        apart = first.astype(float) - other
        for name, found in {
            "both": pairs.difference(first, other),
            "images": intervals.mean(apart.mean(axis=0)),
            "seeds": intervals.mean(apart.mean(axis=1)),
        }.items():
            held[name] += found.low <= TRUTH <= found.high
    assert 0.925 <= held["both"] / tries <= 0.98
    assert held["images"] / tries < 0.9
    assert held["seeds"] / tries < 0.925


# Of what runs are on record to have read


def reading(setting: int, seed: int, correct: str, images: str = "one") -> Reading:
    """Each image is read (1) or not (0)."""
    right = np.array([sign == "1" for sign in correct])
    labels = np.zeros(len(right), dtype=np.uint8)
    read = Read(labels, np.where(right, 0, 1).astype(np.uint8), np.array([], dtype=int), images)
    return Reading(f"{setting}-{seed}-{images}", setting, str(seed), read, Path())


def of(*runs: Reading, images: str = "validation", missing: int = 0, beyond: int = 0) -> Readings:
    return Readings(images, runs, missing, beyond, gathered(runs))


def test_runs_on_other_images_are_no_pair() -> None:
    """Be they as many, in equal seeds; and of several sets of images that of most seeds counts."""
    mine = [reading(0, seed, "1110") for seed in (0, 1, 2)]
    assert of(*mine, reading(1, 0, "0110", "two")).pair(0, 1) is None
    assert of(*mine, reading(1, 3, "0110")).pair(0, 1) is None
    both = of(
        reading(0, 5, "1", "two"), reading(1, 5, "0", "two"), *mine,
        *(reading(1, seed, "0110") for seed in (0, 1)),
    )  # fmt: skip
    found = both.pair(0, 1)
    assert found is not None
    images, pair = found
    assert (images, pair.seeds, pair.images) == ("one", ["0", "1"], Discordant(1, 0))
    assert pair.difference.value == pytest.approx(0.25)
    # seeds 0 and 1 have nothing in common, although most of the first's runs are theirs
    apart = of(*mine[:2], reading(0, 2, "10", "two"),
               *(reading(1, seed, "01", "two") for seed in (0, 1, 2)))  # fmt: skip
    other = apart.pair(0, 1)
    assert other is not None and other[0] == "two"
    assert (other[1].seeds, other[1].images) == (["2"], Discordant(1, 1))
    turned = both.pair(1, 0)
    assert turned is not None and turned[1].images == Discordant(0, 1)


def ranked(settings: int) -> Findings:
    """Settings whose accuracies fall by 0.01."""
    return findings.find(compared(
        {"optimizer": f"o{place}", "seed": seed, "accuracy": 0.95 - 0.01 * place + 0.001 * seed}
        for place in range(settings) for seed in (0, 1)
    ))  # fmt: skip


def test_the_winner_is_beside_each_of_the_five_that_come_next() -> None:
    read = [*"1" * 9, "0"]
    runs = [reading(place, seed, "".join(read[place:] + read[:place]))
            for place in range(7) for seed in (0, 1)]  # fmt: skip
    rows = paired.rows(ranked(7), of(*runs))
    assert [row["setting"] for row in rows] == ["o1", "o2", "o3", "o4", "o5"]
    assert {row["seeds"] for row in rows} == {"2"}
    easier = of(
        reading(0, 0, "1111100000"), reading(0, 1, "1111100000"),
        reading(1, 0, "0000010000"), reading(1, 1, "0000000000"),
    )  # fmt: skip
    (row,) = paired.rows(ranked(3), easier)
    assert row["images the winner alone reads"] == "5" and row["it alone"] == "0"
    assert row["McNemar's p"] == f"{2 * 0.5**5:.4f}"
    # of six images, one is the other's; then five of five
    assert row["of each seed"] == f"{2 * 7 * 0.5**6:.4f}, {2 * 0.5**5:.4f}"
    assert row["the winner's accuracy less its"].startswith("+0.4500 (")


def test_what_paired_numbers_are_of_is_said() -> None:
    made = ranked(2)
    said = paired.note(made, of())
    assert "on the same validation images, by the seeds" in said and "no predictions" not in said
    told = paired.note(made, of(images="test", missing=3))
    assert "on the same test images, which chose the winner, by" in told
    assert told.endswith(" 3 runs have no predictions on record.")
