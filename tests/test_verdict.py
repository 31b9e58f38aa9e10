"""What counts as equal, and what is blamed where two runs part."""

import json
import math
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import recorded, train
from safetensors.torch import load_file, save_file

from factorial.record import provenance
from factorial.record.store import connect, look_into
from factorial.reuse import evidence, replay, verdict, weights
from factorial.reuse.verdict import CLOSE, DIFFERENT, IDENTICAL, Difference, Row
from factorial.runs.trial import prepare
from factorial.settings import recipe
from factorial.settings.messages import BadInput
from factorial.settings.schema import Tracking
from factorial.training import environment

ROWS: list[Row] = [(1, "train/loss", 0.5), (1, "weights", "a" * 64), (0, "test/accuracy", 0.9)]
MOVED: list[Row] = [(1, "train/loss", 0.501), (1, "weights", "b" * 64), (0, "test/accuracy", 0.9)]
THREADS = Difference("environment", "threads", 2, 1)
CODE = Difference("code", "factorial.training.trainer", "a", "b")
CONFIG = Difference("config", "optimizer.lr", 0.1, 0.2)
RECORD = Difference("record", "test/loss, MLflow's latest", 0.1, 0.2)


def judged(
    rows: list[Row], differences: list[Difference], tolerance: float = 0.01, was: list[Row] = ROWS
) -> str:
    return verdict.judge({"metrics.json": was}, rows, differences, tolerance).kind


@pytest.mark.parametrize(
    ("rows", "differences", "tolerance", "expected"),
    [
        (ROWS, [], 0.01, IDENTICAL),
        (ROWS, [THREADS], 0.01, IDENTICAL),
        (ROWS, [CODE], 0.01, IDENTICAL),
        (ROWS, [RECORD], 0.01, DIFFERENT),  # it contradicts itself
        (ROWS, [CONFIG], 0.01, DIFFERENT),  # its recipe is of another config
        (MOVED, [THREADS], 0.01, CLOSE),
        (MOVED, [THREADS], 0.0001, DIFFERENT),
        (MOVED, [], 0.01, DIFFERENT),  # nothing excuses it
        (MOVED, [CODE], 0.01, DIFFERENT),
        (MOVED, [THREADS, CODE], 0.01, DIFFERENT),
        (MOVED, [THREADS, RECORD], 0.01, DIFFERENT),
        (ROWS[:2], [THREADS], 0.01, DIFFERENT),  # a metric is gone
        ([*ROWS, (1, "validation/loss", 0.4)], [THREADS], 0.01, DIFFERENT),  # one more
        ([*ROWS, (2, "train/loss", 0.4)], [THREADS], 0.01, DIFFERENT),  # an epoch more
    ],
)
def test_tolerance_excuses_another_environment_alone(
    rows: list[Row], differences: list[Difference], tolerance: float, expected: str
) -> None:
    assert judged(rows, differences, tolerance) == expected


def test_metrics_do_not_move_without_the_weights_nor_weights_without_metrics() -> None:
    assert judged([MOVED[0], *ROWS[1:]], [THREADS]) == DIFFERENT
    assert judged([ROWS[0], MOVED[1], ROWS[2]], [THREADS]) == DIFFERENT


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        (100.0, 100.9, CLOSE),  # relative above 1
        (100.0, 101.1, DIFFERENT),
        (-100.0, -100.9, CLOSE),
        (0.001, 0.0109, CLOSE),  # absolute below
        (0.001, 0.0112, DIFFERENT),
        (0.5, math.nan, DIFFERENT),
        (math.inf, 0.5, DIFFERENT),  # whatever is infinitely far away is not close
        (0.5, -math.inf, DIFFERENT),
        pytest.param(10**400, 0.5, DIFFERENT, id="an integer of JSON that no float holds"),
        (0.5, "0.5", DIFFERENT),
        (0.5, True, DIFFERENT),
    ],
)
def test_tolerance_is_relative_above_one(was: float, now: Any, expected: str) -> None:
    rows = [(1, "train/loss", now), *MOVED[1:]]
    assert judged(rows, [THREADS], was=[(1, "train/loss", was), *ROWS[1:]]) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (math.nan, math.nan, True),
        (math.nan, 0.0, False),
        (1, 1.0, True),
        (1, True, False),
        ("a", "a", True),
        ("1", 1, False),
        (0.1 + 0.2, 0.3, False),
    ],
)
def test_equal_is_to_the_bit_and_nan_is_nan(one: Any, other: Any, expected: bool) -> None:
    assert verdict.same(one, other) is expected


