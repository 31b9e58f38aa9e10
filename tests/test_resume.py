"""Never twice, never lost: cache, resumption, continuation and sweeps, with real processes."""

import contextlib
import random
import re
import signal
import sqlite3
from pathlib import Path

import pytest
from conftest import children, client, parents, recorded, start, train

from factorial.cleaning import clean
from factorial.config import Tracking
from factorial.store import open_store

pytestmark = pytest.mark.slow

RUN = ["data=digits", "model=mlp", "optimizer=adam"]


def weights(folder: Path) -> dict[str, bytes]:
    """Every recorded run's weights, by its name."""
    files = {
        run.info.run_name: folder / "runs" / run.info.run_id / "artifacts" / "weights.safetensors"
        for run in recorded(folder)
    }
    return {name: file.read_bytes() for name, file in files.items() if file.is_file()}


def curves_are_whole(folder: Path) -> None:
    """Each child's curves hold each epoch once."""
    for run in recorded(folder):
        if "epochs" in run.data.params and "mlflow.parentRunId" in run.data.tags:
            for name in ("train/loss", "validation/accuracy"):
                history = client(folder).get_metric_history(run.info.run_id, name)
                steps = sorted(point.step for point in history)
                assert steps == list(range(1, int(run.data.params["epochs"]) + 1))


