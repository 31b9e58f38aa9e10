"""Whatever stops a run at whichever of its writes, the same command ends it, and once."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from composing import asked
from mlflow import MlflowClient
from recorded import empty, opened
from running import client, recorded

from factorial import console
from factorial.record import reading, writing
from factorial.record.store import connect
from factorial.results import Diverged, Outcome
from factorial.runs.run import run_trial
from factorial.runs.trial import prepare
from factorial.settings.combination import Combination

pytestmark = pytest.mark.slow

# Every write of a run of two epochs, in their order
WRITES = [
    "create_run",
    "inputs",
    "params",
    "overrides.txt",
    "recipe.json",
    "provenance.json",
    "data.json",
    "row 1",
    "row 2",
    "final-2.safetensors",
    "weights.safetensors",
    "predictions.safetensors",
    "held-out.safetensors",
    "metrics.json",
    "closing metrics",
    "FINISHED",
]
CURVES = ["train/loss", "validation/loss", "validation/accuracy", "epoch_seconds"]
CURVES += ["gradient_norm/layer1"]
CLOSING = ["test/loss", "test/accuracy", "best/validation_accuracy", "best/epoch"]
CLOSING += ["train/seconds", "parameters"]


class Killed(BaseException):
    """The process is gone: nothing of it writes any more."""


class Disk(OSError):
    def __init__(self) -> None:
        super().__init__(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Writes:
    """What is written, by name; at one of them, once, something happens."""

    def __init__(self, patch: pytest.MonkeyPatch, at: str = "", kind: str = "") -> None:
        self.at, self.kind, self.seen = at, kind, list[str]()
        self.is_dead = False
        for method in ("create_run", "log_inputs", "log_batch", "set_tag", "delete_tag",
                       "update_run", "set_terminated"):  # fmt: skip
            self.watch(patch, MlflowClient, method)
        self.watch(patch, os, "replace")

    def watch(self, patch: pytest.MonkeyPatch, owner: Any, method: str) -> None:
        original: Callable[..., Any] = getattr(owner, method)

        def watched(*args: Any, **kwargs: Any) -> Any:
            if self.is_dead:
                raise Killed
            name = named(method, args, kwargs)
            self.seen.append(name)
            strikes = name == self.at and self.seen.count(name) == 1
            if strikes and self.kind == "full":
                raise Disk
            answer = original(*args, **kwargs)
            if strikes:
                self.is_dead = True
                raise Killed
            return answer

        patch.setattr(owner, method, watched)


def named(method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    if method == "replace":
        return Path(args[1]).name
    if method == "set_terminated":
        return str(args[2])
    if method == "log_batch":
        metrics = kwargs.get("metrics", ())
        step = metrics[0].step if metrics else 0
        return f"row {step}" if step else "closing metrics" if metrics else "params"
    return {"log_inputs": "inputs"}.get(method, method)


def trained(folder: Path) -> Outcome:
    words = ["model=linear", "epochs.count=2", f"outputs={folder}"]
    return run_trial(prepare(asked(*words), Combination.compose), console.Display(brief=True))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mlflow.db").write_bytes(empty())
    connect.cache_clear()
    return tmp_path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Of the run that nothing stopped."""
    outcome = trained(tmp_path_factory.mktemp("undisturbed"))
    assert outcome.folder is not None
    return (outcome.folder / "weights.safetensors").read_bytes()


def test_these_are_the_writes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = Writes(monkeypatch)
    trained(folder)
    assert [name for name in writes.seen if name != "git.patch"] == WRITES


@pytest.mark.parametrize("kind", ["full", "killed"])
@pytest.mark.parametrize("at", WRITES)
def test_a_run_that_is_stopped_at_any_write_is_ended_by_the_same_command(
    at: str, kind: str, folder: Path, weights: bytes
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        writes = Writes(patch, at, kind)
        stopped = Outcome("")
        try:
            stopped = trained(folder)
        except (Killed, OSError) as error:
            assert isinstance(error, Killed) or kind == "full"  # noqa: PT017
        assert at in writes.seen
        assert stopped.status == "FAILED"
    outcome = trained(folder)
    assert outcome.status == "FINISHED"
    (run,) = recorded(folder)
    assert run.info.run_id == outcome.run_id
    assert run.info.status == "FINISHED"
    assert "failure" not in run.data.tags
    assert len(run.inputs.dataset_inputs) == 1
    assert run.data.params["epochs"] == "2"
    assert set(run.data.metrics) == {*CURVES, *CLOSING}
    document = json.loads((outcome.folder / "metrics.json").read_text())  # type: ignore[operator]
    for name in CURVES:
        assert points(folder, outcome.run_id, name) == [
            (row["epoch"], row[name]) for row in document["epochs"]
        ]
    for name in CLOSING:
        assert points(folder, outcome.run_id, name) == [(0, document[name])]
    assert [row["epoch"] for row in document["epochs"]] == [1, 2]
    assert all(len(row["weights"]) == 64 for row in document["epochs"])
    assert (outcome.folder / "weights.safetensors").read_bytes() == weights  # type: ignore[operator]


def points(folder: Path, run: str, name: str) -> list[tuple[int, float]]:
    history = client(folder).get_metric_history(run, name)
    return sorted((point.step, point.value) for point in history)


def test_a_models_own_arithmetic_error_is_no_divergence(tmp_path: Path) -> None:
    """Divergence is a result, and never tried again; a bug of the user's is."""
    store = opened(tmp_path)
    for error in (ZeroDivisionError("one over none"), Diverged("the loss is nan")):
        with pytest.raises(type(error)), writing.recording(writing.new(store, "run", {})):
            raise error
    by_name = {run.tags["failure"]: run for run in reading.search(store, "")}
    assert not by_name["ZeroDivisionError: one over none"].is_result
    assert by_name["the loss is nan"].is_result
