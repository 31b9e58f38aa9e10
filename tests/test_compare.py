"""Which runs are compared, and what is a column: from the record alone."""

import itertools
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import recorded
from conftest import ROOT
from recorded import opened, planted, product, seen_anew, single, sweep
from sqlalchemy import event

from factorial.comparison import findings, levels, table
from factorial.comparison.table import Comparison
from factorial.record import selection, writing
from factorial.record.selection import Asked
from factorial.settings.messages import BadInput

pytestmark = pytest.mark.slow

SQUARE = product(model=["linear", "mlp"], optimizer=["sgd", "adam"], seed=[0, 1, 2])


@pytest.fixture(scope="module")
def square(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep that tests read, and nothing writes to."""
    folder = tmp_path_factory.mktemp("square")
    sweep(opened(folder), planted(SQUARE))
    return folder


def load(folder: Path, rank_by: str = "validation/accuracy", **asked: str) -> Comparison:
    store = seen_anew(folder)
    words = {"sweep": None, "experiment": None, "filter": None} | asked
    return table.load(store, selection.select(store, Asked(**words)), rank_by)


def test_the_newest_sweep_is_the_default_and_others_go_by_how_they_begin(tmp_path: Path) -> None:
    store = opened(tmp_path)
    sweep(store, planted(SQUARE))
    second = sweep(store, planted(product(model=["linear", "mlp"], seed=[0, 1])))
    first = selection.select(seen_anew(tmp_path), Asked(None, "planted", None))
    assert len(first.runs) == 12 + 4
    newest = load(tmp_path)
    assert newest.parent == second.id
    assert newest.settings == ["model"]
    older = next(past for past in first.runs if past.parent != second.id)
    again = load(tmp_path, sweep=older.tags["sweep"][:8])
    assert again.settings == ["model", "optimizer"]
    assert len(load(tmp_path, sweep=second.id[:6]).runs) == 4


def test_a_filter_is_mlflows(square: Path) -> None:
    found = load(square, filter="params.model = 'mlp'")
    assert found.settings == ["optimizer"]
    assert found.shared["model"] == "mlp"
    assert len(found.runs) == 6


def test_what_varies_is_a_column_and_the_rest_is_said_once(square: Path) -> None:
    found = load(square)
    assert found.settings == ["model", "optimizer"]
    assert found.shared == recorded.SHARED
    assert found.levels == {"model": ["linear", "mlp"], "optimizer": ["sgd", "adam"]}
    assert set(found.labels) == {"linear sgd", "linear adam", "mlp sgd", "mlp adam"}


def test_a_setting_that_follows_from_its_group_is_no_factor(tmp_path: Path) -> None:
    rates = {"sgd": 0.1, "adam": 0.001}
    runs = [{**run, "optimizer.lr": rates[run["optimizer"]]} for run in planted(SQUARE)]
    store = opened(tmp_path)
    for run in runs:
        single(store, run, {})
    assert load(tmp_path, experiment="planted").settings == ["model", "optimizer"]


def test_levels_are_spelled_in_one_way_and_numbers_stand_by_size(tmp_path: Path) -> None:
    grid = product(optimizer_lr=["1e-3", "0.1", "0.01"], epochs=[15, 5], seed=[0])
    runs = [{**run, "accuracy": 0.9} for run in grid]
    sweep(opened(tmp_path), runs)
    found = load(tmp_path)
    assert found.levels == {"optimizer.lr": ["0.001", "0.01", "0.1"], "epochs": ["5", "15"]}


def test_long_numbers_keep_all_their_digits(tmp_path: Path) -> None:
    sweep(opened(tmp_path), planted(product(model=["linear", "mlp"], seed=[20240101, 20240102])))
    found = load(tmp_path)
    assert set(found.runs["seed"]) == {"20240101", "20240102"}
    assert found.superseded == 0


@pytest.mark.parametrize(
    ("level", "spelling"),
    [("1e-3", "0.001"), ("0.10", "0.1"), ("5.0", "5"), ("1e-05", "1e-05"), ("True", "True"),
     ("[256, 128]", "[256,128]"), ("007", "007"), ("nan", "nan"), ("None", "null"),
     ("true", "True"), ("['a', None, 0.90]", "[a,null,0.9]"), ("none", "none"), ("[/x]", "[/x]"),
     ("{a: [1e-3], b: 'x'}", "{a:[0.001],b:x}")],
)  # fmt: skip
def test_a_level_has_one_spelling(level: str, spelling: str) -> None:
    assert levels.spelled(level) == spelling


def test_levels_that_were_typed_are_those_on_record(tmp_path: Path) -> None:
    """Of settings as YAML has them a parent has the words, and its runs Python's of them."""
    typed = {"ema_decay": "null, 0.50", "model.layers": "[conv,pool], [conv,null]"}
    values = {"ema_decay": [None, 0.5], "model.layers": [["conv", "pool"], ["conv", None]]}
    store = opened(tmp_path)
    tags = {"sweep": "5" * 64, "command": "-m", "combinations": "4"}
    parent = writing.new(store, "sweep of 4", tags)
    parent.describe(typed)
    for number, row in enumerate(itertools.product(*values.values())):
        settings = dict(zip(values, row, strict=True)) | {"accuracy": 0.9 + number / 100}
        single(store, settings, {"mlflow.parentRunId": parent.id, "sweep": "5" * 64})
    parent.end()
    found = load(tmp_path)
    assert found.levels == {
        "ema_decay": ["null", "0.5"],
        "model.layers": ["[conv,pool]", "[conv,null]"],
    }
    assert found.missing.empty


def test_a_mapping_is_a_factor_and_no_run_answers_for_another_level_of_it(tmp_path: Path) -> None:
    """Its leaves are on record, each under a name of its own."""
    store = opened(tmp_path)
    tags = {"sweep": "6" * 64, "command": "-m", "combinations": "4"}
    parent = writing.new(store, "sweep of 4", tags)
    parent.describe({"model": "linear, mine", "model.opts": "{b:1,a:{c:2}}, {b:2}, {}"})
    for accuracy, settings in [
        (0.7, {"model": "linear"}),
        (0.8, {"model": "mine", "model.opts.b": 1, "model.opts.a.c": 2}),
        (0.9, {"model": "mine", "model.opts.b": 2}),
        (0.6, {"model": "mine", "model.opts": {}}),
    ]:
        row = {**settings, "accuracy": accuracy}
        single(store, row, {"mlflow.parentRunId": parent.id, "sweep": "6" * 64})
    parent.end()
    found = load(tmp_path)
    by_score = found.runs.sort_values("score")
    assert by_score["model.opts"].tolist() == ["{}", "-", "{a:{c:2},b:1}", "{b:2}"]
    assert (found.superseded, found.missing.empty) == (0, True)


def test_a_sweep_none_of_whose_runs_is_left_is_one_line(tmp_path: Path) -> None:
    store = opened(tmp_path)
    sweep(store, planted(SQUARE))
    for run in load(tmp_path).runs["id"]:
        store.client.delete_run(run)
    with pytest.raises(BadInput, match="none of its runs is on record"):
        load(tmp_path)


def test_a_copy_of_a_result_counts_once(tmp_path: Path) -> None:
    store = opened(tmp_path)
    settings = {"model": "mlp", "seed": 0, "accuracy": 0.9}
    trained = single(store, settings, {})
    single(store, settings, {"cached": trained.id})
    found = load(tmp_path, experiment="planted")
    assert found.runs["id"].tolist() == [trained.id]


def test_older_code_is_no_second_seed(tmp_path: Path) -> None:
    store = opened(tmp_path)
    for version in "12":
        single(store, {"model": "mlp", "seed": 0, "accuracy": 0.9}, {"recipe": version})
    found = load(tmp_path, experiment="planted")
    assert (len(found.runs), found.superseded) == (1, 1)
    assert any("older runs" in note for note in findings.find(found).notes)


def test_curves_of_all_runs_are_those_that_were_recorded(tmp_path: Path) -> None:
    sweep(opened(tmp_path), planted(product(epochs=[3, 5], seed=[0, 1])))
    curves = load(tmp_path).curves
    assert sorted(curves.groupby("id").size()) == [3, 3, 5, 5]
    assert (curves["train/loss"] == 2.0 / curves["epoch"]).all()
    assert (curves["layer 2"] == 0.2 / curves["epoch"]).all()


def test_curves_come_in_few_queries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep(opened(tmp_path), planted(product(seed=range(30))))
    store = seen_anew(tmp_path)
    backend = store.client._tracking_client.store
    asked: list[str] = []

    @event.listens_for(backend.engine, "before_cursor_execute")
    def count(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        asked.extend([parameters[0]] if "FROM metrics" in statement else [])

    monkeypatch.setattr(store.client, "get_metric_history", None)  # run by run: not to be called
    chosen = selection.select(store, Asked(None, None, None))
    found = table.load(store, chosen, "validation/accuracy")
    assert len(asked) == len(set(asked)) == 6  # one a metric
    assert len(found.curves) == 30 * 5


def test_more_points_than_one_answer_holds_are_all_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("factorial.record.store.POINTS_AT_ONCE", 7)
    sweep(opened(tmp_path), planted(product(epochs=[9, 2], seed=[0, 1])))
    assert sorted(load(tmp_path).curves.groupby("id").size()) == [2, 2, 9, 9]


def test_failures_have_their_reason_and_are_no_result(tmp_path: Path) -> None:
    runs = planted(SQUARE)
    del runs[0]["accuracy"]
    runs[0]["failure"] = "the training loss is nan in epoch 1"
    sweep(opened(tmp_path), runs)
    found = load(tmp_path)
    assert len(found.runs) == 11
    assert found.failures["reason"].tolist() == ["the training loss is nan in epoch 1"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_result_that_is_not_finite_is_none(tmp_path: Path, value: float) -> None:
    runs = planted(SQUARE)
    runs[3]["accuracy"] = value
    sweep(opened(tmp_path), runs)
    found = load(tmp_path)
    assert len(found.runs) == 11
    assert found.failures["reason"].tolist() == ["no validation/accuracy from 0 to 1 is on record"]


def test_a_run_that_was_deleted_is_missed(tmp_path: Path) -> None:
    store = opened(tmp_path)
    sweep(store, planted(SQUARE))
    gone = load(tmp_path).runs.iloc[0]
    store.client.delete_run(gone["id"])
    found = load(tmp_path)
    assert found.unrecorded == 1
    assert found.missing.to_dict("records") == [
        {key: gone[key] for key in ("model", "optimizer", "seed")}
    ]


def test_a_deleted_sweep_is_unknown(tmp_path: Path) -> None:
    store = opened(tmp_path)
    parent = sweep(store, planted(SQUARE))
    store.client.delete_run(parent.id)
    with pytest.raises(BadInput, match="no sweep is on record"):
        load(tmp_path)


def test_without_a_validation_split_the_test_set_selects_and_that_is_said(tmp_path: Path) -> None:
    store = opened(tmp_path)
    run = single(store, {"model": "mlp", "seed": 0, "accuracy": 0.9}, {})
    store.client.log_metric(run.id, "validation/accuracy", float("nan"), step=99)
    found = load(tmp_path, experiment="planted")
    assert found.selected_on == "test"
    assert any("selected on the test set" in note for note in findings.find(found).notes)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"sweep": "zzz"}, "sweep=zzz: allowed is one on record, the newest are "),
        ({"experiment": "none"}, "experiment=none: allowed is one of Default, planted"),
        ({"filter": "params.model = 'cnn'"}, "no run on record answers to it"),
        ({"filter": "nonsense"}, "filter=nonsense: "),
        ({"sweep": "a", "experiment": "b"}, "sweep and experiment: allowed is one of them"),
        ({"experiment": "Default"}, "experiment=Default: no run is on record in it"),
    ],
)
def test_what_is_not_there_is_one_line(square: Path, asked: dict[str, str], message: str) -> None:
    with pytest.raises(BadInput) as error:
        load(square, **asked)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_sweep_without_any_result_is_one_line(tmp_path: Path) -> None:
    sweep(opened(tmp_path), [{"model": "mlp", "seed": s, "failure": "nan"} for s in (0, 1)])
    with pytest.raises(BadInput, match="none of its 2 runs has a result"):
        load(tmp_path)


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "factorial", "compare", *words],
        cwd=ROOT,
        text=True,
        capture_output=True,
    )


