"""A sweep issued again: killed, stopped, failed, taken over, planned."""

import random
import re
import signal
from pathlib import Path

import pytest
from conftest import children, parents, recorded, start, train
from test_resume import RUN, curves_are_whole, table, weights

pytestmark = pytest.mark.slow

GRID = [
    "-m",
    "data=digits",
    "model=linear,mlp",
    "optimizer=sgd,adam",
    "epochs=20,30",
    "cadence=0.1",
]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = train(folder, *GRID)
    assert done.returncode == 0, done.stderr
    return folder, table(done.stdout)


def test_a_sweep_issued_twice_is_one_sweep(undisturbed: tuple[Path, list[str]]) -> None:
    folder, rows = undisturbed
    before = {run.info.run_id for run in recorded(folder)}
    done = train(folder, *GRID)
    assert done.returncode == 0
    assert "8 cached" in done.stdout
    assert table(done.stdout) == rows
    assert {run.info.run_id for run in recorded(folder)} == before
    assert [parent.info.status for parent in parents(folder)] == ["FINISHED"]


def test_a_sweep_killed_at_twenty_instants_ends_as_if_never_killed(
    tmp_path: Path, undisturbed: tuple[Path, list[str]]
) -> None:
    draw, kills, round_ = random.Random(0), 0, 0
    while kills < 20:
        folder = tmp_path / str(round_ := round_ + 1)
        folder.mkdir()
        run = start(folder, *GRID)
        while run.returncode is None:
            run.wait_until("sweep ")
            run.process.join(draw.uniform(0, 1.5) if kills < 20 else None)
            if run.returncode is None:
                run.kill(signal.SIGKILL)
                kills += 1
                run = start(folder, *GRID)
        assert run.returncode == 0, run.stderr
        assert table(run.stdout) == undisturbed[1]
        assert weights(folder) == weights(undisturbed[0])
        assert len(parents(folder)) == 1
        assert len(children(folder)) == 8
        assert {run.info.status for run in recorded(folder)} == {"FINISHED"}
        curves_are_whole(folder)


def test_a_sweep_takes_over_what_another_command_trained(tmp_path: Path) -> None:
    train(tmp_path, *RUN, "epochs=2")
    (single,) = recorded(tmp_path)
    done = train(tmp_path, "-m", *RUN, "epochs=2", "seed=0,1")
    assert "1 cached, 1 new" in done.stdout
    (copy,) = (run for run in children(tmp_path) if "cached" in run.data.tags)
    assert copy.data.tags["cached"] == single.info.run_id
    assert copy.data.metrics == single.data.metrics
    assert copy.data.params == single.data.params
    curves_are_whole(tmp_path)


def test_divergence_is_a_result_and_not_tried_again(tmp_path: Path) -> None:
    words = ["-m", "data=digits", "optimizer=sgd", "optimizer.lr=0.1,1e30", "epochs=1"]
    first, again = (train(tmp_path, *words) for _ in range(2))
    assert (first.returncode, again.returncode) == (1, 1)
    assert "2 cached" in again.stdout
    assert table(first.stdout) == table(again.stdout)
    assert len(recorded(tmp_path)) == 3


FLAKY = """
import os, pathlib, torch
class Flaky(torch.nn.Sequential):
    def __init__(self, shape, classes, fails, where):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(64, classes))
        self.fails, self.where = fails, pathlib.Path(where)
    def forward(self, images):
        seen = len(list(self.where.iterdir()))
        if seen < self.fails:
            (self.where / str(seen)).touch()
            raise MemoryError("not enough memory, for now")
        return super().forward(images)
"""


@pytest.fixture
def flaky(tmp_path: Path) -> list[str]:
    """Overrides for a model that fails `model.fails` times."""
    (tmp_path / "flaky.py").write_text(FLAKY)
    (tmp_path / "seen").mkdir()
    return ["data=digits", "model=linear", "model._target_=flaky.Flaky", "epochs=1",
            f"+model.where={tmp_path / 'seen'}"]  # fmt: skip


def test_an_exception_is_retried_as_often_as_asked(flaky: list[str], tmp_path: Path) -> None:
    env = {"PYTHONPATH": str(tmp_path)}
    done = train(tmp_path / "o", "-m", *flaky, "+model.fails=2", "retries=2", env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [run.info.status for run in recorded(tmp_path / "o")] == ["FINISHED"] * 2


def test_on_failure_stop_starts_no_further_run(flaky: list[str], tmp_path: Path) -> None:
    env = {"PYTHONPATH": str(tmp_path)}
    words = ["-m", *flaky, "+model.fails=1", "seed=0,1,2", "on_failure=stop"]
    done = train(tmp_path / "o", *words, env=env)
    assert done.returncode == 1
    assert "MemoryError: not enough memory, for now" in done.stdout
    assert done.stdout.count("not started: an earlier run failed") == 2
    done = train(tmp_path / "o", *words, env=env)
    assert done.returncode == 0, done.stdout
    assert len(children(tmp_path / "o")) == 3
    assert len({frozenset(run.data.params) for run in children(tmp_path / "o")}) == 1


def test_a_plan_says_what_would_be_done_and_does_nothing(tmp_path: Path) -> None:
    words = ["-m", *RUN, "epochs=2,4", "optimizer.lr=0.001,0.01,-1"]
    done = train(tmp_path, *words, "plan=true")
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())
    assert len(re.findall(r" new +\?", done.stdout)) == 2
    assert len(re.findall(r"continues the 2-epoch run +\?", done.stdout)) == 2
    assert done.stdout.count("invalid: optimizer.lr=-1: allowed is a finite number above 0") == 2
    train(tmp_path, *RUN, "epochs=2")
    done = train(tmp_path, *words, "plan=true")
    (run,) = recorded(tmp_path)
    assert f"cached (run {run.info.run_id[:8]})" in done.stdout
    assert re.search(r"6 combinations, about \d+ s of training\n", done.stdout)
