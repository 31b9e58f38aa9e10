"""Factors that only some models have: told within the model, by closed forms and least squares."""

import itertools

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from recorded import compared, planted

from factorial.comparison import anova, findings
from factorial.comparison.effects import level_effects
from factorial.comparison.figures import factors, leaderboard, maps
from factorial.comparison.nested import nesting

ACTIVATIONS = {"linear": ["-"], "mlp": ["relu", "tanh"], "cnn": ["relu", "tanh"]}
SAID = (
    "model.activation does not apply to linear: its effects are told within model, among the "
    "others, and model compares means over its levels"
)


def runs_of(models: list[str], seeds: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    rows = [
        (
            model,
            activation,
            optimizer,
            str(seed),
            rng.normal() + (activation == "tanh") + len(model),
        )
        for model in models
        for activation in ACTIVATIONS[model]
        for optimizer in ("sgd", "adam")
        for seed in range(seeds)
    ]
    columns = ["model", "model.activation", "optimizer", "seed", "score"]
    return pd.DataFrame(rows, columns=columns)


FACTORS = ["model", "model.activation", "optimizer"]


def left(runs: pd.DataFrame, *columns: np.ndarray) -> float:
    """The residual sum of squares of least squares on indicators, by statsmodels."""
    return float(sm.OLS(runs["score"], np.column_stack([np.ones(len(runs)), *columns])).fit().ssr)


def indicators(runs: pd.DataFrame, *keys: str) -> np.ndarray:
    return pd.get_dummies(runs[list(keys)].agg(" ".join, axis=1)).to_numpy(dtype=float)


def test_of_one_model_the_sums_of_squares_are_those_between_its_means() -> None:
    """Balanced: between models their means, within the MLP its two activations' means."""
    runs = runs_of(["linear", "mlp"])
    told = anova.analyse(runs, FACTORS, "score")
    sums = told.table.set_index("term")["sum"]
    grand, by_model = runs["score"].mean(), runs.groupby("model")["score"].transform("mean")
    inner = runs.groupby(["model", "model.activation"])["score"].transform("mean")
    assert sums["model"] == pytest.approx(((by_model - grand) ** 2).sum())
    assert sums["model.activation"] == pytest.approx(((inner - by_model) ** 2).sum())
    assert told.table["term"].tolist()[:5] == [
        "model", "model.activation", "optimizer", "model x optimizer",
        "model.activation x optimizer",
    ]  # fmt: skip
    assert told.table["df"].tolist() == [1, 1, 1, 1, 1, 12]
    assert told.table["share"].sum() == pytest.approx(1)
    assert told.notes[0] == SAID


@pytest.mark.parametrize("dropped", [0, 1, 5])
def test_of_several_models_the_sums_of_squares_are_those_of_least_squares(dropped: int) -> None:
    """With seeds missing too, so that the order of the terms matters."""
    runs = runs_of(["linear", "mlp", "cnn"]).drop(index=[2, 9, 14, 21, 22][:dropped])
    told = anova.analyse(runs, FACTORS, "score").table.set_index("term")
    model, optimizer = indicators(runs, "model"), indicators(runs, "optimizer")
    inner = indicators(runs, "model.activation")
    within = indicators(runs, "model", "model.activation")
    both, deep = indicators(runs, "model", "optimizer"), indicators(runs, "model.activation",
                                                                     "optimizer")  # fmt: skip
    expected = {
        "model": (2, left(runs, optimizer) - left(runs, optimizer, model)),
        "model.activation": (1, left(runs, both) - left(runs, both, inner)),
        "optimizer": (1, left(runs, within) - left(runs, within, optimizer)),
        "model x model.activation": (
            1, left(runs, both, deep) - left(runs, both, deep, within)
        ),
        "model x optimizer": (2, left(runs, within, optimizer) - left(runs, within, both)),
        "model.activation x optimizer": (
            1, left(runs, within, both) - left(runs, within, both, deep)
        ),
    }  # fmt: skip
    assert told.index.tolist()[:6] == list(expected)
    for term, (freedom, squares) in expected.items():
        assert told.loc[term, "df"] == freedom
        assert told.loc[term, "sum"] == pytest.approx(squares), term


def test_the_names_of_levels_change_no_share() -> None:
    runs = runs_of(["linear", "mlp", "cnn"]).drop(index=[4, 17])
    renamed = runs.replace({"linear": "z", "relu": "y", "sgd": "x"})
    one, other = (anova.analyse(each, FACTORS, "score").table["share"] for each in (runs, renamed))
    assert one.tolist() == pytest.approx(other.tolist())


def test_effects_of_levels_compare_what_has_the_factor_and_models_by_their_means() -> None:
    runs = runs_of(["linear", "mlp", "cnn"])
    levels = {
        "model": ["linear", "mlp", "cnn"],
        "model.activation": ["-", "relu", "tanh"],
        "optimizer": ["sgd", "adam"],
    }
    rows = level_effects(runs, FACTORS, levels, "score").set_index(["level", "against"])
    cells = runs.groupby(FACTORS)["score"].mean()
    assert rows["over"].to_dict() == {
        ("mlp", "linear"): 2, ("cnn", "linear"): 2, ("tanh", "relu"): 4, ("adam", "sgd"): 5,
    }  # fmt: skip
    mean = runs.groupby("model")["score"].mean()
    told = rows["estimate"]
    assert told["mlp", "linear"].value == pytest.approx(mean["mlp"] - mean["linear"])
    inner = cells.xs("tanh", level=1) - cells.xs("relu", level=1)
    assert told["tanh", "relu"].value == pytest.approx(inner.mean())


def test_models_that_both_have_a_factor_are_compared_at_its_levels() -> None:
    runs = runs_of(["mlp", "cnn", "linear"])
    runs = runs[~((runs["model"] == "cnn") & (runs["model.activation"] == "tanh"))]
    levels = {"model": ["mlp", "cnn", "linear"], "model.activation": ["relu", "tanh"],
              "optimizer": ["sgd", "adam"]}  # fmt: skip
    rows = level_effects(runs, FACTORS, levels, "score").set_index("level")
    at_relu = runs[runs["model.activation"] == "relu"].groupby("model")["score"].mean()
    assert rows.loc["cnn", "estimate"].value == pytest.approx(at_relu["cnn"] - at_relu["mlp"])


def test_what_is_nested_within_what() -> None:
    runs = runs_of(["linear", "mlp", "cnn"])
    assert nesting(runs[FACTORS]) == {"model.activation": "model"}
    assert nesting(runs[runs["model"] != "linear"][FACTORS]) == {}
    one = runs[runs["model.activation"] != "tanh"]  # one level says what the model does
    assert nesting(one[FACTORS]) == {}
    mixed = runs.assign(optimizer=runs["optimizer"].where(runs.index % 2 == 0, "-"))
    assert nesting(mixed[FACTORS]) == {"model.activation": "model"}


@pytest.mark.slow
def test_a_report_shows_what_has_no_level_as_such() -> None:
    grid = [
        {"model": model, "model.activation": activation, "optimizer": optimizer, "seed": seed}
        for model in ("linear", "mlp")
        for activation in ACTIVATIONS[model]
        for optimizer, seed in itertools.product(("sgd", "adam"), range(3))
    ]
    made = findings.find(compared(planted(grid)))
    assert SAID in made.notes
    assert made.board.set_index("label").loc["linear sgd", "model.activation"] == "-"
    assert {"mlp activation=relu sgd", "mlp activation=tanh sgd"} <= set(made.board["label"])
    assert len(made.board) == 6
    for draw in (factors.shares, factors.interactions, maps.thematic, maps.charts,
                 leaderboard.leaderboard):  # fmt: skip
        assert draw(made) is not None
