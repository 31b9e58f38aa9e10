"""What fails within a sweep: recorded with its reason, tried again, or stopped at."""

import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.core.utils import JobReturn, JobStatus
from running import bring, children, parents, recorded, sweep

from factorial.results import Outcome
from factorial.runs import run
from factorial.runs.ending import outcome_of
from factorial.runs.members import check
from factorial.settings.combination import Combination
from factorial.settings.messages import BadInput

pytestmark = pytest.mark.slow

LINEAR = ["data=digits", "model=linear", "optimizer=sgd", "epochs=1"]


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_failures_are_recorded_with_their_reason_and_the_others_go_on(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["data=digits", "optimizer=sgd", "epochs=1", "model.hidden=[8]"]
    words += ["model.activation=relu,nonsense"]
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            sweep(outputs, *words, "optimizer.lr=0.1,1e30,-1")
        assert ended.value.code == 1
        output = said(capsys)
        assert [parent.info.status for parent in parents(outputs)] == ["FAILED"]
        reasons = {run.info.run_name: run.data.tags.get("failure") for run in children(outputs)}
        assert len(reasons) == len(children(outputs)) == 6
        statuses = [run.info.status for run in children(outputs)]
        assert sorted(statuses) == ["FAILED"] * 5 + ["FINISHED"]
        for part in (
            "the training loss is nan in epoch 1",
            "optimizer.lr=-1: allowed is a finite number above 0",
            "model.activation=nonsense: allowed is one of relu",
        ):
            assert any(part in (reason or "") for reason in reasons.values())
            assert part in output
        assert "6 combinations, 5 failed" in output


def test_where_no_combination_can_start_nothing_is_recorded(outputs: Path) -> None:
    with pytest.raises(BadInput, match=r"no combination can start: model\.depth is not a setting"):
        sweep(outputs, *LINEAR, "+model.depth=1", "seed=0,1")
    assert recorded(outputs) == []


def test_an_option_that_does_not_exist_stops_a_sweep_before_it_starts(outputs: Path) -> None:
    with pytest.raises(Exception, match="adamm"):
        sweep(outputs, "data=digits", "optimizer=sgd,adamm", "epochs=1")
    assert recorded(outputs) == []


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


class Flaky(torch.nn.Sequential):
    """A linear model whose first runs raise; how many began is counted for each name."""

    began: dict[str, int] = {}  # noqa: RUF012
    fails: dict[str, int] = {}  # noqa: RUF012

    def __init__(self, shape: Sequence[int], classes: int, name: str) -> None:
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(64, classes))
        self.name = name


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often training fails, by the model's name; `Flaky.began` counts the attempts."""
    monkeypatch.setattr(Flaky, "began", {})
    monkeypatch.setattr(Flaky, "fails", {})
    go_on = run.go_on

    def fail(trial: Any, state: Any, *rest: Any) -> Any:
        name = state.model.name
        Flaky.began[name] = Flaky.began.get(name, 0) + 1
        if Flaky.began[name] <= Flaky.fails.get(name, 0):
            raise MemoryError("not enough memory, for now")
        return go_on(trial, state, *rest)

    monkeypatch.setattr(run, "go_on", fail)
    return Flaky.fails