def test_the_first_parting_is_the_earliest_epoch_of_all_places() -> None:
    later: list[Row] = [(1, "train/loss", 0.5), (2, "train/loss", 0.4), (0, "test/accuracy", 0.8)]
    file: list[Row] = [(1, "train/loss", 0.5), (2, "train/loss", 0.3), (0, "test/accuracy", 0.9)]
    found = verdict.judge({"metrics.json": file, "MLflow": later}, file, [], 0.01)
    assert found.parting is not None
    assert (found.parting.epoch, found.parting.place) == (2, "MLflow")


def test_each_place_is_asked_for_what_it_keeps() -> None:
    rows = [*ROWS, (0, "predictions", "c" * 64)]
    places = {
        "MLflow": [ROWS[0], ROWS[2]],
        "metrics.json": ROWS,
        "predictions.safetensors": [rows[3]],
    }
    assert list(verdict.partings(places, rows)) == []
    places["predictions.safetensors"] = [(0, "predictions", "d" * 64)]
    (parting,) = verdict.partings(places, rows)
    assert (parting.metric, parting.place) == ("predictions", "predictions.safetensors")


@pytest.mark.parametrize(
    ("recorded", "here", "expected"),
    [
        ({"invented": 1}, {}, "record"),
        ({"env.OMP_NUM_THREADS": "1"}, {}, "environment"),
        ({"gpu": "H100"}, {}, "environment"),
        ({"python": "3.11"}, {"python": "3.13"}, "environment"),
        ({}, {"installed.numpy": "2"}, "environment"),
    ],
)
def test_a_fact_that_no_machine_has_excuses_nothing(
    recorded: dict[str, Any], here: dict[str, Any], expected: str
) -> None:
    (found,) = verdict.of_provenance(recorded, here)
    assert found.kind == expected


def test_the_commit_alone_is_no_difference() -> None:
    assert not list(verdict.of_provenance({"git.commit": "a"}, {"git.commit": "b"}))


def test_features_of_the_cpu_are_told_by_what_differs() -> None:
    (found,) = verdict.of_provenance({"cpu.features": "avx sse"}, {"cpu.features": "sse amx"})
    assert (found.recorded, found.here) == ("avx", "amx")


# Twenty and more planted drifts of one recorded run, each to be blamed by kind and name

OWN = """
import helper
class Mine(helper.Base):
    pass
"""
HELPER = """
import torch
class Base(torch.nn.Sequential):
    def __init__(self, shape, classes):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(64, classes))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One recorded run of a model of the user's own, whose modules lie beside it."""
    folder = tmp_path_factory.mktemp("outputs")
    (folder / "own_model.py").write_text(OWN)
    (folder / "helper.py").write_text(HELPER)
    words = ["data=digits", "model=linear", "model._target_=own_model.Mine", "epochs=2"]
    done = train(folder, *words, env={"PYTHONPATH": str(folder)})
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copy(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    copy = Path(shutil.copytree(made, tmp_path / "copy"))
    monkeypatch.syspath_prepend(copy)
    for name in ("own_model", "helper"):
        sys.modules.pop(name, None)
    provenance.constant.cache_clear()
    connect.cache_clear()
    threads = torch.get_num_threads()
    yield copy
    torch.set_num_threads(threads)


def blamed(folder: Path, allow: str = "own_model") -> set[tuple[str, str]]:
    """The kinds and names of what differs, as a replay in `folder` would say."""
    store = look_into(Tracking("local", None, "", None, None), str(folder))
    run = evidence.choose(store, "last")
    files = evidence.read(store, run)
    settings = {"threads": None, "allow": allow, "tolerance": 0.01}
    changes = replay.changes(files, settings, store)
    trial = prepare(evidence.combination(run, files.config, changes), replay.refuse)
    environment.enter(trial.config.device)
    return {(one.kind, one.name) for one in replay.differences(store, files, trial)}


def artifacts(folder: Path) -> Path:
    (run,) = recorded(folder)
    return folder / "runs" / run.info.run_id / "artifacts"


def edit(file: str, change: Callable[[Any], None]) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        path = artifacts(folder) / file
        is_json = file.endswith("json")
        document = json.loads(path.read_text()) if is_json else yaml.safe_load(path.read_text())
        change(document)
        path.write_text(json.dumps(document) if is_json else yaml.safe_dump(document))

    return plant


def sql(statement: str) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        with sqlite3.connect(folder / "mlflow.db") as database:
            database.execute(statement)

    return plant


def append(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).write_text((folder / file).read_text() + "# changed\n")


def other_weights(folder: Path) -> None:
    file = artifacts(folder) / "weights.safetensors"
    tensors = load_file(file)
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, file)


