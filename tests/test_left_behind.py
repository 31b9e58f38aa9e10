"""Runs that a process left behind, and the record when it is lost: gone on with, never twice."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running import artifacts, bring, children, client, parents, recorded, store_of, sweep, trial

from factorial.console import Display
from factorial.record import writing
from factorial.record.store import Store
from factorial.results import Epoch
from factorial.runs.progress import open_run, progress_of
from factorial.runs.run import run_trial
from factorial.runs.trial import Family, Trial
from factorial.training import trainer

pytestmark = pytest.mark.slow

LINEAR = ["model=linear", "optimizer=sgd", "epochs=1"]


def abandon(one: Trial, host: str = "another") -> str:
    """A run that a process on some host began, and was killed; its id."""
    run = open_run(one, store_of(one), None, one.actual)
    run.tag(owner=json.dumps([host, 1, 0.0]))
    return run.id


def test_what_was_left_behind_resumes_and_what_is_longer_continues(outputs: Path) -> None:
    bring(outputs, *LINEAR)
    longer = trial(outputs, *LINEAR[:-1], "epochs=3")
    store = store_of(longer)
    assert (progress_of(longer, store).state, progress_of(longer, store).epoch) == ("continues", 1)
    abandon(longer)
    assert progress_of(longer, store, locked=True).state == "resumes"


def test_a_run_left_by_another_host_is_taken_over_by_who_holds_the_lock(outputs: Path) -> None:
    one = trial(outputs, *LINEAR)
    left = abandon(one)
    store = store_of(one)
    assert progress_of(one, store).left is None  # it may be alive
    with one.trunk.lock(waiting=print):
        assert progress_of(one, store, locked=True).left.id == left  # type: ignore[union-attr]
    assert run_trial(one, Display(brief=True)).run_id == left
    (run,) = recorded(outputs)
    assert run.info.status == "FINISHED"
    assert json.loads(run.data.tags["owner"])[0] != "another"


def test_a_sweep_has_no_second_child_for_one_left_by_another_host(outputs: Path) -> None:
    sweep(outputs, "data=digits", *LINEAR, "seed=0,1")
    left, done = children(outputs)
    client(outputs).update_run(left.info.run_id, status="RUNNING")
    client(outputs).set_tag(left.info.run_id, "owner", json.dumps(["another", 1, 0.0]))
    sweep(outputs, "data=digits", *LINEAR, "seed=0,1")
    after = children(outputs)
    assert {run.info.run_id for run in after} == {left.info.run_id, done.info.run_id}
    assert {run.info.status for run in after} == {"FINISHED"}


def test_a_run_of_another_folder_on_a_server_is_left_alone_whatever_lock_is_held_here(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines with one server have locks of their own."""
    one = trial(outputs, *LINEAR)
    left = abandon(one)
    store = store_of(one)
    monkeypatch.setattr(Store, "is_remote", True)
    assert progress_of(one, store, locked=True).left.id == left  # type: ignore[union-attr]
    shutil.rmtree(outputs / "runs" / left)
    assert progress_of(one, store, locked=True).left is None


def test_a_run_that_ran_elsewhere_is_not_gone_on_with(outputs: Path) -> None:
    """Its params say where it ran, and are written once."""
    left = abandon(trial(outputs, *LINEAR, "device.threads=3"))
    assert bring(outputs, *LINEAR).run_id != left
    assert bring(outputs, *LINEAR, "device.threads=3", "fresh=true").run_id != left


def test_a_copy_is_not_written_into_a_run_that_ran_elsewhere(outputs: Path) -> None:
    sweep(outputs, "data=digits", *LINEAR, "seed=1,2")  # so that there is a parent
    (parent,) = parents(outputs)
    bring(outputs, *LINEAR, "device.threads=3")
    alone = trial(outputs, *LINEAR, "device.threads=1")
    family = Family(parent.info.run_id, "", alone.config.tracking.experiment)
    left = abandon(alone.within(family, []))
    outcome = run_trial(trial(outputs, *LINEAR).within(family, []), Display(brief=True))
    assert outcome.run_id != left
    assert client(outputs).get_run(outcome.run_id).data.params["threads"] == "3"


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """From the epoch on that a test sets, the record can't be written."""
    last = {"epoch": 10**9}
    log_rows = writing.Run.log_rows

    def fail(run: writing.Run, rows: list[Epoch]) -> None:
        if any(row.epoch > last["epoch"] for row in rows):
            raise OSError("the record can't be written: no server")
        log_rows(run, rows)

    monkeypatch.setattr(writing.Run, "log_rows", fail)
    return last


def test_leaving_because_the_record_is_lost_keeps_what_was_trained(
    outputs: Path, failing: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["model=linear", "optimizer=sgd", "epochs=4"]
    failing["epoch"] = 2
    outcome = bring(outputs, *words)
    assert (outcome.status, outcome.retriable) == ("FAILED", True)
    assert outcome.reason == "the record can't be written: no server"
    assert trial(outputs, *words).trunk.positions(4)[0][0] == (3, 0)  # the epoch that was lost too
    failing["epoch"] = 10**9
    trained: list[int] = []
    fit = trainer.fit

    def counting(*arguments: Any) -> Iterator[Any]:
        for event in fit(*arguments):
            trained.extend([event.epoch] if isinstance(event, Epoch) else [])
            yield event

    monkeypatch.setattr(trainer, "fit", counting)
    resumed = bring(outputs, *words)
    assert (resumed.origin, resumed.run_id) == ("resumed", outcome.run_id)
    assert trained == [4]
    points = client(outputs).get_metric_history(resumed.run_id, "train/loss")
    assert sorted(point.step for point in points) == [1, 2, 3, 4]
    straight = bring(outputs, *words, "fresh=true")
    assert resumed.test == straight.test
    weights = [
        artifacts(outputs, one.run_id) / "weights.safetensors" for one in (resumed, straight)
    ]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_what_could_not_be_recorded_to_its_end_is_no_result(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(run: writing.Run) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(writing.Run, "end", full)
        outcome = bring(outputs, *LINEAR)
    assert (outcome.status, outcome.reason) == ("FAILED", "no space left")
    assert bring(outputs, *LINEAR).run_id == outcome.run_id
    assert [run.info.status for run in recorded(outputs)] == ["FINISHED"]
