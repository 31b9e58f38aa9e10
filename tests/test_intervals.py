"""Intervals, ties and effects: against closed forms, scipy, statsmodels, and simulation."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.multicomp import pairwise_tukeyhsd

from factorial.comparison import anova, intervals

SIMULATIONS = 500


def planted(
    rng: np.random.Generator, model: float, optimizer: float, both: float, sd: float, seeds: int
) -> pd.DataFrame:
    """A 2 x 2 over seeds, with effects that are known."""
    rows = [
        (m, o, str(seed), 0.9 + model * (m == "mlp") + optimizer * (o == "adam")
         + both * (m == "mlp" and o == "adam") + rng.normal(0, sd))
        for m, o, seed in itertools.product(("linear", "mlp"), ("sgd", "adam"), range(seeds))
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["model", "optimizer", "seed", "score"])


LEVELS = {"model": ["linear", "mlp"], "optimizer": ["sgd", "adam"]}


def groups_of(runs: pd.DataFrame) -> list[list[float]]:
    cells = anova.cells(runs, ["model", "optimizer"], "score")
    order = [("linear", "sgd"), ("mlp", "sgd"), ("linear", "adam"), ("mlp", "adam")]
    return [list(cells[key]) for key in order]


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


def test_intervals_cover_what_was_planted_in_95_of_100_sweeps() -> None:
    """Means, what each factor brings alone, together, and their interaction."""
    rng = np.random.default_rng(1)
    hits = np.zeros(5)
    for _ in range(SIMULATIONS):
        groups = groups_of(planted(rng, 0.05, 0.02, -0.01, 0.004, seeds=5))
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


def test_planted_effects_are_recovered_within_their_intervals() -> None:
    runs = planted(np.random.default_rng(5), 0.05, 0.02, 0.0, 0.002, seeds=8)
    table = anova.level_effects(runs, ["model", "optimizer"], LEVELS, "score")
    assert table["level"].tolist() == ["mlp", "adam"]
    for estimate, truth in zip(table["estimate"], (0.05, 0.02), strict=True):
        assert estimate.low <= truth <= estimate.high


@pytest.mark.slow
def test_shares_are_those_of_the_planted_effects() -> None:
    """Balanced 2 x 2: a factor's variance is (effect / 2)^2, the interaction's (effect / 4)^2."""
    runs = planted(np.random.default_rng(6), 0.04, 0.02, 0.02, 0.003, seeds=200)
    table = anova.analyse(runs, ["model", "optimizer"], "score").table.set_index("term")
    variances = {"model": 0.025**2, "optimizer": 0.015**2, "model x optimizer": 0.005**2}
    total = sum(variances.values()) + 0.003**2
    for term, variance in variances.items():
        line = table.loc[term]
        assert line["share"] == pytest.approx(variance / total, abs=0.02)
        assert line["low"] <= variance / total <= line["high"]
    assert table["share"].sum() == pytest.approx(1)


def test_sums_of_squares_f_and_p_are_those_of_statsmodels() -> None:
    """Three factors, one cell of them empty and one short of a seed, so that the order matters."""
    rng = np.random.default_rng(7)
    rows = [
        (a, b, c, s, rng.normal() + (a == "x") * (c == "u"))
        for a, b, c, s in itertools.product("xy", "pqr", "uv", "012")
    ]
    runs = pd.DataFrame(rows, columns=["a", "b", "c", "seed", "score"])
    runs = runs[~((runs.a == "x") & (runs.b == "p") & (runs.c == "u"))].iloc[1:]
    pairs = "C(a, Sum):C(b, Sum) + C(a, Sum):C(c, Sum) + C(b, Sum):C(c, Sum)"
    fitted = ols(f"score ~ C(a, Sum) + C(b, Sum) + C(c, Sum) + {pairs}", runs).fit()
    expected = anova_lm(fitted, typ=2)
    analysis = anova.analyse(runs, ["a", "b", "c"], "score")
    told = analysis.table.iloc[:6]
    assert told["term"].tolist() == ["a", "b", "c", "a x b", "a x c", "b x c"]
    assert told["df"].tolist() == expected["df"].tolist()[:-1] == [1, 2, 1, 2, 1, 2]
    assert told["sum"].to_numpy() == pytest.approx(expected["sum_sq"].to_numpy()[:-1])
    assert told["F"].to_numpy() == pytest.approx(expected["F"].to_numpy()[:-1])
    assert told["p"].to_numpy() == pytest.approx(expected["PR(>F)"].to_numpy()[:-1])
    assert analysis.rest == fitted.df_resid
    rest = analysis.table.iloc[6:]
    assert rest["sum"].sum() == pytest.approx(fitted.ssr)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_differences_within_seeds_hold_what_was_planted_in_95_of_100_sweeps(seeds: int) -> None:
    rng = np.random.default_rng(31)
    shifts = rng.normal(0, 0.01, (2000, seeds, 1))
    scores = shifts + rng.normal([0.9, 0.92], [0.001, 0.003], (2000, seeds, 2))
    found = [intervals.paired(one, [-1, 1]) for one in scores]
    assert 0.935 <= np.mean([one.low <= 0.02 <= one.high for one in found]) <= 0.965


def test_factors_that_change_together_are_not_told_apart() -> None:
    runs = planted(np.random.default_rng(8), 0.05, 0.02, 0, 0.002, seeds=3)
    together = runs[(runs["model"] == "mlp") == (runs["optimizer"] == "adam")]
    analysis = anova.analyse(together, ["model", "optimizer"], "score")
    assert analysis.table.empty
    assert analysis.notes == [
        "model and optimizer change together: the data can't tell their effects apart"
    ]


def test_a_missing_cell_costs_the_interaction_alone_and_is_named() -> None:
    runs = planted(np.random.default_rng(9), 0.05, 0.02, 0, 0.002, seeds=3)
    partly = runs[(runs["model"] == "linear") | (runs["optimizer"] == "sgd")]
    analysis = anova.analyse(partly, ["model", "optimizer"], "score")
    assert analysis.table["term"].tolist() == ["model", "optimizer", "seeds"]
    assert "model x optimizer: 1 of 4 combinations have no result" in analysis.notes[0]
    effect = anova.level_effects(partly, ["model", "optimizer"], LEVELS, "score")
    assert effect["over"].tolist() == [1, 1]


def test_a_fraction_of_a_design_has_main_effects_and_says_so() -> None:
    """Half of 2 x 2 x 2: every interaction is another factor's main effect."""
    rng = np.random.default_rng(12)
    rows = [
        (a, b, c, s, 0.9 + 0.05 * (a == "1") + rng.normal(0, 0.002))
        for a, b, c, s in itertools.product("01", "01", "01", "012")
        if (int(a) + int(b) + int(c)) % 2 == 0
    ]
    runs = pd.DataFrame(rows, columns=["a", "b", "c", "seed", "score"])
    analysis = anova.analyse(runs, ["a", "b", "c"], "score")
    assert analysis.table["term"].tolist() == ["a", "b", "c", "seeds"]
    assert analysis.table["share"].sum() == pytest.approx(1)
    assert "too few combinations to tell interactions" in analysis.notes[0]


