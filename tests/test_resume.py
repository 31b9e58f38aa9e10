"""Never twice, never lost: cache, resumption, continuation and sweeps, with real processes."""

import contextlib
import re
import signal
import sqlite3
from pathlib import Path

import pytest
from processes import start, train
from running import client, curves_are_whole, recorded, weights

pytestmark = pytest.mark.slow

RUN = ["data=digits", "model=mlp", "optimizer=adam"]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run of 60 epochs."""
    folder = tmp_path_factory.mktemp("straight")
    done = train(folder, *RUN, "epochs=60")
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
    train(tmp_path, *reversed(RUN), "epochs=smoke", "optimizer.lr=1e-3")
    assert len(recorded(tmp_path)) == 1
    train(tmp_path, *RUN, "epochs=1", "seed=1")
    assert len(recorded(tmp_path)) == 2


def test_longer_continues_shorter_to_the_same_bits(tmp_path: Path, straight: Path) -> None:
    train(tmp_path, *RUN, "epochs=40")
    done = train(tmp_path, *RUN, "epochs=60")
    shorter, longer = recorded(tmp_path)
    assert longer.data.tags["continued_from"] == shorter.info.run_id
    assert "epoch 40/60" not in done.stdout
    assert "epoch 41/60" in done.stdout
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGKILL])
def test_stopped_and_resumed_equals_never_stopped(
    number: signal.Signals, tmp_path: Path, straight: Path
) -> None:
    words = [*RUN, "epochs=60", "cadence=0.1"]
    stopped = start(tmp_path, *words)
    stopped.wait_until("epoch 20/60")
    stopped.kill(number)
    (run,) = recorded(tmp_path)
    expected = "RUNNING" if number == signal.SIGKILL else "KILLED"
    assert run.info.status == expected
    if number != signal.SIGKILL:
        assert stopped.returncode == 128 + number
        assert "Traceback" not in stopped.stderr
    done = train(tmp_path, *words)
    assert "epoch  1/60" not in done.stdout
    (after,) = recorded(tmp_path)
    assert (after.info.run_id, after.info.status) == (run.info.run_id, "FINISHED")
    assert int(after.data.tags["resumed_from_epoch"]) > 0
    assert "failure" not in after.data.tags
    assert weights(tmp_path) == weights(straight)
    history = client(tmp_path).get_metric_history(run.info.run_id, "train/loss")
    assert [point.step for point in history] == list(range(1, 61))


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


def test_a_full_disk_at_a_checkpoint_is_a_clear_error_and_mended_by_room(tmp_path: Path) -> None:
    words = [*RUN, "epochs=2", "model.hidden=[1024,1024]"]
    train(tmp_path, "data=digits", "epochs=1")  # so that the database is there
    done = train(tmp_path, *words, limit=3_000_000)
    assert done.returncode == 1
    assert re.fullmatch(r"error: .*File too large.*final-2\.safetensors.*\n", done.stderr)
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
    words = ["data=digits", "model=linear", "epochs=100"]
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
