"""A sweep is one parent with a child for every combination, failures among them."""

import functools
import itertools
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import bring, children, parents, read, recorded, sweep, table, train
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobReturn, JobStatus

from factorial.comparison import findings
from factorial.comparison.table import load
from factorial.console import Tally
from factorial.record import selection
from factorial.record.store import connect, look_into
from factorial.results import Outcome
from factorial.runs import run
from factorial.runs.ending import outcome_of
from factorial.runs.grid import combinations
from factorial.runs.members import check
from factorial.settings.combination import Combination
from factorial.settings.messages import BadInput
from factorial.settings.schema import Tracking

pytestmark = pytest.mark.slow

LINEAR = ["data=digits", "model=linear", "optimizer=sgd", "epochs=1"]
GRID = ["data=digits", "optimizer=sgd,adam", "model=linear,mlp", "epochs=2,1"]


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_a_sweep_is_one_parent_with_a_child_for_each_combination(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep(outputs, *GRID, f"ledger={outputs / 'ledger.json'}")
    (parent,) = parents(outputs)
    assert parent.info.status == "FINISHED"
    assert parent.data.params == {
        "optimizer": "sgd, adam", "model": "linear, mlp", "epochs": "2, 1",
    }  # fmt: skip
    runs = children(outputs)
    assert {run.data.tags["mlflow.parentRunId"] for run in runs} == {parent.info.run_id}
    seen = {tuple(run.data.params[key] for key in ("model", "optimizer", "epochs")) for run in runs}
    assert seen == set(itertools.product(["linear", "mlp"], ["sgd", "adam"], ["1", "2"]))
    assert len(runs) == 8
    output = said(capsys)
    cells = [
        [run.data.params[key] for key in ("optimizer", "model", "epochs")]
        + [f"{run.data.metrics[f'{split}/accuracy']:.4f}" for split in ("validation", "test")]
        + ["FINISHED"]
        for run in runs
    ]
    assert sorted(table(output)) == sorted(cells)
    assert "8 combinations, 0 failed" in output
    ledger = json.loads(read(outputs / "ledger.json"))
    assert ledger["sweep"] == parent.data.tags["sweep"]
    rows = [[f"{one['validation']:.4f}", f"{one['test']:.4f}"] for one in ledger["runs"]]
    assert rows == [row[3:5] for row in table(output)]
    sweep(outputs / "untracked", *GRID, "tracking=off")
    assert table(said(capsys)) == table(output)


def test_a_sweep_issued_twice_is_one_sweep_in_whichever_order_of_its_factors(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep(outputs, *LINEAR, "seed=0,1", "optimizer.lr=0.1,0.01")
    first, before = said(capsys), {run.info.run_id for run in recorded(outputs)}
    sweep(outputs, *reversed(LINEAR), "optimizer.lr=0.1,1e-2", "seed=1,0")
    again = said(capsys)
    assert {run.info.run_id for run in recorded(outputs)} == before
    assert "4 new" in first and "4 cached" in again
    sweep(outputs, *LINEAR, "seed=0,1", "optimizer.lr=0.1,0.01", "fresh=true")
    assert "4 new" in said(capsys)
    assert (len(parents(outputs)), len(children(outputs))) == (2, 8)


def test_a_sweep_takes_over_what_another_command_trained(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bring(outputs, *LINEAR)
    (single,) = recorded(outputs)
    sweep(outputs, *LINEAR, "seed=0,1")
    assert "1 cached, 1 new" in said(capsys)
    (copy,) = (run for run in children(outputs) if "cached" in run.data.tags)
    assert copy.data.tags["cached"] == single.info.run_id
    assert copy.data.metrics == single.data.metrics
    assert copy.data.params == single.data.params


def test_failures_are_recorded_with_their_reason_and_the_others_go_on(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["data=digits", "model=linear,mlp", "optimizer=sgd", "epochs=1", "model.hidden=[8]"]
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
            "model.hidden is not a setting",
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


def test_combinations_that_say_the_same_have_one_child(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep(outputs, *LINEAR, "+optimizer.weight_decay=0,0.0,0.5")
    captured = capsys.readouterr()
    assert "1 of 3 combinations say what others say" in captured.err
    assert "2 combinations, 0 failed" in captured.out
    assert len(children(outputs)) == 2
    (parent,) = parents(outputs)
    assert parent.data.tags["combinations"] == "2"


def test_classes_that_were_typed_stand_on_the_leaderboard(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (outputs / "my_opt.py").write_text(
        "import torch\nclass SignSGD(torch.optim.SGD):\n"
        "    def __init__(self, params, lr):\n        super().__init__(params, lr=lr)\n"
    )
    monkeypatch.syspath_prepend(outputs)
    classes = "optimizer._target_=my_opt.SignSGD,torch.optim.Adam"
    sweep(outputs, "data=digits", "model=linear", "epochs=1", classes, "~optimizer.fused")
    params = [run.data.params for run in children(outputs)]
    assert [(one["optimizer"], one["optimizer._target_"]) for one in params] == [
        ("SignSGD", "my_opt.SignSGD"),
        ("Adam", "torch.optim.Adam"),
    ]
    connect.cache_clear()
    store = look_into(Tracking("local", None, "", None, None), str(outputs))
    comparison = load(store, selection.of_sweep(store, None))
    found = findings.find(comparison)
    assert len(comparison.runs) == len(found.board) == 2
    assert comparison.superseded == 0
    assert all(any(name in word for word in found.board["label"]) for name in ("SignSGD", "Adam"))


@pytest.mark.parametrize("folder", ["/dev/null/ledger.json", "/proc/ledger.json"])
def test_a_ledger_that_can_not_be_written_is_refused_before_anything_starts(
    folder: str, outputs: Path
) -> None:
    with pytest.raises(BadInput, match=f"ledger={folder}: allowed is a file"):
        sweep(outputs, *LINEAR, "seed=0,1", f"ledger={folder}")
    assert recorded(outputs) == []


SWEEPS = {
    "hydra/sweeper=basic plan=true -m": "hydra/sweeper=basic: allowed of Hydra's own settings",
    "experiment=article": "experiment=article: it is a sweep of seed, model, optimizer: add -m",
    "experiment=article,factors -m": "experiment=article,factors: allowed is one, for a preset is",
    "tracking.experiment=a,b -m": "tracking.experiment=a,b: allowed is one value, for it changes",
}


@pytest.mark.parametrize("words", SWEEPS)
def test_a_sweep_that_could_not_be_one_is_refused_in_one_line(words: str, tmp_path: Path) -> None:
    done = train(tmp_path, *words.split())
    assert done.returncode == 1
    assert re.fullmatch(r"error: [^\n]*\n+", done.stderr)
    assert SWEEPS[words] in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_glob_stands_for_its_options() -> None:
    loader = GlobalHydra.instance().config_loader()
    grid = combinations(["optimizer=glob(ada*)"], {}, [], loader)
    assert grid == [[f"optimizer={name}"] for name in ("adadelta", "adagrad", "adam", "adamw")]


def plan(output: str) -> list[str]:
    """The column `plan` of each row, with the seconds behind it."""
    states = r"(new|cached|resumes|continues|left|invalid)\b.*"
    return [" ".join(found[0].split()) for found in re.finditer(states, output)]


def test_a_plan_says_what_would_be_done_and_does_nothing(
    tmp_path: Path, outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*LINEAR[:-1], "optimizer.lr=0.1,0.01,-1", "epochs=2,4"]
    sweep(tmp_path / "nothing", *words, "plan=true")
    assert not (tmp_path / "nothing").exists()
    refused = "invalid: optimizer.lr=-1: allowed is a finite number above 0"
    assert plan(said(capsys)) == [
        "new ?", "continues the 2-epoch run ?", "new ?", "continues the 2-epoch run ?",
        refused, refused,
    ]  # fmt: skip
    one = bring(outputs, *LINEAR[:-1], "optimizer.lr=0.1", "epochs=2")
    capsys.readouterr()
    sweep(outputs, *words, "plan=true")
    output = said(capsys)
    rows = plan(output)
    assert rows[0] == f"cached (run {one.run_id[:8]}) 0.0"
    assert [row.rpartition(" ")[0] for row in rows[1:4]] == [
        "continues the 2-epoch run", "new", "continues the 2-epoch run",
    ]  # fmt: skip
    assert re.search(r"6 combinations, about \d+ s of training\n", output)
    assert len(recorded(outputs)) == 1


def test_a_plan_knows_what_a_sweep_left_behind(
    outputs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is resumed in its own run, and not continued in a new one."""
    words = [*LINEAR[:-1], "epochs=3", "seed=0,1"]
    with monkeypatch.context() as patched:
        patched.setattr(run, "finish", interrupt)
        with pytest.raises(KeyboardInterrupt):
            sweep(outputs, *words)
    capsys.readouterr()
    sweep(outputs, *words, "plan=true")
    assert [row.rpartition(" ")[0] for row in plan(said(capsys))] == [
        "resumes after epoch 3",
        "new",
    ]


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


FLAKY = ["data=digits", "model=linear", "model._target_=test_sweep.Flaky", "epochs=1"]


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


def test_a_tally_counts_what_ended_once_and_measures_what_was_trained(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 5.0, 10.0, 14.0, 30.0])
    monkeypatch.setattr("factorial.console.time.monotonic", lambda: next(clock))
    tally = Tally(4)
    for member, origin in (("a", "cached"), ("b", "new"), ("c", "resumed"), ("c", "resumed")):
        tally.show(member, Outcome("name", "FINISHED", origin=origin, test=0.5))  # type: ignore[arg-type]
    lines = said(capsys).splitlines()
    assert [line[:3] for line in lines] == ["1/4", "2/4", "3/4", "3/4"]
    assert [re.findall(r"about (\d+) s left", line) for line in lines] == [
        [],
        ["20"],
        ["7"],
        ["10"],
    ]
    assert str(tally) == "3 of 4"


def test_a_job_that_gave_no_outcome_is_lost(tmp_path: Path) -> None:
    member = check(["data=digits", f"outputs={tmp_path}"], Combination.compose)
    raised, wrong, good = JobReturn(), JobReturn(), JobReturn()
    raised.status, raised._return_value = JobStatus.FAILED, RuntimeError("no memory")
    wrong.status, wrong._return_value = JobStatus.COMPLETED, 3
    good.status, good._return_value = JobStatus.COMPLETED, Outcome("name", "FINISHED")
    lost = [outcome_of(member, one) for one in (raised, wrong)]
    assert [(one.status, one.retriable) for one in lost] == [("LOST", True)] * 2
    assert lost[0].reason == "its process died (RuntimeError: no memory)"
    assert lost[1].reason == "its process died (it gave 3)"
    assert outcome_of(member, good) is good._return_value