def test_shares_of_an_unbalanced_design_are_said_not_to_add_up() -> None:
    runs = planted(np.random.default_rng(13), 0.05, 0.02, 0.01, 0.002, seeds=3).iloc[1:]
    notes = anova.analyse(runs, ["model", "optimizer"], "score").notes
    assert notes == ["unbalanced: shares of the variance do not add up to 100 %"]


def test_one_seed_has_shares_but_no_intervals() -> None:
    runs = planted(np.random.default_rng(10), 0.05, 0.02, 0, 0.002, seeds=1)
    analysis = anova.analyse(runs, ["model", "optimizer"], "score")
    assert analysis.table["term"].tolist() == ["model", "optimizer", "interactions and noise"]
    assert analysis.table[["low", "high", "F", "p"]].isna().all(axis=None)
    assert any("one seed" in note for note in analysis.notes)


def test_differences_within_seeds_see_what_seeds_share() -> None:
    """A difference that every seed has exactly leaves no width, however much seeds differ."""
    seeds = np.random.default_rng(11).normal(0.9, 0.05, 6)
    found = intervals.paired(np.column_stack([seeds, seeds + 0.02]), [-1, 1])
    assert found.value == pytest.approx(0.02)
    assert not found.high - found.low > 1e-9


@pytest.mark.parametrize("dropped", [0, 1, 2])
def test_a_share_lies_within_its_interval_whatever_seeds_are_missing(dropped: int) -> None:
    rng = np.random.default_rng(30)
    for size in (0.0, 0.003, 0.04):
        runs = planted(rng, size, size / 2, size / 4, 0.003, seeds=5).iloc[dropped:]
        table = anova.analyse(runs, ["model", "optimizer"], "score").table[:3]
        assert table["low"].notna().all()
        assert (table["low"] <= table["share"] + 1e-12).all()
        assert (table["share"] <= table["high"] + 1e-12).all()
