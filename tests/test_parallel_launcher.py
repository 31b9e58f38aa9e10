"""Several runs at once on one machine: the same sweep, the same bits, and all of it on record."""

import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from processes import start, train
from running import bring, children, client, parents, recorded, sweep, weights

from hydra_plugins import factorial_parallel

pytestmark = pytest.mark.slow

PARALLEL = ["hydra/launcher=parallel", "hydra.launcher.workers=2"]
GRID = ["-m", "data=digits", "model=linear,mlp", "optimizer=adam", "epochs=1,3", "seed=0,1"]


def states(folder: Path) -> list[str]:
    return sorted(run.info.status for run in children(folder))


def test_a_sweep_side_by_side_has_the_bits_of_one_behind_the_other(
    outputs: Path, tmp_path: Path
) -> None:
    done = train(outputs, *GRID, *PARALLEL, "hydra.launcher.threads=1")
    assert done.returncode == 0, done.stdout + done.stderr
    alone = tmp_path / "alone"
    assert train(alone, *GRID, "device.threads=1").returncode == 0
    assert {run.data.params["threads"] for run in children(outputs)} == {"1"}
    assert len(weights(outputs)) == 8
    assert set(weights(outputs).values()) == set(weights(alone).values())
    assert done.stdout.count("4 continued, 4 new") == 1
    lines = re.findall(r"^(\d)/8  (new|continued) ", done.stdout, re.MULTILINE)
    assert [number for number, _ in lines] == list("12345678")
    again = train(outputs, *GRID)
    assert "8 cached" in again.stdout
    assert (len(parents(outputs)), len(children(outputs))) == (1, 8)


def test_a_result_answers_whatever_number_of_threads_the_launcher_has(outputs: Path) -> None:
    bring(outputs, "model=linear", "optimizer=sgd", "epochs=1", "device.threads=3")
    words = ["-m", "data=digits", "model=linear", "optimizer=sgd", "epochs=1", "seed=0,1"]
    done = train(outputs, *words, *PARALLEL, "hydra.launcher.threads=2")
    assert "1 cached, 1 new" in done.stdout
    assert sorted(run.data.params["threads"] for run in children(outputs)) == ["2", "3"]


def test_threads_that_are_asked_for_are_those_of_the_run(outputs: Path) -> None:
    words = ["-m", "data=digits", "model=linear", "optimizer=sgd", "epochs=1"]
    done = train(outputs, *words, *PARALLEL, "hydra.launcher.threads=1", "device.threads=2,3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(run.data.params["threads"] for run in children(outputs)) == ["2", "3"]


@pytest.mark.parametrize("plan", [True, False])
def test_what_workers_import_is_begun_by_a_command_that_has_some(
    plan: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[None] = []
    monkeypatch.setattr(factorial_parallel, "foresee", lambda: begun.append(None))
    launcher = factorial_parallel.ParallelLauncher(workers=2, threads=None)
    launcher.setup(hydra_context=None, task_function=None, config=OmegaConf.create({"plan": plan}))
    assert len(begun) == (0 if plan else 1)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def in_progress(folder: Path) -> int:
    """Runs that have an epoch behind them."""
    logs = folder.glob("runs/*/artifacts/train.log")
    return sum("epoch " in log.read_text() for log in logs)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_sweep_leaves_states_from_which_it_goes_on(
    number: signal.Signals, outputs: Path
) -> None:
    """Killed, the command says nothing more; its workers see it, and stop all the same."""
    words = ["-m", "data=digits", "model=mlp", "optimizer=adam", "epochs=80", "seed=0,1,2"]
    begun = start(outputs, *words, *PARALLEL, "hydra.launcher.threads=1")
    wait_for(lambda: in_progress(outputs) == 2)
    begun.kill(number)
    if number == signal.SIGINT:
        assert begun.returncode == 130
        assert "stopped after 0 of 3 combinations" in begun.stdout
    wait_for(lambda: states(outputs) == ["KILLED", "KILLED"])
    kept = [file.name for file in (outputs / "checkpoints").rglob("*.safetensors")]
    assert len(kept) == 2 and all(name.startswith("partial-") for name in kept)
    done = train(outputs, *words, *PARALLEL, "hydra.launcher.threads=1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 resumed" in done.stdout
    assert states(outputs) == ["FINISHED"] * 3


def test_eight_processes_write_to_one_database_and_nothing_is_lost(outputs: Path) -> None:
    words = ["-m", "data=digits", "model=linear", "optimizer=sgd", "seed=range(60)", "epochs=2"]
    done = train(outputs, *words, "hydra/launcher=parallel", "hydra.launcher.workers=8")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert "locked" not in done.stdout
    assert len(recorded(outputs)) == 61
    for run in children(outputs):
        assert run.info.status == "FINISHED"
        points = client(outputs).get_metric_history(run.info.run_id, "train/loss")
        assert [point.step for point in points] == [1, 2]
        assert (len(run.data.params), len(run.data.metrics)) == (30, 11)


@pytest.mark.parametrize("word", ["workers=0", "workers=two", "threads=-1", "threads=1.5"])
def test_a_wrong_number_of_workers_is_one_line(word: str, tmp_path: Path) -> None:
    done = train(tmp_path, *GRID, "hydra/launcher=parallel", f"hydra.launcher.{word}")
    assert done.returncode == 1
    allowed = "allowed is null, or a whole number above 0"
    assert done.stderr.strip() == f"error: hydra.launcher.{word}: {allowed}"


def test_in_this_process_nothing_is_pinned(outputs: Path) -> None:
    sweep(outputs, "data=digits", "model=linear", "optimizer=sgd", "epochs=1", "seed=0,1")
    assert not any("device.threads" in run.data.params for run in children(outputs))
