"""A sweep issued again: killed at every kind of instant, by a signal, beside others."""

import json
import shutil
import signal
from pathlib import Path

import pytest
from processes import start, sweep_apart, train
from running import (
    bring,
    children,
    client,
    curves_are_whole,
    parents,
    recorded,
    sweep,
    table,
    weights,
)

pytestmark = pytest.mark.slow

SMALL = ["data=digits", "model=linear", "optimizer=sgd", "cadence=0", "epochs=1,3", "seed=0,1"]
LONG = ["data=digits", "model=mlp", "optimizer=adam", "epochs=20,30", "cadence=0.1"]


def test_a_sweep_killed_at_twenty_instants_ends_as_if_never_killed(
    tmp_path: Path, outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After its first write to the record, after two more, after three more, and so on."""
    shutil.copytree(outputs, tmp_path / "undisturbed")
    sweep(tmp_path / "undisturbed", *SMALL)
    kills = 0
    while (issued := sweep_apart(outputs, *SMALL, kill_after=kills + 1)).ended() != 0:
        assert issued.returncode == -signal.SIGKILL, issued.stderr
        kills += 1
    assert kills >= 20
    assert table(issued.stdout) == table(capsys.readouterr().out)
    assert weights(outputs) == weights(tmp_path / "undisturbed")
    assert (len(parents(outputs)), len(children(outputs))) == (1, 4)
    assert {run.info.status for run in recorded(outputs)} == {"FINISHED"}
    curves_are_whole(outputs)
    once_each(outputs)


def once_each(folder: Path) -> None:
    """No closing metric has two points."""
    for run in children(folder):
        for name in ("test/accuracy", "best/epoch", "train/seconds"):
            assert len(client(folder).get_metric_history(run.info.run_id, name)) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_sweep_stopped_by_a_signal_goes_on_where_it_was(
    number: signal.Signals, tmp_path: Path
) -> None:
    stopped = start(tmp_path, "-m", *LONG)
    stopped.wait_until("1/2  ")
    stopped.kill(number)
    said = "stopped after 1 of 2 combinations" in stopped.stdout
    assert said == (number == signal.SIGINT)
    done = train(tmp_path, "-m", *LONG)
    assert done.returncode == 0, done.stderr
    assert "1 cached" in done.stdout
    assert (len(parents(tmp_path)), len(children(tmp_path))) == (1, 2)
    assert {run.info.status for run in recorded(tmp_path)} == {"FINISHED"}
    curves_are_whole(tmp_path)


def test_one_sweep_issued_by_four_processes_is_one_sweep(outputs: Path, tmp_path: Path) -> None:
    """Ten times, over results that other commands left on record."""
    words = ["data=digits", "model=linear", "optimizer=sgd", "epochs=2", "seed=0,1,2"]
    bring(outputs, *words[:-1], "seed=0")
    bring(outputs, *words[:-1], "seed=1")
    for round_ in range(10):
        folder = tmp_path / str(round_)
        shutil.copytree(outputs, folder)
        issued = [sweep_apart(folder, *words) for _ in range(4)]
        assert [one.ended() for one in issued] == [0] * 4, [one.stderr for one in issued]
        assert len({json.dumps(table(one.stdout)) for one in issued}) == 1
        (parent,) = [run for run in parents(folder) if "command" in run.data.tags]
        assert parent.info.status == "FINISHED"
        runs = children(folder)
        assert sorted(run.data.params["seed"] for run in runs) == ["0", "1", "2"]
        assert {run.info.status for run in runs} == {"FINISHED"}
        assert sum("cached" in run.data.tags for run in runs) == 2
        curves_are_whole(folder)
        once_each(folder)
