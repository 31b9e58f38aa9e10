"""A replay is equal or explained."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT
from processes import Started, start, train
from running import recorded

RUN = ["data=digits", "model=mlp", "optimizer=adam"]


def replay(folder: Path, *words: str) -> Started:
    return train(folder, *words, command="replay")


def results(folder: Path) -> list[Any]:
    """Every run but replays."""
    return [run for run in recorded(folder) if "replays" not in run.data.tags]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record of one run, not to be changed."""
    folder = tmp_path_factory.mktemp("outputs")
    assert train(folder, *RUN, "epochs=3").returncode == 0
    return folder


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """A record of one's own to tamper with, elsewhere: its paths are others now."""
    return Path(shutil.copytree(made, tmp_path / "copy"))


def file_of(folder: Path, name: str) -> Path:
    (run,) = results(folder)
    return folder / "runs" / run.info.run_id / "artifacts" / name


def change(file: Path, change: Any) -> None:
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))


@pytest.mark.slow
def test_a_run_replays_identically_and_the_verdict_is_recorded(copy: Path) -> None:
    shutil.rmtree(copy / "checkpoints")
    done = replay(copy, "run=last")
    assert done.returncode == 0, done.stderr
    assert "verdict: identical" in done.stdout
    (run,) = results(copy)
    (again,) = [one for one in recorded(copy) if "replays" in one.data.tags]
    assert again.data.tags["replays"] == run.info.run_id
    assert again.data.tags["verdict"] == "identical"
    assert "recipe" not in again.data.tags  # it answers no later command
    assert not (copy / "checkpoints").exists()
    timed = {"epoch_seconds", "train/seconds"}
    metrics = {k: v for k, v in run.data.metrics.items() if k not in timed}
    assert metrics == {k: v for k, v in again.data.metrics.items() if k not in timed}


@pytest.mark.slow
def test_a_resumed_a_continued_and_a_cached_run_replay_identically(tmp_path: Path) -> None:
    stopped = start(tmp_path, *RUN, "epochs=60", "cadence=0")
    stopped.wait_until("epoch 10/60")
    stopped.kill(signal.SIGKILL)
    assert train(tmp_path, *RUN, "epochs=60").returncode == 0
    assert train(tmp_path, *RUN, "epochs=62").returncode == 0
    assert train(tmp_path, "-m", *RUN, "epochs=62", "seed=0,1").returncode == 0
    runs = {tag: run for run in results(tmp_path) for tag in run.data.tags}
    for tag in ("resumed_from_epoch", "continued_from", "cached"):
        done = replay(tmp_path, f"run={runs[tag].info.run_id[:12]}")
        assert "verdict: identical" in done.stdout, (tag, done.stdout, done.stderr)


@pytest.mark.slow
def test_one_changed_digest_of_weights_is_caught_in_its_epoch(copy: Path) -> None:
    def swap(metrics: dict[str, Any]) -> None:
        metrics["epochs"][1]["weights"] = "0" * 64

    change(file_of(copy, "metrics.json"), swap)
    done = replay(copy)
    assert done.returncode == 1
    assert "verdict: different" in done.stdout
    assert "first in epoch 2, weights: 000000000000 recorded (metrics.json)" in done.stdout
    assert "nothing that is recorded differs: the record was changed" in done.stdout


@pytest.mark.slow
def test_one_changed_metric_is_caught_where_it_stands(copy: Path) -> None:
    (run,) = results(copy)
    with sqlite3.connect(copy / "mlflow.db") as database:
        database.execute(
            "update metrics set value = value + 1e-9 where key = 'train/loss' and step = 3 "
            "and run_uuid = ?", (run.info.run_id,)
        )  # fmt: skip
    done = replay(copy)
    assert done.returncode == 1
    assert "first in epoch 3, train/loss: " in done.stdout
    assert "recorded (MLflow)" in done.stdout


@pytest.mark.slow
def test_one_changed_setting_is_blamed_by_name(copy: Path) -> None:
    file = file_of(copy, "config.yaml")
    config = yaml.safe_load(file.read_text())
    config["optimizer"]["lr"] = 0.002
    file.write_text(yaml.safe_dump(config))
    done = replay(copy)
    assert done.returncode == 1
    assert "first in epoch 1, train/loss" in done.stdout
    assert "config: optimizer.lr: 0.001 recorded, 0.002 here" in done.stdout


