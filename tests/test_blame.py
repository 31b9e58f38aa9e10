"""A replay that parts names what drifted: planted drifts of every kind, each blamed right."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from processes import train
from running import recorded
from safetensors.torch import load_file, save_file

from factorial.record import provenance
from factorial.record.store import connect, look_into
from factorial.reuse import evidence, replay, weights
from factorial.runs.trial import prepare
from factorial.settings import recipe
from factorial.settings.messages import BadInput
from factorial.settings.schema import Tracking
from factorial.training import environment

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
    assert {"predictions.safetensors", "held-out.safetensors"} <= rows.results.keys()
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
