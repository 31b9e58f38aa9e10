"""The launcher for Slurm where there is none: the same runs, by submitit's local executor."""

import os
import signal
from pathlib import Path

import psutil
import pytest
from processes import Started, read, start, train
from running import children, parents, table, trial, weights
from underway import LONG, are_training, closing, resumed, states, straight, wait_for

pytestmark = pytest.mark.slow
pytest.importorskip("submitit")

LOCAL = ["hydra/launcher=slurm", "hydra.launcher.cluster=local", "hydra.launcher.cpus=1",
         "hydra.launcher.poll=1"]  # fmt: skip


def tasks(begun: Started) -> list[int]:
    """The processes that train, each below a controller of submitit's."""
    controllers = psutil.Process(begun.process.pid).children()
    return [task.pid for one in controllers for task in one.children()]


def said(outputs: Path) -> str:
    """By all jobs."""
    return "".join(map(read, outputs.glob("slurm/*/*_log.out")))


def test_jobs_of_this_machine_give_what_the_sweep_alone_gives(
    outputs: Path, tmp_path: Path
) -> None:
    words = ["-m", "data=digits", "model=linear", "optimizer=sgd", "epochs=1,2", "seed=0"]
    ledgers = [tmp_path / "local.json", tmp_path / "alone.json"]
    one_by_one = "hydra.launcher.parallel=1"
    done = train(outputs, *words, *LOCAL, one_by_one, f"ledger={ledgers[0]}")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.count("1 jobs submitted") == 2
    assert train(tmp_path / "alone", *words, f"ledger={ledgers[1]}").returncode == 0
    assert ledgers[0].read_bytes() == ledgers[1].read_bytes()
    assert sorted(weights(outputs).values()) == sorted(weights(tmp_path / "alone").values())
    assert (len(parents(outputs)), states(outputs)) == (1, ["FINISHED"] * 2)


def test_a_signal_and_a_death_cost_nothing_but_the_run_that_died(outputs: Path) -> None:
    """One run is told that its time is over, and goes on; the other is killed."""
    begun = start(outputs, *LONG, *LOCAL, "cadence=0.1")
    wait_for(lambda: are_training(outputs, 5))
    told, killed = tasks(begun)
    os.kill(told, signal.SIGUSR2)
    os.kill(killed, signal.SIGKILL)
    assert begun.ended() == 1, begun.stdout + begun.stderr
    assert sorted(row[-1] for row in table(begun.stdout)) == ["FINISHED", "LOST"]
    assert begun.stderr == ""
    assert "ended FINISHED: its log is" in begun.stdout
    assert states(outputs) == ["FAILED", "FINISHED"] and min(resumed(outputs)) == 0
    assert closing(train(outputs, *LONG, *LOCAL).stdout) == {"1 cached", "1 resumed"}
    assert states(outputs) == ["FINISHED"] * 2 and min(resumed(outputs)) > 0
    assert weights(outputs) == straight()


def test_ctrl_c_ends_the_jobs_which_leave_states(outputs: Path) -> None:
    begun = start(outputs, *LONG, *LOCAL)
    wait_for(lambda: are_training(outputs))
    begun.kill(signal.SIGINT)
    assert begun.returncode == 130
    assert "cancelling 2 jobs" in begun.stdout
    assert states(outputs) == ["KILLED", "KILLED"]
    kept = [file.name for file in (outputs / "checkpoints").rglob("*.safetensors")]
    assert len(kept) == 2 and all(name.startswith("partial-") for name in kept)
    assert [run.data.tags["failure"] for run in children(outputs)] == ["SystemExit: 143"] * 2


def test_a_job_that_only_waits_for_another_leaves_at_once(outputs: Path) -> None:
    words = ["model=linear", "optimizer=sgd", "epochs=1"]
    with trial(outputs, *words).trunk.lock(print):
        begun = start(outputs, "-m", "data=digits", *words, *LOCAL)
        wait_for(lambda: "waiting: another process trains trunk" in said(outputs))
        (waiting,) = tasks(begun)
        begun.kill(signal.SIGINT)
        assert not psutil.pid_exists(waiting)
    assert begun.returncode == 130
    assert children(outputs) == []
