"""What MLflow holds afterwards equals what happened."""

import json
import logging
import multiprocessing
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import torch
from mlflow.entities import Run
from processes import train
from recorded import opened
from running import client, recorded
from safetensors.torch import load_file

from factorial.record import writing
from factorial.record.entries import DataSet
from factorial.record.store import find_experiment, open_store
from factorial.settings.messages import BadInput
from factorial.settings.schema import Tracking

pytestmark = pytest.mark.slow

LOCAL = Tracking("local", None, "tests", None, None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    done = train(folder, "data=digits", "model=mlp", "optimizer=adam", "epochs=3")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def run(folder: Path) -> Run:
    (run,) = recorded(folder)
    return run


@pytest.fixture
def artifacts(folder: Path, run: Run) -> Path:
    return folder / "runs" / run.info.run_id / "artifacts"


def test_a_run_is_finished_and_named_for_what_it_is(run: Run) -> None:
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "mlp adam lr=0.001 e3 s0 data=digits"


def test_params_say_what_was_chosen_and_where_it_really_ran(run: Run) -> None:
    expected = {
        "model": "mlp",
        "optimizer": "adam",
        "data": "digits",
        "schedule": "constant",
        "device": "cpu" if not torch.cuda.is_available() else "cuda",
        "optimizer.lr": "0.001",
        "model.hidden": "[256, 256]",
        "epochs": "3",
        "seed": "0",
        "data.batch_size": "100",
        "precision": "float32",
    }
    assert expected.items() <= run.data.params.items()
    assert int(run.data.params["threads"]) >= 1


def test_metrics_read_back_equal_those_of_the_file(folder: Path, run: Run, artifacts: Path) -> None:
    document = json.loads((artifacts / "metrics.json").read_text())
    assert [row["epoch"] for row in document["epochs"]] == [1, 2, 3]
    curves = ["train/loss", "validation/loss", "validation/accuracy", "epoch_seconds"]
    curves += [f"gradient_norm/layer{layer}" for layer in (1, 2, 3)]
    for name in curves:
        history = client(folder).get_metric_history(run.info.run_id, name)
        assert [(point.step, point.value) for point in history] == [
            (row["epoch"], row[name]) for row in document["epochs"]
        ]
    closing = {key: value for key, value in document.items() if key != "epochs"}
    assert closing == {k: v for k, v in run.data.metrics.items() if k not in curves}
    assert set(closing) == {
        "test/loss",
        "test/accuracy",
        "train/seconds",
        "best/validation_accuracy",
        "best/epoch",
        "parameters",
    }
    assert closing["parameters"] == (64 * 256 + 256) + (256 * 256 + 256) + (256 * 10 + 10)


def test_the_best_epoch_is_the_first_with_the_highest_validation_accuracy(
    run: Run, artifacts: Path
) -> None:
    rows = json.loads((artifacts / "metrics.json").read_text())["epochs"]
    accuracies = [row["validation/accuracy"] for row in rows]
    assert run.data.metrics["best/validation_accuracy"] == max(accuracies)
    assert run.data.metrics["best/epoch"] == accuracies.index(max(accuracies)) + 1


def test_a_run_holds_its_config_weights_metrics_and_log(
    folder: Path, run: Run, artifacts: Path
) -> None:
    listed = {file.path for file in client(folder).list_artifacts(run.info.run_id)}
    assert listed - {"git.patch"} == {  # there where the checkout differs from its commit
        "config.yaml",
        "overrides.txt",
        "recipe.json",
        "provenance.json",
        "data.json",
        "predictions.safetensors",
        "held-out.safetensors",
        "weights.safetensors",
        "metrics.json",
        "train.log",
    }
    assert load_file(artifacts / "weights.safetensors")["1.weight"].shape == (256, 64)
    assert "epoch 3/3" in (artifacts / "train.log").read_text()
    assert "${" not in (artifacts / "config.yaml").read_text()


def test_the_data_set_is_recorded_with_digest_and_sizes(run: Run) -> None:
    (entry,) = run.inputs.dataset_inputs
    assert entry.dataset.name == "digits"
    assert len(entry.dataset.digest) == 32
    assert json.loads(entry.dataset.profile) == {"train": 1293, "validation": 144, "test": 360}


def test_parallel_first_starts_share_one_new_database(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=opened_elsewhere, args=(str(tmp_path),)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert [run.info.status for run in recorded(tmp_path)] == ["FINISHED"] * 4


def opened_elsewhere(folder: str) -> None:
    store = open_store(LOCAL, folder)
    with writing.recording(writing.new(store, "one", {})):
        pass


def test_logging_is_unharmed_by_mlflow(tmp_path: Path) -> None:
    ours, hydras = logging.getLogger("factorial.run"), logging.getLogger("hydra")
    handlers = list(logging.getLogger().handlers)
    open_store(LOCAL, str(tmp_path))
    assert not ours.disabled
    assert not hydras.disabled
    assert logging.getLogger().handlers == handlers


def test_a_failed_run_says_why(tmp_path: Path) -> None:
    store = open_store(LOCAL, str(tmp_path))
    with pytest.raises(ZeroDivisionError), writing.recording(writing.new(store, "one", {})) as run:
        raise ZeroDivisionError("one over none")
    (entry,) = recorded(tmp_path)
    assert entry.info.status == "FAILED"
    assert entry.data.tags["failure"] == "ZeroDivisionError: one over none"
    assert "ZeroDivisionError" not in (run.folder / "metrics.json").read_text()
    assert "stopped: ZeroDivisionError: one over none" in (run.folder / "train.log").read_text()


def test_an_interrupted_run_is_killed_not_finished(tmp_path: Path) -> None:
    store = open_store(LOCAL, str(tmp_path))
    with pytest.raises(KeyboardInterrupt), writing.recording(writing.new(store, "one", {})):
        raise KeyboardInterrupt
    assert recorded(tmp_path)[0].info.status == "KILLED"


def test_without_tracking_the_files_are_there_all_the_same(tmp_path: Path) -> None:
    done = train(tmp_path, "data=digits", "tracking=off", "epochs=1")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "mlflow.db").exists()
    assert len(list(tmp_path.glob("runs/*/artifacts/weights.safetensors"))) == 1


@pytest.mark.parametrize("silent", [True, False])
def test_a_server_out_of_reach_is_a_clear_error_within_15_seconds(
    silent: bool, tmp_path: Path
) -> None:
    server = socket.create_server(("127.0.0.1", 0))  # takes connections and says nothing
    port = server.getsockname()[1]
    if not silent:
        server.close()
    began = time.monotonic()
    tracking = Tracking("server", f"http://127.0.0.1:{port}", "any", None, None)
    with pytest.raises(BadInput, match=rf"tracking.uri=http://127.0.0.1:{port}: no server answers"):
        open_store(tracking, str(tmp_path))
    assert time.monotonic() - began < 15
    server.close()


def test_runs_that_add_one_data_set_at_the_same_moment_all_have_it(tmp_path: Path) -> None:
    store = opened(tmp_path)

    def describe(run: writing.Run, digest: str, together: threading.Barrier) -> None:
        together.wait()
        run.describe({"epochs": 1}, DataSet("digits", digest, {"train": 1293}))

    for number in range(10):  # a set that the store does not know yet
        runs = [writing.new(store, "run", {}) for _ in range(4)]
        together = threading.Barrier(len(runs))
        with ThreadPoolExecutor(len(runs)) as pool:
            digest = f"{number:032x}" * 2
            list(pool.map(partial(describe, digest=digest, together=together), runs))
        for run in runs:
            seen = store.client.get_run(run.id)
            assert [one.dataset.digest for one in seen.inputs.dataset_inputs] == [digest[:32]]
            assert seen.data.params == {"epochs": "1"}


def test_machines_that_make_one_experiment_at_the_same_moment_share_it(tmp_path: Path) -> None:
    """Each has outputs, and a lock, of its own."""
    store = opened(tmp_path)

    def find(name: str, together: threading.Barrier) -> str:
        together.wait()
        return find_experiment(store.client, name, "sqlite:///", tmp_path)

    for number in range(10):
        together = threading.Barrier(4)
        with ThreadPoolExecutor(4) as pool:
            found = set(pool.map(partial(find, together=together), [f"new {number}"] * 4))
        (identity,) = found
        assert store.client.get_experiment(identity).name == f"new {number}"
