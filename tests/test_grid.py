"""What a sweep consists of, before anything runs: the product of all levels, each told apart."""

import itertools
import re
import subprocess
import sys
from typing import Any

import pytest

from factorial.runs.grid import combinations
from factorial.settings.messages import BadInput

LINEAR = ["model=linear", "optimizer=sgd"]


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


@pytest.mark.parametrize(
    ("params", "systems", "named"),
    [
        ("foo", [], "hydra.sweeper.params=foo: allowed are KEY: LEVELS, such as seed: 0,1,2"),
        ({}, ["model=mlp"], "hydra.sweeper.systems=[model=mlp]: allowed is a list of lists"),
        ({}, [["mlp"]], "hydra.sweeper.systems=[[mlp]]: allowed is a list of lists of KEY=VALUE"),
        ({}, "mlp", "hydra.sweeper.systems=mlp: allowed is a list of lists of KEY=VALUE"),
        ({}, 3, "hydra.sweeper.systems=3: allowed is a list of lists of KEY=VALUE"),
        (
            {"epochs": 1},
            [["epochs.count=2"]],
            "hydra.sweeper: epochs stands in params and in systems",
        ),
        ({"optimizer.eps": 1}, [["seed=0"], ["+optimizer.eps=2"]], "hydra.sweeper: optimizer.eps "),
    ],
)
def test_a_presets_sweep_of_another_form_is_named(params: Any, systems: Any, named: str) -> None:
    with pytest.raises(BadInput, match=f"^{re.escape(named)}"):
        combinations([], params, systems)


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


def test_a_sweep_has_at_least_one_combination_and_at_most_100_000() -> None:
    with pytest.raises(BadInput, match="100489 combinations: allowed are 100000 in one sweep"):
        combinations(["seed=range(0,317)", "data.seed=range(0,317)"], {}, [])
    for word in ("seed=range(3,3)", "seed=range(0,100001)"):
        with pytest.raises(BadInput, match="allowed is what gives 1 to 100000 levels"):
            combinations([word], {}, [])


def test_a_level_typed_twice_is_one_combination() -> None:
    grid = combinations(["seed=1,2,1", "model=linear,linear"], {}, [])
    assert grid == [["seed=1", "model=linear"], ["seed=2", "model=linear"]]


NO_FACTORS = {
    "outputs=a,b": "outputs=a,b: allowed is one value, for it changes no result",
    "report=true,false": "report=True,False: allowed is one value, for it changes no result",
    "plan=true,false": "plan=True,False: allowed is one value, for it changes no result",
    "fresh=true,false": "fresh=True,False: allowed is one value, for it changes no result",
    "retries=1,2": "retries=1,2: allowed is one value, for it changes no result",
    "cadence=1,2": "cadence=1,2: allowed is one value, for it changes no result",
    "on_failure=stop,continue": "on_failure=stop,continue: allowed is one value",
    "name=a,b": "name=a,b: allowed is one value, for it changes no result",
    "++tags.a=1,2": "tags.a=1,2: allowed is one value, for it changes no result",
    "ledger=a,b": "ledger=a,b: allowed is one value, for it changes no result",
    "tracking=local,off": "tracking=local,off: allowed is one value, for it changes no result",
    "tracking.experiment=a,b": "tracking.experiment=a,b: allowed is one value",
    "data.root=a,b": "data.root=a,b: allowed is one value, for it changes no result",
    "hydra/launcher=basic,joblib": "hydra/launcher=basic,joblib: allowed is one value",
    "experiment=article,factors": "experiment=article,factors: allowed is one, for a preset is",
    "device.threads=null,2": "device.threads=null,2: allowed are numbers, for null is one of them",
}


@pytest.mark.parametrize("word", NO_FACTORS)
def test_what_could_not_be_told_apart_on_record_is_no_factor(word: str) -> None:
    with pytest.raises(BadInput) as caught:
        combinations(["seed=0,1", word], {}, [])
    assert str(caught.value).startswith(NO_FACTORS[word])


@pytest.mark.parametrize("word", ["device=cpu,cuda", "device.threads=1,2", "device.precision=a,b"])
def test_where_and_how_precisely_a_run_computes_may_vary(word: str) -> None:
    assert len(combinations([word], {}, [])) == 2


def test_a_grid_that_is_wrong_is_refused_before_torch_is_imported() -> None:
    loaded = "import sys, factorial.runs.grid; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