@pytest.mark.slow
def test_other_data_are_blamed(copy: Path) -> None:
    """The run is retold as one on other bytes: recipe and results."""

    def other(recipe: dict[str, Any]) -> None:
        recipe["data"] = "f" * 64

    def shifted(metrics: dict[str, Any]) -> None:
        metrics["epochs"][0]["train/loss"] += 0.1

    change(file_of(copy, "recipe.json"), other)
    change(file_of(copy, "metrics.json"), shifted)
    done = replay(copy)
    assert done.returncode == 1
    assert "data: data: ffffffffffff recorded" in done.stdout
    assert "record: recipe.json against the run's recipe id" in done.stdout


@pytest.mark.slow
def test_a_sample_of_a_sweep_replays(tmp_path: Path) -> None:
    words = ["-m", "data=digits", "model=linear,mlp", "seed=0,1", "epochs=1"]
    assert train(tmp_path, *words).returncode == 0
    (parent,) = [run for run in recorded(tmp_path) if "command" in run.data.tags]
    sweep = f"sweep={parent.data.tags['sweep'][:8]}"
    sampled = replay(tmp_path, sweep, "sample=2")
    assert sampled.stdout.count("verdict: identical") == 2
    assert replay(tmp_path, sweep, "sample=all").stdout.count("verdict: identical") == 4


@pytest.mark.slow
def test_the_recorded_code_runs_in_a_worktree(tmp_path: Path) -> None:
    """The code is changed after the run: the worktree has the old one, patch and all."""
    checkout, outputs = tmp_path / "checkout", tmp_path / "outputs"
    left_out = shutil.ignore_patterns(".git", ".venv", "outputs", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, checkout, ignore=left_out)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "as it is"]):
        identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        subprocess.run(["git", *identity, *words], cwd=checkout, check=True)
    trainer = checkout / "src/factorial/training/trainer.py"
    committed = trainer.read_text()

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "factorial", *words, f"outputs={outputs}"]
        env = os.environ | {"PYTHONPATH": str(checkout / "src")}
        return subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True)

    trainer.write_text(committed + "\nNOT_COMMITTED = True\n")
    assert run("train", "data=digits", "model=linear", "epochs=1").returncode == 0
    assert committed.count("+ loss.detach()") == 1
    trainer.write_text(committed.replace("+ loss.detach()", "- loss.detach()"))
    here = run("replay")
    assert here.returncode == 1, here.stdout
    assert "code: factorial.training.trainer: " in here.stdout
    unread = run("replay", "worktree=true")
    assert unread.returncode == 1
    assert "its git.patch is code; read it, then trust=true runs it" in unread.stderr
    there = run("replay", "worktree=true", "trust=true")
    assert there.returncode == 0, there.stdout + there.stderr
    assert "verdict: identical" in there.stdout
    assert "code:" not in there.stdout
    listed = subprocess.run(["git", "worktree", "list"], cwd=checkout, capture_output=True)
    assert listed.stdout.count(b"\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run=zz"], "error: run=zz: no run begins so; allowed is one of "),
        (["sweep=zz"], "error: no sweep is on record"),
        (["tolerance=-1"], "error: tolerance=-1: allowed is a number, 0 to 1"),
        (["threads=x"], "error: threads=x: allowed is a whole number, 1 to 1024"),
        (["runn=1"], "error: runn is not a setting (did you mean run?)"),
    ],
)
def test_bad_words_are_one_line(made: Path, words: list[str], message: str) -> None:
    done = replay(made, *words)
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("update latest_metrics set value = 0.99 where key = 'test/accuracy'", "test/accuracy"),
        ("update latest_metrics set value = 0.99 where key = 'validation/accuracy'", "latest"),
        ("update params set value = '0.5' where key = 'optimizer.lr'", "optimizer.lr, MLflow's"),
    ],
)
def test_what_mlflow_shows_is_held_against_what_it_keeps(
    copy: Path, statement: str, said: str
) -> None:
    with sqlite3.connect(copy / "mlflow.db") as database:
        database.execute(statement)
    done = replay(copy)
    assert done.returncode == 1, done.stdout
    assert "verdict: different" in done.stdout
    assert said in done.stdout
