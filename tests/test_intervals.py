"""Intervals, ties and effects: against closed forms, scipy, statsmodels, and simulation."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from recorded import two_by_two
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.multicomp import pairwise_tukeyhsd

from factorial.comparison import intervals
from factorial.comparison.effects import cells

SIMULATIONS = 500


LEVELS = {"model": ["linear", "mlp"], "optimizer": ["sgd", "adam"]}


def groups_of(runs: pd.DataFrame) -> list[list[float]]:
    scores = cells(runs, ["model", "optimizer"], "score")
    order = [("linear", "sgd"), ("mlp", "sgd"), ("linear", "adam"), ("mlp", "adam")]
    return [list(scores[key]) for key in order]


def test_the_interval_of_a_mean_is_students() -> None:
    values = [0.91, 0.93, 0.92, 0.95]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    estimate = intervals.mean(values)
    assert estimate.value == pytest.approx(np.mean(values))
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high))


def test_the_interval_of_a_difference_is_welchs() -> None:
    left, right = [0.91, 0.93, 0.92], [0.95, 0.99, 0.94, 0.97]
    expected = stats.ttest_ind(right, left, equal_var=False).confidence_interval(0.95)
    estimate = intervals.contrast([left, right], [-1, 1])
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high))


def test_the_interval_of_a_share_ends_at_0_and_1() -> None:
    assert intervals.mean([1.0, 0.99, 0.9]).high > 1
    assert intervals.mean([0.0, 0.01, 0.1]).low < 0
    assert intervals.mean_share([1.0, 0.99, 0.9]).high == 1
    assert intervals.mean_share([0.0, 0.01, 0.1]).low == 0
    for n in range(1, 500):
        assert intervals.binomial(0.0, n)[0] >= 0 and intervals.binomial(1.0, n)[1] <= 1


@pytest.mark.slow
def test_the_least_difference_of_two_means_is_that_of_the_smaller_groups_freedom() -> None:
    """Studentized range by scipy, of 3 means: Gleason's approximation keeps within 0.2 % of it."""
    groups = [[0.91, 0.93], [0.95, 0.96, 0.94, 0.99, 0.97, 0.95], [0.90, 0.92, 0.97]]
    least = intervals.least_differences(groups, None)
    for i, j in itertools.permutations(range(3), 2):
        pair = groups[i], groups[j]
        freedom = min(map(len, pair)) - 1
        error = sum(np.var(group, ddof=1) / len(group) for group in pair) / 2
        expected = stats.studentized_range.ppf(0.95, 3, freedom) * math.sqrt(error)
        assert least[i, j] == pytest.approx(expected, rel=2e-3)


def test_with_seeds_as_blocks_it_is_tukeys_on_what_seeds_and_settings_leave() -> None:
    """The error by statsmodels, the studentized range by scipy."""
    rng = np.random.default_rng(32)
    scores = rng.normal(0.9, 0.01, (4, 1)) + rng.normal([0.0, 0.02, 0.03], 0.003, (4, 3))
    rows = [(s, k, scores[s, k]) for s, k in itertools.product(range(4), range(3))]
    runs = pd.DataFrame(rows, columns=["seed", "setting", "score"])
    fitted = ols("score ~ C(seed) + C(setting)", runs).fit()
    expected = stats.studentized_range.ppf(0.95, 3, 6) * math.sqrt(fitted.mse_resid / 4)
    assert fitted.df_resid == 6
    assert intervals.least_difference_blocked(scores, None) == pytest.approx(expected, rel=2e-3)


def test_one_value_has_no_interval() -> None:
    estimate = intervals.contrast([[0.9], [0.8, 0.81]], [1, -1])
    assert estimate.value == pytest.approx(0.095)
    assert not estimate.has_interval


def test_seeds_that_score_alike_leave_nothing_to_judge_their_spread_by() -> None:
    estimate = intervals.mean([0.5, 0.5, 0.5])
    assert (estimate.value, estimate.n) == (0.5, 3)
    assert not estimate.has_interval


def test_equal_values_have_their_own_mean_and_no_variance_at_any_number_of_them() -> None:
    for n, value in itertools.product(range(1, 11), np.linspace(0, 1, 997)):
        values = [float(value)] * n
        assert intervals.average(values) == value
        assert n == 1 or intervals.variance(values) == 0
        assert not intervals.mean(values).has_interval


@pytest.mark.parametrize(("images", "spread"), [(144, 0.5), (144, 0.7), (360, 0.7)])
def test_counts_of_few_images_are_a_tie_in_95_of_100_sweeps(images: int, spread: float) -> None:
    """Two seeds whose accuracies are often the same count: that is no certainty."""
    rng = np.random.default_rng(20)
    counts = np.round(rng.normal(0.95 * images, spread, size=(2000, 2, 2)))
    ties = [not intervals.better(list(sweep / images), images).any() for sweep in counts]
    assert np.mean(ties) >= 0.95


