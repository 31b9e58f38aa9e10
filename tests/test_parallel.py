"""Sweeps through Hydra's launchers: a process for each run, and one of them dies."""

import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra.core.utils import JobReturn, JobStatus
from processes import train
from running import children, parents, recorded, sweep, table

from factorial.results import Outcome
from factorial.runs.ending import run_in_worker
from factorial.settings.combination import Combination

pytestmark = pytest.mark.slow

LINEAR = ["data=digits", "model=linear", "optimizer=sgd", "epochs=1"]

LAUNCHER = """
import multiprocessing
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, run_job
from hydra.plugins.launcher import Launcher
from omegaconf import open_dict


@dataclass
class Conf:
    _target_: str = "hydra_plugins.processes.Processes"
    gives_up: bool = False


ConfigStore.instance().store(group="hydra/launcher", name="processes", node=Conf)


class Processes(Launcher):
    def __init__(self, gives_up):
        self.gives_up = gives_up

    def setup(self, *, hydra_context, task_function, config):
        self.context, self.task, self.config = hydra_context, task_function, config

    def launch(self, job_overrides, initial_job_idx):
        fork = multiprocessing.get_context("fork")
        pipes, workers = [], []
        for number, words in enumerate(job_overrides, start=initial_job_idx):
            receive, send = fork.Pipe(duplex=False)
            worker = fork.Process(target=self.work, args=(list(words), number, send))
            worker.start()
            send.close()
            pipes.append(receive)
            workers.append(worker)
        returned = [self.result(pipe) for pipe in pipes]
        for worker in workers:
            worker.join()
        if self.gives_up and any(one.status == JobStatus.FAILED for one in returned):
            raise RuntimeError("a worker was killed")
        return returned

    def work(self, words, number, pipe):
        config = self.context.config_loader.load_sweep_config(self.config, words)
        with open_dict(config):
            config.hydra.job.id, config.hydra.job.num = str(number), number
        pipe.send(run_job(
            hydra_context=self.context, task_function=self.task, config=config,
            job_dir_key="hydra.sweep.dir", job_subdir_key="hydra.sweep.subdir",
        ).return_value)

    def result(self, pipe):
        result = JobReturn()
        try:
            result.return_value, result.status = pipe.recv(), JobStatus.COMPLETED
        except EOFError:
            result.return_value = RuntimeError("killed")
            result.status = JobStatus.FAILED
        return result
"""

MORTAL = """
import os, pathlib, signal, torch


class Mortal(torch.nn.Sequential):
    '''Kills its process in its first batches, `lives` times.'''

    def __init__(self, shape, classes, name, lives, where):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(64, classes))
        self.name, self.lives, self.where = name, lives, pathlib.Path(where)

    def forward(self, images):
        dead = len(list(self.where.glob(f"{self.name}-*")))
        if len(images) > 2 and dead < self.lives.get(self.name, 0):
            (self.where / f"{self.name}-{dead}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(images)
"""


@pytest.fixture
def mortal(outputs: Path, tmp_path: Path) -> list[str]:
    """Overrides for the launcher and the model; `forever` always dies, `once` once."""
    (tmp_path / "hydra_plugins").mkdir()
    (tmp_path / "hydra_plugins" / "processes.py").write_text(LAUNCHER)
    (tmp_path / "mortal.py").write_text(MORTAL)
    (tmp_path / "graves").mkdir()
    return [
        "-m", *LINEAR, "model._target_=mortal.Mortal", f"+model.where={tmp_path / 'graves'}",
        "+model.lives={forever:99,once:1}", "device.threads=1",
    ]  # fmt: skip


