"""The newest sweeps and runs with their accuracies, in the terminal."""

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import List
from processes import Server
from recorded import empty, opened, planted, product, single, sweep
from running import client

from factorial.commands.list import main
from factorial.record import selection, writing
from factorial.reuse import evidence
from factorial.settings.messages import BadInput

LINEAR = {"model": "linear", "optimizer": "sgd", "epochs": 1}
GRID = product(model=["linear", "mlp"], seed=[0, 1])


def at(folder: Path, run: str, minute: int) -> None:
    """A run's beginning and end, as of that minute."""
    when = int(datetime(2026, 5, 1, 12, minute).timestamp() * 1000)
    change(folder, "UPDATE runs SET start_time = ?, end_time = ? WHERE run_uuid = ?",
           [(when, when, run)])  # fmt: skip


def change(folder: Path, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """The database itself, a row after the other."""
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as database:
        database.executemany(statement, rows)
        database.commit()


def test_a_sweep_is_a_row_with_its_best_by_validation(tmp_path: Path, listed: List) -> None:
    runs = [
        {"model": "a", "seed": 0, "accuracy": 0.91, "test": 0.99},
        {"model": "b", "seed": 0, "accuracy": 0.94, "test": 0.90},
        {"model": "c", "seed": 0, "accuracy": 0.94, "test": 0.98},
        {"model": "d", "seed": 0, "failure": "the loss is nan"},
    ]
    parent = sweep(opened(tmp_path), runs)
    at(tmp_path, parent.id, 7)
    tags = client(tmp_path).get_run(parent.id).data.tags
    assert listed() == [
        [tags["sweep"][:12], "sweep of 4", "planted", "2026-05-01 12:07", "4", "1", "b 0",
         "0.9400", "0.9000", "FINISHED"],
    ]  # fmt: skip


def test_a_run_that_failed_is_no_best_whatever_it_had_reached(tmp_path: Path, listed: List) -> None:
    parent = sweep(opened(tmp_path), [{"model": name, "accuracy": 0.9} for name in ("a", "b")])
    mlflow = client(tmp_path)
    run = next(
        one for one in mlflow.search_runs(["1"]) if one.data.params.get("model") == "b"
    ).info.run_id
    mlflow.log_metric(run, "validation/accuracy", 0.99, step=9)
    mlflow.set_terminated(run, "FAILED")
    ((*_, failed, best, validation, _, _),) = listed()
    assert (failed, best, validation) == ("1", "a", "0.9000")
    assert parent.id


def test_a_run_outside_of_any_sweep_is_a_row(tmp_path: Path, listed: List) -> None:
    store = opened(tmp_path)
    run = single(store, {**LINEAR, "seed": 3, "accuracy": 0.9, "test": 0.875}, {})
    failed = single(store, {**LINEAR, "seed": 4, "failure": "why"}, {})
    replay = single(store, {**LINEAR, "seed": 5, "accuracy": 0.9}, {"replays": run.id})
    foreign = writing.new(store, "of another program", {})
    foreign.end()
    for minute, one in enumerate((run, failed, replay, foreign)):
        at(tmp_path, one.id, minute)
    client(tmp_path).set_terminated(failed.id, "FAILED")
    client(tmp_path).update_run(run.id, name="first try")
    rows = listed()
    assert [row[0] for row in rows] == [failed.id[:12], run.id[:12]]
    assert rows[1] == [
        run.id[:12], "first try", "planted", "2026-05-01 12:00", "0.9000", "0.8750", "FINISHED",
    ]  # fmt: skip
    assert rows[0][1:3] + rows[0][4:] == ["linear sgd 1 4", "planted", "FAILED"]


def test_the_newest_come_first_and_no_more_than_asked_for(
    tmp_path: Path, listed: List, capsys: pytest.CaptureFixture[str]
) -> None:
    store = opened(tmp_path)
    runs = {m: single(store, {**LINEAR, "seed": m, "accuracy": 0.9}, {}).id for m in (5, 9, 2)}
    for minute, run in runs.items():
        at(tmp_path, run, minute)
    names = [f"linear sgd 1 {minute}" for minute in (9, 5, 2)]
    assert [row[1] for row in listed()] == names
    assert [row[1] for row in listed("most=3")] == names
    *rows, last = listed("most=2")
    assert [row[1] for row in rows] == names[:2]
    assert last == ["and 1 more runs: most=3 lists all"]


def test_so_do_the_newest_sweeps(tmp_path: Path, listed: List) -> None:
    store = opened(tmp_path)
    for minute, name in ((5, "second"), (9, "first"), (2, "third")):
        parent = sweep(store, [{"model": name, "accuracy": 0.9}])
        client(tmp_path).update_run(parent.id, name=name)
        at(tmp_path, parent.id, minute)
    assert [row[1] for row in listed()] == ["first", "second", "third"]


def test_an_id_of_the_list_is_one_to_the_other_commands(tmp_path: Path, listed: List) -> None:
    store = opened(tmp_path)
    parent = sweep(store, planted(GRID)).id
    run = single(store, {**LINEAR, "accuracy": 0.9}, {}).id
    (swept, *_), (alone, *_) = listed()
    chosen = selection.of_sweep(store, swept).parent
    assert chosen is not None
    assert chosen.id == parent
    assert evidence.choose(store, alone).id == run


def test_without_a_validation_split_the_choice_by_the_test_set_is_said(
    tmp_path: Path, listed: List
) -> None:
    store = opened(tmp_path)
    parent = writing.new(store, "sweep of 2", {"sweep": "a" * 64, "command": "-m"})
    for seed, accuracy in enumerate((0.91, 0.93)):
        tags = {"mlflow.parentRunId": parent.id, "recipe": str(seed)}
        run = writing.new(store, f"run {seed}", tags)
        run.conclude({"test/accuracy": accuracy})
        run.end()
    parent.end()
    (row,) = listed()
    assert row[4:] == ["2", "0", "run 1 (chosen on the test set)", "0.9300", "FINISHED"]


def test_a_run_whose_process_has_died_is_stopped(tmp_path: Path, listed: List) -> None:
    store = opened(tmp_path)
    run = writing.new(store, "gone", {"recipe": "r"})
    alive = writing.new(store, "alive", {"recipe": "s"})
    owner = json.loads(client(tmp_path).get_run(run.id).data.tags["owner"])
    client(tmp_path).set_tag(run.id, "owner", json.dumps([owner[0], owner[1], owner[2] - 1000]))
    statuses = {row[1]: row[-1] for row in listed()}
    assert statuses == {"gone": "stopped", "alive": "RUNNING"}
    assert alive.id


def test_signs_that_a_terminal_obeys_are_spelled(tmp_path: Path, listed: List) -> None:
    run = single(opened(tmp_path), {**LINEAR, "accuracy": 0.9}, {})
    client(tmp_path).update_run(run.id, name="\x1b[31mred[bold]")
    ((_, name, *_),) = listed()
    assert name == "\\x1b[31mred[bold]"


def test_no_record_is_one_line_and_stays_none(tmp_path: Path, listed: List) -> None:
    with pytest.raises(BadInput) as caught:
        listed()
    assert str(caught.value) == f"outputs={tmp_path}: no runs are on record there"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mlflow.db").write_bytes(empty())
    with pytest.raises(BadInput) as caught:
        listed()
    assert str(caught.value) == f"outputs={tmp_path}: no run on record answers to it"


def test_nothing_is_written(tmp_path: Path, listed: List) -> None:
    sweep(opened(tmp_path), planted(GRID))
    listed()
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.is_file()}
    listed("find=linear")
    after = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.is_file()}
    locks = {file for file in before if file.suffix == ".lock"}
    assert after.keys() == before.keys()
    assert {f: t for f, t in after.items() if f not in locks} == {
        f: t for f, t in before.items() if f not in locks
    }


