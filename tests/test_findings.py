"""What a comparison finds, from runs whose results a test has chosen."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from recorded import compared, planted, product

from factorial.comparison import findings, table
from factorial.comparison.scales import log_error
from factorial.comparison.table import Comparison

SQUARE = product(model=["linear", "mlp"], optimizer=["sgd", "adam"], seed=[0, 1, 2])


def of(accuracies: dict[str, list[float]]) -> Comparison:
    """An optimizer's accuracies, a seed each."""
    return compared(
        {"optimizer": name, "seed": seed, "accuracy": value}
        for name, values in accuracies.items()
        for seed, value in enumerate(values)
    )


def test_the_time_of_a_setting_is_the_median_over_its_runs() -> None:
    comparison = compared(planted(SQUARE))
    runs = comparison.runs.assign(seconds=[1.0, 2.0, 30.0] * 4)
    assert findings.board(replace(comparison, runs=runs))["seconds"].tolist() == [2.0] * 4


def test_ranks_and_ties_are_counts_of_what_is_told_apart() -> None:
    """Two that are alike, one far below both, and one that has a single seed: no rank."""
    accuracies = {
        "adam": [0.951, 0.950, 0.952], "sgd": [0.950, 0.952, 0.949],
        "radam": [0.801, 0.800, 0.802], "nadam": [0.97],
    }  # fmt: skip
    board = findings.board(of(accuracies)).set_index("label")
    assert board["rank"].to_dict() == {"adam": 1, "sgd": 1, "radam": 3, "nadam": None}
    assert board["tied"].to_dict() == {"adam": 1, "sgd": 1, "radam": 0, "nadam": None}
    assert board["tie"].to_dict() == {"adam": True, "sgd": True, "radam": False, "nadam": False}


def test_with_seeds_as_blocks_what_seeds_share_does_not_count() -> None:
    """A difference of 0.01 in every seed, beside 0.05 between seeds; then one of nothing."""
    seeds = [0.90, 0.95, 0.85]
    noise = [0.0005, -0.0005, 0.0]
    above = [seed + 0.01 + by for seed, by in zip(seeds, noise, strict=True)]
    board = findings.board(of({"sgd": seeds, "adam": above})).set_index("label")
    assert board["rank"].to_dict() == {"sgd": 1, "adam": 1}
    assert board["blocked"].to_dict() == {"sgd": 2, "adam": 1}
    beside = [seed + by for seed, by in zip(seeds, [0.002, -0.001, 0.0], strict=True)]
    board = findings.board(of({"sgd": seeds, "adam": beside})).set_index("label")
    assert board["blocked"].to_dict() == {"sgd": 1, "adam": 1}


def test_seeds_are_blocks_only_where_none_is_missing() -> None:
    whole = compared(planted(SQUARE))
    assert findings.board(whole)["blocked"].notna().all()
    assert findings.board(replace(whole, runs=whole.runs.iloc[1:]))["blocked"].isna().all()


def test_no_error_counts_as_half_an_image() -> None:
    comparison = of({"sgd": [1.0, 0.9], "adam": [0.99, 0.0]})
    wanted = [np.log10(0.5 / 6000), -1.0, -2.0, 0.0]
    assert log_error(comparison).tolist() == pytest.approx(wanted)


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_check_within_seeds_needs_two_of_them(seeds: int) -> None:
    comparison = compared(planted([run for run in SQUARE if run["seed"] < seeds]))
    accuracy = findings.find(comparison).score
    assert accuracy.square is not None
    assert (accuracy.checks is not None) == (seeds > 1)


def test_two_settings_never_share_a_label() -> None:
    grid = product(optimizer_beta=[0.5, 0.9], schedule_beta=[0.5, 0.9], seed=[0, 1])
    made = findings.find(compared(planted(grid)))
    assert len(made.board) == 4
    assert set(made.board["n"]) == {2}


def test_a_factor_that_follows_from_another_counts_with_it_as_one() -> None:
    """Of one MLP nobody can tell its hidden layers from the rest of it; the optimizer's effect can
    be told."""
    hidden = {"linear": ["-"], "mlp": ["[128]"]}
    grid = [
        {"model": model, "model.hidden": width, "optimizer": optimizer, "seed": seed}
        for model, widths in hidden.items() for width in widths
        for optimizer in ("sgd", "adam") for seed in (0, 1, 2)
    ]  # fmt: skip
    made = findings.find(compared(planted(grid)))
    terms = made.score.analysis.table["term"].tolist()
    assert terms[:2] == ["optimizer", "model + model.hidden"]
    assert "model and model.hidden change together: they count as one factor" in made.notes
    (adam,) = made.score.levels.query("level == 'adam'")["estimate"]
    assert adam.low <= 0.02 <= adam.high


def test_the_winner_has_seeds_where_others_have() -> None:
    runs = planted(product(model=["linear", "mlp"], seed=[0, 1, 2]))
    lucky = {"model": "cnn", "seed": 0, "accuracy": 0.999}
    made = findings.find(compared([*runs, lucky]))
    assert made.winner["label"] == "mlp"
    assert made.tied == 0


@pytest.mark.parametrize(
    ("size", "gone"),
    [(4, [("mlp", "adam")]), (3, []), (5, [])],
)
def test_only_a_whole_grid_tells_which_of_its_combinations_are_gone(
    size: int, gone: list[tuple[str, str]]
) -> None:
    """A preset's systems leave combinations out by design."""
    runs = pd.DataFrame(
        [("linear", "sgd"), ("linear", "adam"), ("mlp", "sgd")], columns=["model", "optimizer"]
    )
    declared = {"model": ["linear", "mlp"], "optimizer": ["sgd", "adam"]}
    found = table.absent(runs, declared, size)
    assert list(found.columns) == ["model", "optimizer"]
    assert list(found.itertuples(index=False, name=None)) == gone
