"""A sweep is one parent with a child for every combination, failures among them."""

import itertools
import re
from pathlib import Path

import pytest
from conftest import children, parents, train

from factorial.runs.grid import combinations
from factorial.settings.messages import BadInput


def test_a_grid_is_the_product_of_all_levels() -> None:
    grid = combinations(["model=linear,mlp", "seed=1", "optimizer.lr=0.1,0.01"], {}, [])
    expected = itertools.product(["linear", "mlp"], ["1"], ["0.1", "0.01"])
    assert grid == [[f"model={m}", f"seed={s}", f"optimizer.lr={lr}"] for m, s, lr in expected]


def test_the_order_of_the_factors_changes_no_combination() -> None:
    words = ["model=linear,mlp", "epochs.count=5,10", "seed=range(3)"]
    grids = [combinations(order, {}, []) for order in itertools.permutations(words)]
    assert len({frozenset(map(frozenset, grid)) for grid in grids}) == 1
    assert len(grids[0]) == 12


def test_what_is_typed_has_the_last_word_on_a_preset() -> None:
    params = {"seed": "0,1,2", "epochs": "5,10"}
    grid = combinations(["seed=7", "epochs=smoke"], params, [])
    assert grid == [["seed=7", "epochs=smoke"]]
    assert combinations(["seed=7"], params, []) == [
        ["seed=7", "epochs.count=5"],
        ["seed=7", "epochs.count=10"],
    ]


def test_systems_change_together() -> None:
    systems = [["model=linear", "optimizer=sgd"], ["model=mlp", "optimizer=adam"]]
    assert combinations(["seed=0,1"], {}, systems) == [
        ["model=linear", "optimizer=sgd", "seed=0"],
        ["model=linear", "optimizer=sgd", "seed=1"],
        ["model=mlp", "optimizer=adam", "seed=0"],
        ["model=mlp", "optimizer=adam", "seed=1"],
    ]
    assert combinations(["optimizer=sgd"], {}, systems) == [
        ["model=linear", "optimizer=sgd"],
        ["model=mlp", "optimizer=sgd"],
    ]


def test_ranges_have_levels_and_intervals_do_not() -> None:
    assert combinations(["epochs.count=range(5,16,5)"], {}, []) == [
        ["epochs.count=5"],
        ["epochs.count=10"],
        ["epochs.count=15"],
    ]
    with pytest.raises(BadInput, match=r"interval\(0,1\): allowed is a list of levels"):
        combinations(["optimizer.lr=interval(0,1)"], {}, [])


@pytest.mark.slow
def test_a_glob_stands_for_its_options(tmp_path: Path) -> None:
    done = train(tmp_path, "-m", "data=digits", "optimizer=glob(ada*)", "epochs=1", "plan=true")
    for name in ("adadelta", "adagrad", "adam", "adamw"):
        assert re.search(rf"^ *{name} +new", done.stdout, re.MULTILINE)


GRID = ["data=digits", "optimizer=sgd,adam", "model=linear,mlp", "epochs=2,1"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("outputs")
    done = train(folder, "-m", *GRID)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.mark.slow
def test_a_sweep_is_one_parent_with_a_child_for_each_combination(swept: tuple[Path, str]) -> None:
    (parent,) = parents(swept[0])
    assert parent.info.status == "FINISHED"
    runs = children(swept[0])
    assert {run.data.tags["mlflow.parentRunId"] for run in runs} == {parent.info.run_id}
    seen = {tuple(run.data.params[key] for key in ("model", "optimizer", "epochs")) for run in runs}
    assert seen == set(itertools.product(["linear", "mlp"], ["sgd", "adam"], ["1", "2"]))
    assert len(runs) == 8


@pytest.mark.slow
def test_the_closing_table_holds_every_combination_with_its_accuracies(
    swept: tuple[Path, str],
) -> None:
    for run in children(swept[0]):
        params, metrics = run.data.params, run.data.metrics
        cells = [params["optimizer"], params["model"], params["epochs"]]
        cells += [f"{metrics[f'{split}/accuracy']:.4f}" for split in ("validation", "test")]
        assert any(line.split()[:5] == cells for line in swept[1].splitlines())
    assert "8 combinations, 0 failed" in swept[1]


@pytest.mark.slow
def test_failures_are_recorded_with_their_reason_and_the_others_go_on(tmp_path: Path) -> None:
    words = ["data=digits", "model=linear,mlp", "optimizer=sgd", "epochs=1", "model.hidden=[8]"]
    done = train(tmp_path, "-m", *words, "optimizer.lr=0.1,1e30,-1")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert [parent.info.status for parent in parents(tmp_path)] == ["FAILED"]
    reasons = {run.info.run_name: run.data.tags.get("failure") for run in children(tmp_path)}
    assert len(reasons) == 6
    ended = [run.info.status for run in children(tmp_path)]
    assert sorted(ended) == ["FAILED"] * 5 + ["FINISHED"]
    for part in (
        "the training loss is nan in epoch 1",
        "optimizer.lr=-1: allowed is a finite number above 0",
        "model.hidden is not a setting",
    ):
        assert any(part in (reason or "") for reason in reasons.values())
        assert part in done.stdout
    assert "6 combinations, 5 failed" in done.stdout


@pytest.mark.slow
def test_an_option_that_does_not_exist_stops_a_sweep_before_it_starts(tmp_path: Path) -> None:
    done = train(tmp_path, "-m", "data=digits", "optimizer=sgd,adamm", "epochs=1")
    assert done.returncode == 1
    assert "error: optimizer=adamm: allowed is one of adadelta" in done.stderr
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.slow
def test_a_sweep_without_tracking_ends_in_the_same_table(
    tmp_path: Path, swept: tuple[Path, str]
) -> None:
    done = train(tmp_path, "-m", *GRID, "tracking=off")

    def table(output: str) -> list[list[str]]:
        lines = [line.split() for line in output.splitlines() if line.endswith("FINISHED  ")]
        return [line[:5] for line in lines]  # all but the seconds

    assert table(done.stdout) == table(swept[1])
    assert len(table(done.stdout)) == 8