@pytest.mark.slow
def test_two_thousand_runs_are_listed_in_seconds(tmp_path: Path, listed: List) -> None:
    opened(tmp_path)
    ids = [f"{number:032x}" for number in range(2000)]
    change(
        tmp_path,
        "INSERT INTO runs (run_uuid, name, status, lifecycle_stage, experiment_id, start_time, "
        "end_time, user_id) VALUES (?, ?, 'FINISHED', 'active', 1, ?, ?, '')",
        [(run, f"run {number}", number, number) for number, run in enumerate(ids)],
    )
    tags = [("recipe", run, run) for run in ids]
    change(tmp_path, "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", tags)
    params = [(f"key{key}", "v", run) for run in ids for key in range(15)]
    change(tmp_path, "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)", params)
    began = time.monotonic()
    *rows, last = listed()
    assert time.monotonic() - began < 10
    assert [row[1] for row in rows] == [f"run {number}" for number in range(1999, 1979, -1)]
    assert last == ["and 1980 more runs: most=2000 lists all"]


@pytest.mark.slow
def test_a_servers_record_is_listed_likewise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, outputs = tmp_path / "server", tmp_path / "outputs"
    folder.mkdir()
    parent = sweep(opened(folder), planted(GRID))
    server = Server(folder)
    try:
        words = ["tracking=server", f"tracking.uri={server.address}", f"outputs={outputs}"]
        main(words)
        main([*words, "find=mlp", "filter=metrics.validation/accuracy > 0.9"])
    finally:
        server.kill()
    out = capsys.readouterr().out
    assert out.count(client(folder).get_run(parent.id).data.tags["sweep"][:12]) == 2
    assert out.count("sweep of 4") == 2