def recorded_as(name: str, value: Any) -> Callable[[Path], None]:
    return edit("provenance.json", lambda document: document.update({name: value}))


LOSS = "test/loss at the end, MLflow against metrics.json"
ID = "recipe.json against the run's recipe id"
DRIFTS: dict[str, tuple[Callable[[Path], None], set[tuple[str, str]]]] = {
    "nothing": (lambda _: None, set()),
    "own model": (append("own_model.py"), {("code", "own_model")}),
    "own helper": (append("helper.py"), {("code", "helper")}),
    "learning rate": (
        edit("config.yaml", lambda config: config["optimizer"].update(lr=0.002)),
        {("config", "optimizer.lr"), ("record", "optimizer.lr, MLflow's param")},
    ),
    "a default left out": (
        edit("config.yaml", lambda config: config["optimizer"].update(weight_decay=0.1)),
        {("config", "optimizer.weight_decay")},
    ),
    "seed": (
        edit("config.yaml", lambda config: config.update(seed=7)),
        {("config", "seed"), ("record", "seed, MLflow's param")},
    ),
    "data": (
        edit("recipe.json", lambda document: document.update(data="f" * 64)),
        {("data", "data"), ("record", ID)},
    ),
    "torch": (
        edit("recipe.json", lambda document: document["versions"].update(torch="1.0")),
        {("environment", "torch"), ("record", ID)},
    ),
    "python": (recorded_as("python", "2.7"), {("environment", "python")}),
    "threads": (recorded_as("cpu.capability", "VAX"), {("environment", "cpu.capability")}),
    "numpy": (recorded_as("installed.numpy", "0.1"), {("environment", "installed.numpy")}),
    "a variable": (recorded_as("env.MKL_CBWR", "AVX"), {("environment", "env.MKL_CBWR")}),
    "an invented fact": (recorded_as("luck", "7"), {("record", "luck")}),
    "a metric of the file": (
        edit("metrics.json", lambda document: document.update({"test/loss": 0.1})),
        {("record", LOSS)},
    ),
    "a row of the file": (
        edit("metrics.json", lambda document: document["epochs"][0].update({"train/loss": 0.1})),
        {("record", "train/loss in epoch 1, MLflow against metrics.json")},
    ),
    "MLflow's points": (
        sql("update metrics set value = 0.5 where key = 'train/loss' and step = 1"),
        {("record", "train/loss in epoch 1, MLflow against metrics.json")},
    ),
    "MLflow's latest": (
        sql("update latest_metrics set value = 0.99 where key = 'validation/accuracy'"),
        {("record", "validation/accuracy, MLflow's latest and last")},
    ),
    "a param": (
        sql("update params set value = '0.5' where key = 'optimizer.lr'"),
        {("record", "optimizer.lr, MLflow's param")},
    ),
    "the id": (
        sql(f"update tags set value = '{'0' * 64}' where key = 'recipe'"),
        {("record", ID)},
    ),
    "weights": (other_weights, {("record", "weights.safetensors against metrics.json")}),
}


