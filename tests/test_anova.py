"""Effects and shares of the variance: against statsmodels, closed forms, and what was planted."""

import itertools

import numpy as np
import pandas as pd
import pytest
from recorded import two_by_two
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from factorial.comparison import anova
from factorial.comparison.effects import level_effects

LEVELS = {"model": ["linear", "mlp"], "optimizer": ["sgd", "adam"]}


def test_planted_effects_are_recovered_within_their_intervals() -> None:
    runs = two_by_two(np.random.default_rng(5), 0.05, 0.02, 0.0, 0.002, seeds=8)
    table = level_effects(runs, ["model", "optimizer"], LEVELS, "score")
    assert table["level"].tolist() == ["mlp", "adam"]
    for estimate, truth in zip(table["estimate"], (0.05, 0.02), strict=True):
        assert estimate.low <= truth <= estimate.high


@pytest.mark.slow
def test_shares_are_those_of_the_planted_effects() -> None:
    """Balanced 2 x 2: a factor's variance is (effect / 2)^2, the interaction's (effect / 4)^2."""
    runs = two_by_two(np.random.default_rng(6), 0.04, 0.02, 0.02, 0.003, seeds=200)
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


def test_factors_that_change_together_are_not_told_apart() -> None:
    runs = two_by_two(np.random.default_rng(8), 0.05, 0.02, 0, 0.002, seeds=3)
    together = runs[(runs["model"] == "mlp") == (runs["optimizer"] == "adam")]
    analysis = anova.analyse(together, ["model", "optimizer"], "score")
    assert analysis.table.empty
    assert analysis.notes == [
        "model and optimizer change together: the data can't tell their effects apart"
    ]


def test_a_missing_cell_costs_the_interaction_alone_and_is_named() -> None:
    runs = two_by_two(np.random.default_rng(9), 0.05, 0.02, 0, 0.002, seeds=3)
    partly = runs[(runs["model"] == "linear") | (runs["optimizer"] == "sgd")]
    analysis = anova.analyse(partly, ["model", "optimizer"], "score")
    assert analysis.table["term"].tolist() == ["model", "optimizer", "seeds"]
    assert "model x optimizer: 1 of 4 combinations have no result" in analysis.notes[0]
    effect = level_effects(partly, ["model", "optimizer"], LEVELS, "score")
    assert effect["over"].tolist() == [1, 1]


def test_what_no_results_leave_untold_of_many_pairs_is_one_line() -> None:
    """Each of four ingredients, or five, left out once: no two are left out together."""

    def ablated(names: str) -> pd.DataFrame:
        rng = np.random.default_rng(14)
        rows = [
            (*("no" if name == none else "yes" for name in names), seed, rng.normal(0.9, 0.01))
            for none in ("", *names)
            for seed in "012"
        ]
        return pd.DataFrame(rows, columns=[*names, "seed", "score"])

    runs = ablated("abcd")
    analysis = anova.analyse(runs, ["a", "b", "c", "d"], "score")
    assert analysis.table["term"].tolist() == ["a", "b", "c", "d", "seeds"]
    assert analysis.notes[0] == (
        "6 pairs of factors have combinations without a result, so their interactions can't be "
        "told: a x b, a x c, a x d, b x c, b x d, c x d"
    )
    many = anova.analyse(ablated("abcde"), [*"abcde"], "score")
    assert many.notes[0] == (
        "10 pairs of factors have combinations without a result, so their interactions can't be "
        "told: a x b, a x c, a x d, a x e, b x c, b x d and 4 more"
    )
    few = anova.analyse(runs[runs["d"] == "yes"], ["a", "b", "c"], "score").notes
    assert few[:3] == [
        f"{pair}: 1 of 4 combinations have no result, so their interaction can't be told"
        for pair in ("a x b", "a x c", "b x c")
    ]


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
    runs = two_by_two(np.random.default_rng(13), 0.05, 0.02, 0.01, 0.002, seeds=3).iloc[1:]
    notes = anova.analyse(runs, ["model", "optimizer"], "score").notes
    assert notes == ["unbalanced: shares of the variance do not add up to 100 %"]


def test_one_seed_has_shares_but_no_intervals() -> None:
    runs = two_by_two(np.random.default_rng(10), 0.05, 0.02, 0, 0.002, seeds=1)
    analysis = anova.analyse(runs, ["model", "optimizer"], "score")
    assert analysis.table["term"].tolist() == ["model", "optimizer", "interactions and noise"]
    assert analysis.table[["low", "high", "F", "p"]].isna().all(axis=None)
    assert any("one seed" in note for note in analysis.notes)


@pytest.mark.parametrize("dropped", [0, 1, 2])
def test_a_share_lies_within_its_interval_whatever_seeds_are_missing(dropped: int) -> None:
    rng = np.random.default_rng(30)
    for size in (0.0, 0.003, 0.04):
        runs = two_by_two(rng, size, size / 2, size / 4, 0.003, seeds=5).iloc[dropped:]
        table = anova.analyse(runs, ["model", "optimizer"], "score").table[:3]
        assert table["low"].notna().all()
        assert (table["low"] <= table["share"] + 1e-12).all()
        assert (table["share"] <= table["high"] + 1e-12).all()