def table(output: str) -> list[str]:
    """The rows of the closing table without the seconds, which are never the same."""
    rows = [
        line.split() for line in output.splitlines() if re.search(r"(FINISHED|FAILED) *$", line)
    ]
    return [" ".join([*row[:-2], row[-1]]) for row in rows]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run of 150 epochs."""
    folder = tmp_path_factory.mktemp("straight")
    done = train(folder, *RUN, "epochs=150")
    assert done.returncode == 0, done.stderr
    return folder


def test_a_finished_recipe_is_answered_from_the_record(tmp_path: Path) -> None:
    first, again = (train(tmp_path, *RUN, "epochs=2") for _ in range(2))
    (run,) = recorded(tmp_path)
    assert f"answered by run {run.info.run_id}" in again.stdout
    assert "fresh=true trains again" in again.stdout
    assert "epoch 1" not in again.stdout
    results = [re.findall(r"test accuracy.*|^run .*", done.stdout) for done in (first, again)]
    assert results[0] == results[1]
    fresh = train(tmp_path, *RUN, "epochs=2", "fresh=true")
    assert "epoch 1" in fresh.stdout
    assert len(recorded(tmp_path)) == 2


def test_a_spelling_or_a_folder_is_no_new_recipe_but_a_seed_is(tmp_path: Path) -> None:
    train(tmp_path, *RUN, "epochs=1")
    train(tmp_path, *reversed(RUN), "epochs=smoke", "optimizer.lr=1e-3", "device.threads=1")
    assert len(recorded(tmp_path)) == 1
    train(tmp_path, *RUN, "epochs=1", "seed=1")
    assert len(recorded(tmp_path)) == 2


def test_longer_continues_shorter_to_the_same_bits(tmp_path: Path, straight: Path) -> None:
    train(tmp_path, *RUN, "epochs=100")
    done = train(tmp_path, *RUN, "epochs=150")
    shorter, longer = recorded(tmp_path)
    assert longer.data.tags["continued_from"] == shorter.info.run_id
    assert "epoch 100/150" not in done.stdout
    assert "epoch 101/150" in done.stdout
    name = longer.info.run_name
    assert weights(tmp_path)[name] == weights(straight)[name]
    for curve in ("train/loss", "validation/accuracy"):
        histories = [
            [(point.step, point.value) for point in client(folder).get_metric_history(run, curve)]
            for folder, run in (
                (tmp_path, longer.info.run_id),
                (straight, recorded(straight)[0].info.run_id),
            )
        ]
        assert histories[0] == histories[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_and_resumed_equals_never_stopped(
    number: signal.Signals, tmp_path: Path, straight: Path
) -> None:
    words = [*RUN, "epochs=150", "cadence=0.2"]
    stopped = start(tmp_path, *words)
    stopped.wait_until("epoch  30/150")
    stopped.kill(number)
    (run,) = recorded(tmp_path)
    expected = "RUNNING" if number == signal.SIGKILL else "KILLED"
    assert run.info.status == expected
    if number != signal.SIGKILL:
        assert stopped.returncode == 128 + number
        assert "Traceback" not in stopped.stderr
    done = train(tmp_path, *words)
    assert "epoch   1/150" not in done.stdout
    (after,) = recorded(tmp_path)
    assert (after.info.run_id, after.info.status) == (run.info.run_id, "FINISHED")
    assert int(after.data.tags["resumed_from_epoch"]) > 0
    assert "failure" not in after.data.tags
    assert weights(tmp_path) == weights(straight)
    history = client(tmp_path).get_metric_history(run.info.run_id, "train/loss")
    assert [point.step for point in history] == list(range(1, 151))


def test_two_processes_with_one_recipe_train_it_once(tmp_path: Path) -> None:
    words = [*RUN, "epochs=40"]
    pairs = [start(tmp_path, *words) for _ in range(2)]
    for each in pairs:
        each.process.join()
        assert each.returncode == 0
    assert [run.info.status for run in recorded(tmp_path)] == ["FINISHED"]
    outputs = [each.stdout for each in pairs]
    assert sum("answered by run" in output for output in outputs) == 1
    accuracies = [re.findall(r"test accuracy.*", output) for output in outputs]
    assert accuracies[0] == accuracies[1]


@pytest.mark.parametrize("order", ["3,6,9", "9,3,6"])
def test_each_trunk_is_trained_once_whatever_the_order_of_epochs(
    order: str, tmp_path: Path
) -> None:
    done = train(tmp_path, "-m", *RUN, f"epochs={order}")
    assert done.returncode == 0, done.stderr
    assert "1 new, 2 continued" in done.stdout
    curves_are_whole(tmp_path)
    straight = tmp_path / "straight"
    train(straight, *RUN, "epochs=6")
    (name,) = weights(straight)
    assert weights(tmp_path)[name] == weights(straight)[name]


def test_a_schedule_that_depends_on_the_length_is_not_continued(tmp_path: Path) -> None:
    done = train(tmp_path, "-m", *RUN, "schedule=cosine", "epochs=2,4")
    assert "2 new" in done.stdout


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


def test_a_full_disk_at_a_checkpoint_is_a_clear_error_and_mended_by_room(tmp_path: Path) -> None:
    words = [*RUN, "epochs=2", "model.hidden=[1024,1024]"]
    train(tmp_path, "data=digits", "epochs=1")  # so that the database is there
    done = train(tmp_path, *words, limit=3_000_000)
    assert done.returncode == 1
    assert re.fullmatch(r"error: .*File too large.*kept-2\.safetensors.*\n", done.stderr)
    failed = recorded(tmp_path)[-1]
    assert failed.info.status == "FAILED"
    assert "File too large" in failed.data.tags["failure"]
    done = train(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert [run.info.status for run in recorded(tmp_path)] == ["FINISHED"] * 2
    (tmp_path / "roomy").mkdir()
    train(tmp_path / "roomy", *words)
    (name,) = weights(tmp_path / "roomy")
    assert weights(tmp_path)[name] == weights(tmp_path / "roomy")[name]


def test_a_full_disk_at_the_record_is_a_clear_error_and_mended_by_room(tmp_path: Path) -> None:
    train(tmp_path, "data=digits", "epochs=1")
    size = (tmp_path / "mlflow.db").stat().st_size
    words = ["data=digits", "model=linear", "epochs=400"]
    done = train(tmp_path, *words, limit=size)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "the record can't be written" in done.stderr
    done = train(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    finished = [run for run in recorded(tmp_path) if run.info.status == "FINISHED"]
    assert len(finished) == 2
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)


def test_cleaning_removes_only_what_no_recorded_run_needs(tmp_path: Path) -> None:
    train(tmp_path, "-m", "data=digits", "model=linear", "epochs=2,4", "seed=0,1")
    gone = children(tmp_path)[0]
    for run in children(tmp_path):
        if run.data.tags["trunk"] == gone.data.tags["trunk"]:
            client(tmp_path).delete_run(run.info.run_id)
    where = open_store(Tracking("local", None, "Default", None, None), str(tmp_path))
    before = set(tmp_path.rglob("*"))
    clean(where, delete=False)
    assert before <= set(tmp_path.rglob("*"))
    clean(where, delete=True)
    (trunk,) = (tmp_path / "checkpoints").iterdir()
    assert trunk.name != gone.data.tags["trunk"]
    assert [file.name for file in trunk.rglob("*.safetensors")] == ["kept-4.safetensors"]
    kept = {path.name for path in (tmp_path / "runs").iterdir()}
    assert kept == {run.info.run_id for run in recorded(tmp_path)}
    done = train(
        tmp_path,
        "data=digits",
        "model=linear",
        "epochs=6",
        f"seed={1 - int(gone.data.params['seed'])}",
    )
    assert "epoch 5/6" in done.stdout