LAUNCHERS = {
    "parallel": ["hydra/launcher=parallel", "hydra.launcher.workers=2"],
    # forked by a process that may have touched a card, which its children then can't
    "processes": ["hydra/launcher=processes", "device=cpu"],
    "gives up": ["hydra/launcher=processes", "hydra.launcher.gives_up=true", "device=cpu"],
}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_dead_worker_fails_its_own_run_only(
    launcher: str, mortal: list[str], outputs: Path, tmp_path: Path
) -> None:
    words = [*mortal, *LAUNCHERS[launcher], "+model.name=a,forever,b,c"]
    done = train(outputs, *words, env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    statuses = {run.data.params["model.name"]: run.info.status for run in children(outputs)}
    assert statuses == {"a": "FINISHED", "forever": "FAILED", "b": "FINISHED", "c": "FINISHED"}
    assert len(children(outputs)) == 4
    (dead,) = (run for run in children(outputs) if run.info.status == "FAILED")
    assert re.match(r"its process died \((RuntimeError|Died): ", dead.data.tags["failure"])
    assert [row[-1] for row in table(done.stdout)] == ["FINISHED", "LOST", "FINISHED", "FINISHED"]


@pytest.mark.parametrize("launcher", ["parallel", "processes"])
def test_a_worker_that_died_is_tried_again_in_its_own_run(
    launcher: str, mortal: list[str], outputs: Path, tmp_path: Path
) -> None:
    words = [*mortal, *LAUNCHERS[launcher], "+model.name=a,once", "retries=1"]
    done = train(outputs, *words, env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert [run.info.status for run in recorded(outputs)] == ["FINISHED"] * 3
    assert len(list((tmp_path / "graves").iterdir())) == 1


def completed(outcome: Any) -> JobReturn:
    job = JobReturn()
    job.status, job.return_value = JobStatus.COMPLETED, outcome
    return job


def launch_here(jobs: Sequence[list[str]]) -> list[JobReturn]:
    """A launcher's worker, by what it is given: the words of a job."""
    return [completed(run_in_worker(Combination.compose(words))) for words in jobs]


def test_a_sweep_through_a_launcher_is_the_same_sweep(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*LINEAR, "seed=0,1", "tracking.experiment='two words'"]
    sweep(outputs, *words, launch=launch_here)
    first = table(capsys.readouterr().out)
    assert {run.info.experiment_id for run in recorded(outputs)} == {"1"}
    sweep(outputs, *words)
    output = capsys.readouterr().out
    assert "2 cached" in output
    assert table(output) == first
    assert (len(parents(outputs)), len(children(outputs))) == (1, 2)


def test_what_would_be_made_of_something_else_elsewhere_is_not_trained(outputs: Path) -> None:
    """Another machine may have other data, or code: it says which, and on which host."""
    other = "recipe=['code-0000000000000000','data-0000000000000000']"

    def launch(jobs: Sequence[list[str]]) -> list[JobReturn]:
        assert all(word.startswith("recipe=['code-") for words in jobs for word in words[-1:])
        return launch_here([[*words, other] for words in jobs])

    with pytest.raises(SystemExit):
        sweep(outputs, *LINEAR, "seed=0", launch=launch)
    (run,) = children(outputs)
    line = f"recipe on {socket.gethostname()}: other code, data than the command has; allowed is"
    assert run.data.tags["failure"] == f"{line} the same"
    assert "train/loss" not in run.data.metrics


def test_jobs_that_a_launcher_does_not_answer_for_are_lost_alone(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        sweep(outputs, *LINEAR, "seed=0,1,2", launch=lambda jobs: launch_here(jobs[:1]))
    assert [run.info.status for run in children(outputs)] == ["FINISHED", "FAILED", "FAILED"]
    output = capsys.readouterr().out
    assert output.count("its process died (no answer)") == 2 * 2  # and once below the table
    assert "3 combinations, 2 failed" in output


def test_a_result_on_record_counts_though_its_process_died_behind_it(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep(outputs, *LINEAR, "seed=0,1,2", launch=lambda jobs: launch_here(jobs)[:1])
    assert [run.info.status for run in children(outputs)] == ["FINISHED"] * 3
    assert "3 combinations, 0 failed" in capsys.readouterr().out


def test_the_longest_of_a_trunk_is_launched_first_and_listed_where_it_was_asked_for(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launched: list[str] = []

    def launch(jobs: Sequence[list[str]]) -> list[JobReturn]:
        launched.extend(word for words in jobs for word in words if word.startswith("epochs"))
        return launch_here(jobs)

    sweep(outputs, *LINEAR[:-1], "epochs=2,3,1", launch=launch)
    assert launched == ["epochs.count=3", "epochs.count=2", "epochs.count=1"]
    output = capsys.readouterr().out
    assert [row[0] for row in table(output)] == ["2", "3", "1"]
    assert "2 continued, 1 new" in output or "1 new, 2 continued" in output


def test_what_a_launcher_lost_has_the_threads_that_it_would_have_had(outputs: Path) -> None:
    def launch(jobs: Sequence[list[str]]) -> list[JobReturn]:
        assert all("device.threads=3" in words for words in jobs)
        return []

    with pytest.raises(SystemExit):
        sweep(outputs, *LINEAR, "seed=0,1", launch=launch, threads=3)
    assert [run.data.params["threads"] for run in children(outputs)] == ["3", "3"]


def test_what_a_launcher_lost_is_found_by_halves(outputs: Path) -> None:
    """The others are launched together as far as can be, and trained once."""
    launched: list[list[str]] = []

    def seeds(jobs: Sequence[list[str]]) -> list[str]:
        return [word for words in jobs for word in words if word.startswith("seed=")]

    def launch(jobs: Sequence[list[str]]) -> list[JobReturn]:
        launched.append(seeds(jobs))
        if "seed=1" in seeds(jobs):
            raise RuntimeError("a worker was killed")
        return [completed(Outcome("name", "FINISHED", run_id="1", test=0.5)) for _ in jobs]

    with pytest.raises(SystemExit):
        sweep(outputs, *LINEAR, "seed=0,1,2,3", launch=launch)
    zero, one, two, three = (f"seed={seed}" for seed in range(4))
    assert launched == [[zero, one, two, three], [zero, one], [zero], [one], [two, three]]