@pytest.mark.slow
def test_a_store_of_another_schema_is_one_line(tmp_path: Path) -> None:
    sweep(opened(tmp_path), planted(SQUARE))
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("update alembic_version set version_num = 'ffffffffffff'")
    done = command(f"outputs={tmp_path}")
    assert done.returncode == 1
    assert "its database has schema ffffffffffff" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "message"),
    {
        "sweeep=1": "error: sweeep is not a setting (did you mean sweep?): allowed are",
        "tracking=s3": "error: tracking=s3: allowed is one of local, server",
        "sweep=": "error: sweep=: allowed is a value behind the sign",
        "outputs=/nonexistent": "error: outputs=/nonexistent: no runs are on record there",
    }.items(),
)
def test_bad_words_are_one_line(word: str, message: str) -> None:
    done = command(word)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


def test_one_recipe_on_other_threads_is_a_row_of_its_own(tmp_path: Path) -> None:
    store = opened(tmp_path)
    for run in planted(product(threads=[1, 2], seed=[0, 1])):
        single(store, run, {"recipe": f"of seed {run['seed']}"})
    comparison = load(tmp_path, experiment="planted")
    assert len(comparison.runs) + comparison.superseded == 4


def test_a_run_without_a_validation_split_is_listed_as_what_it_is(tmp_path: Path) -> None:
    store = opened(tmp_path)
    sweep(store, planted(product(model=["linear", "mlp"], seed=[0, 1])))
    other = writing.new(store, "unsplit", {"recipe": "other"})
    other.describe({"model": "mlp", "seed": "7"})
    other.conclude({"test/accuracy": 0.9})
    other.end()
    (reason,) = load(tmp_path, experiment="planted").failures["reason"]
    assert reason.startswith("no validation split, while other runs have one")


def test_threads_and_metrics_are_no_factors_whatever_varies_beside_them() -> None:
    params = pd.DataFrame({"threads": ["1", "2"], "metrics.top_k.k": ["2", "3"],
                           "model": ["linear", "mlp"]})  # fmt: skip
    assert levels.factors_of(params, {}) == ["model"]