FLAKY = ["data=digits", "model=linear", "model._target_=test_failures.Flaky", "epochs=1"]


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_an_exception_is_retried_as_often_as_asked(
    retries: int, flaky: dict[str, int], outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flaky.update(a=3, b=1)
    with pytest.raises(SystemExit):
        sweep(outputs, *FLAKY, "+model.name=a,b,c", f"retries={retries}")
    assert Flaky.began == {"a": 1 + retries, "b": 1 + min(retries, 1), "c": 1}
    runs = {run.data.params["model.name"]: run for run in children(outputs)}
    assert len(runs) == len(children(outputs)) == 3
    statuses = {name: run.info.status for name, run in runs.items()}
    assert statuses == {"a": "FAILED", "b": "FINISHED" if retries else "FAILED", "c": "FINISHED"}
    assert ("failure" in runs["b"].data.tags) == (retries == 0)
    counts = [int(k) for k in re.findall(r"^(\d)/3  ", said(capsys), re.MULTILINE)]
    assert counts == [1, 2, 3] + [3] * (len(counts) - 3)


def test_a_fresh_run_that_is_tried_again_has_one_child(
    flaky: dict[str, int], outputs: Path
) -> None:
    flaky.update(a=1)
    sweep(outputs, *FLAKY, "+model.name=a,b", "retries=1", "fresh=true")
    assert Flaky.began == {"a": 2, "b": 1}
    assert [run.info.status for run in children(outputs)] == ["FINISHED"] * 2


def test_divergence_is_a_result_and_not_tried_again(
    outputs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[str] = []
    monkeypatch.setattr(run, "train", watched(run.train, began))
    words = [
        "data=digits",
        "model.hidden=[8]",
        "optimizer=sgd",
        "optimizer.lr=0.1,1e30",
        "epochs=1",
    ]
    for origins in ("2 new", "2 cached"):
        with pytest.raises(SystemExit):
            sweep(outputs, *words, "retries=3")
        assert f"\n{origins}\n" in said(capsys)
    assert len(began) == 2
    assert len(recorded(outputs)) == 3


def watched(function: Callable[..., Any], calls: list[str]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(trial: Any, *rest: Any) -> Any:
        calls.append(trial.name)
        return function(trial, *rest)

    return call


def test_on_failure_stop_starts_no_further_run(
    flaky: dict[str, int], outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flaky.update(b=1)
    words = [*FLAKY, "+model.name=a,b,c,d", "on_failure=stop"]
    with pytest.raises(SystemExit):
        sweep(outputs, *words)
    assert Flaky.began == {"a": 1, "b": 1}
    output = said(capsys)
    assert "MemoryError: not enough memory, for now" in output
    assert output.count("not started: an earlier run failed") == 2
    reasons = [run.data.tags.get("failure", "") for run in children(outputs)]
    assert sorted(reason.partition(":")[0] for reason in reasons) == [
        "", "MemoryError", "not started", "not started",
    ]  # fmt: skip
    sweep(outputs, *words)
    assert Flaky.began == {"a": 1, "b": 2, "c": 1, "d": 1}
    assert {run.info.status for run in children(outputs)} == {"FINISHED"}
    assert len(children(outputs)) == 4
    assert len({frozenset(run.data.params) for run in children(outputs)}) == 1


def test_what_is_refused_is_a_failure_to_stop_at(flaky: dict[str, int], outputs: Path) -> None:
    with pytest.raises(SystemExit):
        sweep(outputs, *FLAKY, "+model.name=a", "seed=-1,7", "on_failure=stop")
    assert Flaky.began == {}
    with pytest.raises(SystemExit):
        sweep(outputs, *FLAKY, "+model.name=a", "seed=8,-1,7", "on_failure=stop")
    assert Flaky.began == {"a": 1}


def test_a_reason_on_record_is_the_newest(flaky: dict[str, int], outputs: Path) -> None:
    flaky.update(a=1)
    words = [*FLAKY, "+model.name=a,b"]
    with pytest.raises(SystemExit):
        sweep(outputs, *words, "on_failure=stop")
    (_, skipped) = children(outputs)
    assert skipped.data.tags["failure"].startswith("not started")
    flaky.update(b=1)
    with pytest.raises(SystemExit):
        sweep(outputs, *words)
    (_, failed) = children(outputs)
    assert failed.info.run_id == skipped.info.run_id
    assert failed.data.tags["failure"] == "MemoryError: not enough memory, for now"


def test_a_sweep_that_is_stopped_says_how_far_it_came(
    outputs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(outputs, *LINEAR, "seed=2")
    finish, ended = run.finish, []

    def second_is_interrupted(*arguments: Any) -> None:
        ended.append(1)
        if len(ended) == 2:
            raise KeyboardInterrupt
        finish(*arguments)

    monkeypatch.setattr(run, "finish", second_is_interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweep(outputs, *LINEAR, "seed=0,1,2,3")
    output = said(capsys)
    assert re.findall(r"^(\d/4)  (\w+) ", output, re.MULTILINE) == [
        ("1/4", "cached"),
        ("2/4", "new"),
    ]
    assert "stopped after 2 of 4 combinations\n" in output
    (parent,) = parents(outputs)[1:]
    assert parent.info.status == "KILLED"
    sweep(outputs, *LINEAR, "seed=0,1,2,3")
    (parent,) = parents(outputs)[1:]
    assert (parent.info.status, parent.data.tags.get("failure")) == ("FINISHED", None)


def test_a_job_that_gave_no_outcome_is_lost(tmp_path: Path) -> None:
    member = check(["data=digits", f"outputs={tmp_path}"], Combination.compose)
    raised, wrong, good = JobReturn(), JobReturn(), JobReturn()
    raised.status, raised._return_value = JobStatus.FAILED, RuntimeError("no memory")
    wrong.status, wrong._return_value = JobStatus.COMPLETED, 3
    known = Outcome("name", "FINISHED", run_id="a" * 32)
    good.status, good._return_value = JobStatus.COMPLETED, known
    lost = [outcome_of(member, one) for one in (raised, wrong)]
    assert [(one.status, one.retriable) for one in lost] == [("LOST", True)] * 2
    assert lost[0].reason == "its process died (RuntimeError: no memory)"
    assert lost[1].reason == "its process died (it gave 3)"
    assert outcome_of(member, good) is known
    good._return_value = Outcome("its words", reason="refused there")
    assert outcome_of(member, good) == Outcome(member.name, reason="refused there")