@pytest.mark.slow
@pytest.mark.parametrize("drift", DRIFTS)
def test_a_drift_is_blamed_by_kind_and_name(copy: Path, drift: str) -> None:
    plant, expected = DRIFTS[drift]
    plant(copy)
    assert blamed(copy) == expected


TRAINING = ["__init__", "data", "downloads", "environment", "fingerprint", "instantiate", "models",
            "rehearsal", "sizes", "trainer"]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINING)
def test_an_edit_of_the_training_code_is_blamed(
    copy: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = Path(shutil.copytree(recipe.TRAINING, tmp_path / "training"))
    (training / f"{name}.py").write_text("# changed")
    monkeypatch.setattr(recipe, "TRAINING", training)
    assert blamed(copy) == {("code", f"factorial.training.{name}")}


@pytest.mark.slow
def test_a_fact_of_the_data_that_is_another_here_is_blamed(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = Path(shutil.copytree(evidence.CONF, tmp_path / "conf"))
    file = conf / "data" / "digits.yaml"
    file.write_text(file.read_text().replace("white: 16", "white: 15"))
    monkeypatch.setattr(evidence, "CONF", conf)
    assert blamed(copy) == {("config", "data.white")}


@pytest.mark.slow
def test_a_variable_of_the_environment_is_blamed(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert blamed(copy) == {("environment", "env.ONEDNN_MAX_CPU_ISA")}


@pytest.mark.slow
def test_a_default_of_an_own_class_that_is_another_now_is_code_and_no_other_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recipe left the argument out, since it said what the class said by itself then."""
    source = """
import torch
class Wide(torch.nn.Sequential):
    def __init__(self, shape, classes, width=8):
        layers = torch.nn.Linear(64, width), torch.nn.Linear(width, classes)
        super().__init__(torch.nn.Flatten(), *layers)
"""
    (tmp_path / "wide.py").write_text(source)
    words = ["data=digits", "model=linear", "model._target_=wide.Wide", "+model.width=8"]
    done = train(tmp_path, *words, "epochs=1", env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    (tmp_path / "wide.py").write_text(source.replace("width=8", "width=16"))
    monkeypatch.syspath_prepend(tmp_path)
    assert blamed(tmp_path, allow="wide") == {("code", "wide")}


@pytest.mark.slow
def test_a_copy_is_held_against_the_weights_of_its_source(tmp_path: Path) -> None:
    words = ["data=digits", "model=linear", "epochs=1"]
    assert train(tmp_path, *words).returncode == 0
    assert train(tmp_path, "-m", *words, "seed=0,1").returncode == 0
    (copied,) = [run for run in recorded(tmp_path) if "cached" in run.data.tags]
    source, run = copied.data.tags["cached"], copied.info.run_id
    store = look_into(Tracking("local", None, "", None, None), str(tmp_path))
    rows = evidence.read(store, evidence.choose(store, run))
    last = [value for _, name, value in rows.results["metrics.json"] if name == "weights"][-1]
    assert rows.weights == last
    assert "predictions.safetensors" in rows.results
    file = tmp_path / "runs" / source / "artifacts" / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(BadInput, match=rf"run={source}: weights\.safetensors is damaged"):
        evidence.read(store, evidence.choose(store, run))
    file.unlink()
    with pytest.raises(BadInput, match=f"run={source}, of which run {run} is a copy: weights"):
        weights.restore(store, evidence.choose(store, run), {"allow": None})


@pytest.mark.slow
def test_a_recipe_and_its_id_changed_together_are_not_those_of_the_config(copy: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["config"]["optimizer"]["lr"] = 0.5

    edit("recipe.json", change)(copy)
    document = json.loads((artifacts(copy) / "recipe.json").read_text())
    sql(f"update tags set value = '{recipe.digest(document)}' where key = 'recipe'")(copy)
    assert blamed(copy) == {("config", "optimizer.lr")}