FACTORS = ["model", "optimizer"]


def test_the_interval_of_a_share_is_a_jackknife_over_seeds_on_fishers_z() -> None:
    """Shares by statsmodels, without each of four seeds in turn; Student's t of scipy."""
    runs = two_by_two(np.random.default_rng(33), 0.02, 0.012, 0.012, 0.003, seeds=4)

    def z(part: pd.DataFrame) -> np.ndarray:
        model = "score ~ C(model, Sum) * C(optimizer, Sum)"
        sums = anova_lm(ols(model, part).fit(), typ=2)["sum_sq"].to_numpy()
        shares = sums[:3] / sums.sum()
        return 0.5 * np.log((1 + shares**0.5) / (1 - shares**0.5))

    left = np.array([z(runs[runs["seed"] != seed]) for seed in "0123"])
    error = np.sqrt(3 / 4 * ((left - left.mean(axis=0)) ** 2).sum(axis=0))
    half = stats.t.ppf(0.975, 3) * error
    low, high = (np.tanh(z(runs) + sign * half) ** 2 for sign in (-1, 1))
    assert (z(runs) > half).all()
    table = anova.analyse(runs, FACTORS, "score").table[:3]
    assert (table["p"] < 0.05).all()
    assert table["low"].to_numpy() == pytest.approx(low)
    assert table["high"].to_numpy() == pytest.approx(high)


@pytest.mark.slow
def test_a_share_of_nearly_nothing_beside_a_large_one_is_known_to_be_small() -> None:
    rng = np.random.default_rng(38)
    for _ in range(20):
        runs = two_by_two(rng, 0.04, 0.0, 0.0, 0.003, seeds=5)
        table = anova.analyse(runs, FACTORS, "score").table.set_index("term")
        assert table.loc["model", "low"] > 0.85
        assert (table.loc[["optimizer", "model x optimizer"], "high"] < 0.05).all()


def test_three_seeds_that_differ_leave_an_interval_from_0_though_f_tells_the_factor() -> None:
    runs = two_by_two(np.random.default_rng(1), 0.01, 0.0, 0.0, 0.006, seeds=3)
    line = anova.analyse(runs, FACTORS, "score").table.iloc[0]
    assert line["p"] < 0.05
    assert (line["low"], line["high"] > 0.99) == (0, True)


def test_two_seeds_are_too_few_for_intervals_of_shares() -> None:
    runs = two_by_two(np.random.default_rng(34), 0.05, 0.02, 0.01, 0.003, seeds=2)
    table = anova.analyse(runs, FACTORS, "score").table[:3]
    assert table[["low", "high"]].isna().all(axis=None)
    assert table[["F", "p"]].notna().all(axis=None)


def test_a_setting_that_has_one_seed_alone_leaves_none_to_take_out() -> None:
    runs = two_by_two(np.random.default_rng(35), 0.05, 0.02, 0.01, 0.003, seeds=4)
    others = (runs["model"] == "linear") | (runs["optimizer"] == "sgd") | (runs["seed"] == "0")
    table = anova.analyse(runs[others], FACTORS, "score").table[:3]
    assert table[["low", "high"]].isna().all(axis=None)


def test_the_interval_of_a_term_that_may_as_well_be_nothing_begins_at_0() -> None:
    runs = two_by_two(np.random.default_rng(36), 0.05, 0.0, 0.0, 0.003, seeds=5)
    table = anova.analyse(runs, FACTORS, "score").table.set_index("term")
    assert table.loc["model", "p"] < 0.05 < table.loc["model x optimizer", "p"]
    assert table.loc["model x optimizer", "low"] == 0 < table.loc["model", "low"]


def test_seeds_that_agree_on_an_effect_that_f_does_not_tell_leave_an_interval_from_0() -> None:
    """Each seed shifts all scores by ten times the effect, which F counts as noise."""
    runs = two_by_two(np.random.default_rng(39), 0.004, 0.0, 0.0, 0.00001, seeds=5)
    runs["score"] += 0.01 * runs["seed"].astype(float)
    line = anova.analyse(runs, FACTORS, "score").table.iloc[0]
    assert line["p"] > 0.05
    assert (line["low"], line["high"] < 0.2) == (0, True)


@pytest.mark.parametrize(
    ("model", "why"),
    [(0.0, "all runs score alike"),
     (0.05, "all seeds score alike: nothing to judge effects by")],
)  # fmt: skip
def test_seeds_that_score_alike_leave_nothing_to_judge_by(model: float, why: str) -> None:
    runs = two_by_two(np.random.default_rng(37), model, 0.0, 0.0, 0.0, seeds=3)
    analysis = anova.analyse(runs, FACTORS, "score")
    assert analysis.table.empty
    assert analysis.notes == [why]
