"""What the record says is read whole, in order, and without trust."""

import itertools
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Metric
from recorded import DIGITS, opened, product, rows, single, sweep

from factorial.record import reading, remote, selection, writing
from factorial.record.reading import RecordedRun
from factorial.record.store import Store, attach
from factorial.settings.messages import BadInput

OTHER = json.dumps(["another host", 1, 1.5])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return opened(tmp_path)


def of_id(store: Store, run: str) -> RecordedRun:
    return next(one for one in reading.search(store, "") if one.id == run)


def test_a_search_goes_through_every_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [
        single(store, {"model": "linear", "seed": seed, "failure": "x"}, {}) for seed in range(5)
    ]
    monkeypatch.setattr(reading, "AT_ONCE", 2)
    assert [run.id for run in reading.search(store, "")] == [run.id for run in made]


def test_a_row_that_was_not_written_whole_is_not_read(store: Store) -> None:
    run = writing.new(store, "one", {})
    run.log_rows(rows(0.9, 3))
    store.client.log_batch(
        run.id, [Metric("train/loss", 0.1, 0, 4), Metric("epoch_seconds", 1, 0, 4)]
    )
    assert reading.rows(store, of_id(store, run.id)) == rows(0.9, 3)


def test_a_row_that_was_not_written_whole_is_completed_once(store: Store) -> None:
    run = writing.new(store, "one", {})
    run.log_rows(rows(0.9, 1))
    store.client.log_batch(run.id, [Metric("train/loss", rows(0.9, 2)[1].train_loss, 0, 2)])
    again = writing.again(store, of_id(store, run.id))
    again.log_rows(rows(0.9, 2))
    for name in ("train/loss", "validation/loss", "validation/accuracy", "epoch_seconds"):
        steps = [point.step for point in store.client.get_metric_history(run.id, name)]
        assert sorted(steps) == [1, 2]