def test_the_binomial_interval_is_wilsons() -> None:
    expected = stats.binomtest(9700, 10_000).proportion_ci(method="wilson")
    assert intervals.binomial(0.97, 10_000) == pytest.approx((expected.low, expected.high))


@pytest.mark.slow
def test_intervals_cover_what_was_planted_in_95_of_100_sweeps() -> None:
    """Means, what each factor brings alone, together, and their interaction."""
    rng = np.random.default_rng(1)
    hits = np.zeros(5)
    for _ in range(SIMULATIONS):
        groups = groups_of(two_by_two(rng, 0.05, 0.02, -0.01, 0.004, seeds=5))
        found = [intervals.mean(groups[0]), *intervals.square(groups)]
        truth = [0.9, 0.05, 0.02, 0.06, -0.01]
        hits += [e.low <= t <= e.high for e, t in zip(found, truth, strict=True)]
    coverage = hits / SIMULATIONS
    assert all(0.93 <= share <= 0.97 for share in coverage), coverage


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("settings", [2, 6])
def test_equal_settings_are_a_tie_in_95_of_100_sweeps(seeds: int, settings: int) -> None:
    rng = np.random.default_rng(2)
    sweeps = rng.normal(0.97, 0.002, size=(SIMULATIONS, settings, seeds))
    ties = [not intervals.better(list(sweep), 6000).any() for sweep in sweeps]
    assert np.mean(ties) >= 0.95


def test_unequal_settings_are_told_apart() -> None:
    rng = np.random.default_rng(3)
    groups = [rng.normal(center, 0.002, 5) for center in (0.90, 0.97, 0.971)]
    found = intervals.better(groups, 6000)
    assert found.tolist() == [[False] * 3, [True, False, False], [True, False, False]]


@pytest.mark.slow
def test_no_pair_is_told_apart_that_games_and_howell_hold_for_equal() -> None:
    """The test here has fewer degrees of freedom, so it is the stricter one."""
    rng = np.random.default_rng(4)
    for _ in range(5):
        groups = [rng.normal(0.9 + 0.002 * k, 0.003, 4) for k in range(4)]
        names = np.repeat([0, 1, 2, 3], 4)
        howell = pairwise_tukeyhsd(np.concatenate(groups), names, use_var="unequal").reject
        ours = intervals.better(groups, None)
        pairs = itertools.combinations(range(4), 2)
        for rejected, (i, j) in zip(howell, pairs, strict=True):
            assert rejected or not (ours[i, j] or ours[j, i])


def test_one_seed_each_leaves_the_binomial_error() -> None:
    """Two accuracies on n examples: z = difference / sqrt(p q / n + p' q' / n) against 1.96."""
    for difference, apart in ((0.009, True), (0.005, False)):
        z = difference / math.sqrt(0.97 * 0.03 / 6000 + (0.97 - difference) * 0.03 / 6000)
        assert (z > 1.96) == apart
        assert intervals.better([[0.97], [0.97 - difference]], 6000)[0, 1] == apart
    assert not intervals.better([[0.97], [0.5]], None).any()


def test_a_setting_of_one_seed_among_others_is_told_apart_from_none() -> None:
    found = intervals.better([[0.99], [0.90, 0.901, 0.902], [0.5, 0.501, 0.502]], 6000)
    assert not found[0].any()
    assert not found[:, 0].any()
    assert found[1, 2]


def test_the_front_is_what_nothing_beats() -> None:
    assert intervals.front([1, 2, 3, 2], [0.9, 0.95, 0.94, 0.95]) == [True, True, False, True]
    assert intervals.front([1, 1], [0.8, 0.9]) == [False, True]
    assert intervals.front([1, 2], [0.9, 0.9]) == [True, False]


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_differences_within_seeds_hold_what_was_planted_in_95_of_100_sweeps(seeds: int) -> None:
    rng = np.random.default_rng(31)
    shifts = rng.normal(0, 0.01, (2000, seeds, 1))
    scores = shifts + rng.normal([0.9, 0.92], [0.001, 0.003], (2000, seeds, 2))
    found = [intervals.paired(one, [-1, 1]) for one in scores]
    assert 0.935 <= np.mean([one.low <= 0.02 <= one.high for one in found]) <= 0.965


def test_differences_within_seeds_see_what_seeds_share() -> None:
    """A difference that every seed has exactly leaves no width, however much seeds differ."""
    seeds = np.random.default_rng(11).normal(0.9, 0.05, 6)
    found = intervals.paired(np.column_stack([seeds, seeds + 0.02]), [-1, 1])
    assert found.value == pytest.approx(0.02)
    assert not found.high - found.low > 1e-9
