"""How the cells of a grid are laid out, on grids whose results a test has chosen."""

import pytest
from recorded import compared, planted, product

from factorial.comparison import findings
from factorial.comparison.figures import plan
from factorial.comparison.figures.plan import Grid


def grid(*runs: dict[str, object]) -> Grid | None:
    return plan.grid(findings.find(compared(runs)))


def of(**levels: list[object]) -> Grid:
    found = grid(*planted(product(**levels)))
    assert found is not None
    return found


def test_rates_and_epochs_are_the_axes_or_else_what_has_most_numbers() -> None:
    many = of(data_batch=[1, 2, 3, 4], optimizer_lr=[0.1, 0.01], epochs=[1, 2, 3], seed=[0])
    assert (many.rows, many.columns, many.others) == ("optimizer.lr", "epochs", ["data.batch"])
    few = of(model=["linear", "mlp", "cnn"], epochs=[1, 2], data_batch=[1, 2, 3], seed=[0])
    assert (few.rows, few.columns, few.others) == ("data.batch", "epochs", ["model"])
    assert few.levels == (["1", "2", "3"], ["1", "2"])
    assert grid(*planted(product(epochs=[1, 2], seed=[0]))) is None


def lucky() -> list[dict[str, object]]:
    """An optimizer without seeds has the better means, and no rank; a third has no result."""
    runs = [
        {**one, "accuracy": 0.9 + 0.001 * one["seed"] + 0.05 * (one["optimizer"] == "lucky")}
        for one in product(optimizer=["lucky", "won", "lost"], optimizer_lr=[0.1, 0.01],
                           epochs=[1, 2], seed=[0, 1])
        if one["optimizer"] != "lucky" or one["seed"] == 0
    ]  # fmt: skip
    for run in runs:
        if run["optimizer"] == "lost":
            del run["accuracy"]
            run["failure"] = "the training loss is nan"
    return runs


def test_the_winner_s_panel_is_first_and_one_without_a_result_is_there_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = grid(*lucky())
    assert whole is not None
    assert (whole.panels, whole.dropped) == ([("won",), ("lucky",), ("lost",)], 0)
    monkeypatch.setattr(plan, "MOST_PANELS", 2)
    some = grid(*lucky())
    assert some is not None
    assert (some.panels, some.dropped) == ([("won",), ("lucky",)], 1)


@pytest.mark.parametrize(
    ("levels", "geometric"),
    [(["1", "2", "4"], True), (["1", "2", "3"], False), (["1", "2"], False),
     (["0", "1", "10"], False), (["1e-05", "0.0001", "0.001"], True), (["a", "b", "c"], False)],
)  # fmt: skip
def test_levels_are_geometric_where_each_is_the_same_multiple(
    levels: list[str], geometric: bool
) -> None:
    assert plan.is_geometric(levels) == geometric