def test_no_write_divides_a_row(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven metrics a row: a thousand points are 142 rows and a part."""
    sizes = []
    monkeypatch.setattr(
        type(store.client), "log_batch", lambda _, run, metrics=(), **__: sizes.append(len(metrics))
    )
    writing.new(store, "one", {}).log_rows(rows(0.9, 300))
    assert sizes == [142 * 7, 142 * 7, 16 * 7]


@pytest.mark.slow
@pytest.mark.parametrize(
    "profile",
    ["1e999", '{"train": 1e999}', '{"train": NaN}', '{"train": -1}', "[" * 9000, '{"train": "1"}',
     '{"train": true}', "[1]", "null", "9" * 5000, '{"train": 1000000000000}'],
)  # fmt: skip
def test_a_profile_that_holds_no_sizes_costs_the_sizes_and_not_the_run(
    profile: str, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = single(store, {"model": "mlp", "accuracy": 0.9}, {})
    monkeypatch.setattr(json, "dumps", lambda *_, **__: profile)
    bad = writing.new(store, "bad", {})
    bad.describe({}, DIGITS._replace(digest="1" * 64))
    monkeypatch.undo()
    found = {run.id: dict(run.sizes) for run in reading.search(store, "")}
    assert found == {good.id: {"train": 1293, "validation": 144, "test": 360}, bad.id: {}}
    assert f"run {bad.id}: the profile of its data set" in capsys.readouterr().err


def run_of(status: str, owner: str = "", **tags: str) -> RecordedRun:
    return RecordedRun("a", status, {"owner": owner, **tags}, {}, {})


def here(process: int, began: float) -> str:
    return json.dumps([socket.gethostname(), process, began])


@pytest.mark.parametrize(
    "owner",
    ["", "[]", "[1, 2, 3]", '["", "", ""]', "[" * 9000, '["host", 1e999, NaN]', "null",
     f'["{socket.gethostname()}", -1, 0]', f'["{socket.gethostname()}", {"9" * 400}, 0]', OTHER],
)  # fmt: skip
def test_a_run_of_nobody_here_is_not_known_to_be_dead(owner: str) -> None:
    assert not run_of("RUNNING", owner).is_abandoned


def test_a_run_is_abandoned_when_it_stopped_or_its_process_is_gone() -> None:
    mine = reading.owner()["owner"]
    _, process, began = json.loads(mine)
    assert process == os.getpid()
    assert not run_of("RUNNING", mine).is_abandoned
    assert run_of("RUNNING", here(process, began - 100)).is_abandoned  # the number was used again
    assert run_of("RUNNING", here(999_999_999, began)).is_abandoned
    assert run_of("KILLED", mine).is_abandoned
    assert run_of("FAILED", mine).is_abandoned
    assert not run_of("FAILED", mine, diverged="true", failure="loss is nan").is_abandoned


def test_what_ended_without_a_result_is_none() -> None:
    """As MLflow leaves a run whose process exits without a word, and as its page can set it."""
    ended = run_of("FINISHED")
    assert not ended.is_result
    assert ended._replace(metrics={"test/accuracy": 0.9}).is_result
    assert not ended._replace(status="RUNNING", metrics={"test/accuracy": 0.9}).is_result


def test_the_beginning_of_two_sweeps_names_none(store: Store) -> None:
    for identity in ("xy1", "xy2"):
        parent = writing.new(store, "sweep", {"sweep": identity, "command": "-m"})
        single(store, {"model": identity, "accuracy": 0.9}, {"mlflow.parentRunId": parent.id})
        parent.end()
    with pytest.raises(BadInput, match="allowed is the beginning of one alone, of xy1, xy2"):
        selection.of_sweep(store, "xy")
    assert selection.of_sweep(store, "xy1").title == "sweep xy1"
    with pytest.raises(BadInput, match="the newest are xy2, xy1"):
        selection.of_sweep(store, "z")


def test_of_one_recipe_the_best_run_counts(store: Store) -> None:
    """A result before none, what trained before a copy, and neither sweeps nor replays."""

    def run(status: str, **tags: str) -> RecordedRun:
        return RecordedRun(f"{status} {tags}", status, tags, {"test/accuracy": 0.9}, {})

    failed = run("FAILED", recipe="a")
    diverged = run("FAILED", recipe="a", diverged="true", failure="nan")
    copy = run("FINISHED", recipe="a", cached="x")
    trained = run("FINISHED", recipe="a")
    others = [run("FINISHED", recipe="a", command="-m"), run("FINISHED", recipe="a", replays="x")]
    better = [failed, diverged, copy, trained]
    for worse, best in itertools.pairwise(better):
        assert selection.once([worse, best, *others]) == [best]
        assert selection.once([*others, best, worse]) == [best]


def test_sweeps_are_found_newest_last(store: Store) -> None:
    grid = product(model=["linear", "mlp"])
    sweep(store, [{**one, "accuracy": 0.5} for one in grid])
    newest = sweep(store, [{**one, "seed": 1, "accuracy": 0.6} for one in grid])
    assert selection.of_sweep(store, None).parent == of_id(store, newest.id)


HERE = ["file:///etc", "file:/etc", "FILE:///etc", "/etc", "etc", "", "runs:/a/b", "models:/a/1",
        "dbfs:/a", "C:/a", "C:\\a", "\\\\host\\a"]  # fmt: skip


@pytest.mark.parametrize("location", HERE)
def test_a_folder_of_this_machine_is_no_place_for_a_servers_files(
    location: str, tmp_path: Path
) -> None:
    for use in (
        lambda: remote.check("http://127.0.0.1:1", location),
        lambda: remote.upload("http://127.0.0.1:1", location, tmp_path),
        lambda: remote.download("http://127.0.0.1:1", location, "metrics.json"),
    ):
        with pytest.raises(BadInput, match=r"^tracking\.uri=http://127\.0\.0\.1:1: it would have"):
            use()


@pytest.mark.parametrize("location", ["mlflow-artifacts:/0/a", "s3://bucket/a", "https://host/a"])
def test_a_store_elsewhere_is(location: str) -> None:
    remote.check("http://127.0.0.1:1", location)


class Server:
    """What a hostile server answers: files belong in a folder of the client."""

    tracking_uri = "http://127.0.0.1:1"

    def __init__(self, location: str) -> None:
        self.location = location

    def __getattr__(self, _: str) -> Any:
        return lambda *_, **__: self

    @property
    def info(self) -> Any:
        return type("Info", (), {"run_id": "a" * 32, "artifact_uri": self.location})


def test_a_server_does_not_decide_where_a_client_writes(tmp_path: Path) -> None:
    report, outputs, elsewhere = (tmp_path / name for name in ("report", "outputs", "elsewhere"))
    report.mkdir()
    (report / "index.html").touch()
    hostile = Store(Server(elsewhere.as_uri()), "0", outputs)
    for write in (
        lambda: attach(hostile, "a" * 32, report, "report"),
        lambda: writing.new(hostile, "one", {}),
    ):
        with pytest.raises(BadInput, match="it would have files written at file://"):
            write()
    assert not elsewhere.exists()
    assert not outputs.exists()


@pytest.mark.slow
def test_importing_the_record_changes_no_environment_and_leaves_mlflow_for_later() -> None:
    script = (
        "import os, sys; before = dict(os.environ); import factorial.record.writing, "
        "factorial.record.selection, factorial.record.registry; "
        "print(before == dict(os.environ), 'mlflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "True False\n", done.stderr
