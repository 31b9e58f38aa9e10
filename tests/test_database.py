"""The local store's file: whole whatever happens while it is made, and at home where it lies."""

import os
import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from processes import SERVER, train
from recorded import empty, opened, planted, product, seen_anew, single, sweep
from running import client

from factorial.record import database, reading, selection
from factorial.record.store import Store, connect, open_store, points
from factorial.settings.messages import BadInput
from factorial.settings.schema import Tracking

LOCAL = Tracking("local", None, "tests", None, None)


def execute(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def files(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def open_anew(folder: Path) -> None:
    connect.cache_clear()
    open_store(LOCAL, str(folder))


def open_elsewhere(folder: str) -> None:
    open_store(LOCAL, folder)


def size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


@pytest.mark.slow
@pytest.mark.parametrize("instant", [0.0, 0.1, 0.3, 0.6, 0.9, 1.2])
def test_a_process_killed_while_it_makes_the_database_leaves_none_or_a_whole_one(
    instant: float, tmp_path: Path
) -> None:
    """`instant` counts in seconds from the first byte on disk."""
    process = SERVER.Process(target=open_elsewhere, args=(str(tmp_path),))
    process.start()
    while not any(map(size, tmp_path.rglob("mlflow.db"))) and process.is_alive():
        time.sleep(0.005)
    time.sleep(instant)
    process.kill()  # where it has ended by itself nothing happens
    process.join()
    open_anew(tmp_path)
    assert client(tmp_path).get_experiment_by_name("tests") is not None
    assert files(tmp_path) == {"mlflow.db", ".mlflow.lock"}


def half(folder: Path) -> None:
    """As a process leaves it that is killed in the migrations: tables, and no row of anyone's."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        connection.execute("create table experiments (experiment_id integer, name text)")
        connection.execute("create table runs (run_uuid text)")
        connection.execute("create table alembic_version (version_num text)")
        connection.execute("insert into alembic_version values ('451aebb31d03')")
        connection.commit()


@pytest.mark.slow
def test_a_half_made_database_is_made_anew_and_kept_aside(tmp_path: Path) -> None:
    half(tmp_path)
    before = (tmp_path / "mlflow.db").read_bytes()
    open_anew(tmp_path)
    assert client(tmp_path).get_experiment_by_name("tests") is not None
    assert (tmp_path / "mlflow.db.unfinished").read_bytes() == before


@pytest.mark.slow
def test_an_empty_file_is_as_good_as_no_database(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").touch()
    open_anew(tmp_path)
    assert client(tmp_path).get_experiment_by_name("tests") is not None


@pytest.mark.parametrize(
    "row",
    [
        "insert into runs values ('a')",
        "insert into experiments values (0, 'Default')",
        'create table "an""other\'s" as select 1',
    ],
)
def test_a_database_that_holds_anything_is_never_put_aside(row: str, tmp_path: Path) -> None:
    half(tmp_path)
    assert database.is_unfinished(tmp_path / "mlflow.db")
    execute(tmp_path, row)
    assert not database.is_unfinished(tmp_path / "mlflow.db")


def test_a_database_that_mlflow_has_made_is_finished(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(empty())
    assert not database.is_unfinished(tmp_path / "mlflow.db")
    execute(tmp_path, "delete from experiments")  # what a kill just before the last step leaves
    assert database.is_unfinished(tmp_path / "mlflow.db")


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def text(content: bytes) -> bytes:
    return b"no database at all, but text\n" * 100


def overwritten(content: bytes) -> bytes:
    return content[:100] + b"\xff" * 8_000 + content[8_100:]


@pytest.mark.parametrize("damage", [cut, text, overwritten])
def test_a_damaged_database_is_one_clear_line_and_left_as_it_is(
    damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    store = opened(tmp_path)
    sweep(store, planted(product(model=["linear", "mlp"], seed=[0, 1])))
    damaged = damage((tmp_path / "mlflow.db").read_bytes())
    (tmp_path / "mlflow.db").write_bytes(damaged)
    with pytest.raises((BadInput, OSError)) as error:
        reading.search(seen_anew(tmp_path), "")
    assert str(error.value).startswith(f"outputs={tmp_path}: ")
    assert "\n" not in str(error.value)
    assert "sqlalche" not in str(error.value)
    assert (tmp_path / "mlflow.db").read_bytes() == damaged


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: reading.search(store, ""),
        lambda store: reading.seconds_per_epoch(store, {"model": "mlp"}),
        lambda store: selection.of_experiment(store, "planted"),
        lambda store: points(store, ["0" * 32], "train/loss"),
    ],
)
def test_a_database_that_breaks_while_it_is_read_is_one_clear_line(
    ask: Callable[[Store], object], tmp_path: Path
) -> None:
    store = opened(tmp_path)
    execute(tmp_path, "drop table experiments", "drop table metrics", "drop table runs")
    with pytest.raises(OSError, match="no such table") as error:
        ask(store)
    assert str(error.value).startswith(f"outputs={tmp_path}: ")
    assert "SQL" not in str(error.value)
    assert "\n" not in str(error.value)


def test_where_there_is_no_room_for_a_database_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(uri: str) -> None:
        Path(uri.removeprefix("sqlite:///")).write_bytes(b"half of it")
        raise OSError(28, os.strerror(28))

    with pytest.raises(OSError, match="No space left on device"):
        database.ensure(tmp_path / "mlflow.db", full)
    assert files(tmp_path) == set()


@pytest.mark.slow
def test_a_disk_that_is_full_while_the_database_is_made_is_one_line(tmp_path: Path) -> None:
    words = ["data=digits", "model=linear", "epochs=1"]
    done = train(tmp_path, *words, limit=100_000)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: outputs={tmp_path}: ")
    assert done.stderr.count("\n") == 1
    assert train(tmp_path, *words).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("command", ["train", "compare", "replay", "predict", "register", "clean"])
def test_a_text_in_place_of_the_database_is_one_line_from_every_command(
    command: str, tmp_path: Path
) -> None:
    (tmp_path / "mlflow.db").write_text("no database at all")
    (tmp_path / "image.png").touch()
    words = {"train": ["data=digits"], "predict": ["run=last", f"images={tmp_path}"]}
    done = train(tmp_path, *words.get(command, []), command=command)
    assert done.returncode == 1
    assert re.fullmatch(r"error: outputs=.*: its mlflow\.db can't be read .*\n", done.stderr)


def test_a_journal_of_another_database_is_not_played_into_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db-journal").write_bytes(b"of one that was deleted")
    database.ensure(tmp_path / "mlflow.db", lambda uri: Path(uri[10:]).write_bytes(empty()))
    assert files(tmp_path) == {"mlflow.db"}


def locations(folder: Path) -> set[str]:
    """Every place that MLflow has on record, but of the experiment that is its own."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        return {
            place
            for statement in (
                "select artifact_location from experiments where name <> 'Default'",
                "select artifact_uri from runs",
                "select artifact_location from logged_models",
                "select storage_location from model_versions",
            )
            for (place,) in connection.execute(statement)
        }


def test_a_folder_that_was_moved_or_copied_is_at_home_in_its_new_place(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "with a space"
    old.mkdir()
    run = single(opened(old), {"model": "linear", "accuracy": 0.9}, {})
    store = seen_anew(old)
    store.client.create_logged_model(store.experiments[1], name="model", source_run_id=run.id)
    store.client.create_registered_model("digits")
    store.client.create_model_version("digits", f"{(old / 'runs').as_uri()}/models/m-1/artifacts")
    old.rename(new)
    seen_anew(new)
    assert len(locations(new)) == 4
    assert all(place.startswith((new / "runs").as_uri()) for place in locations(new))
    listed = client(new).list_artifacts(run.id)
    assert "metrics.json" in {file.path for file in listed}
    assert not old.exists()


def test_places_that_are_not_of_this_folder_stay_what_they_are(tmp_path: Path) -> None:
    store = opened(tmp_path)
    home = locations(tmp_path)
    foreign = ["s3://bucket/runs", "file:///elsewhere/mine", "file:///elsewhere/runs"]
    for number, place in enumerate(foreign):
        identity = store.client.create_experiment(f"foreign {number}", place)
        store.client.create_run(identity)  # has no folder below these outputs
    store.client.create_experiment("empty", "file:///elsewhere/empty")
    before = locations(tmp_path)
    seen_anew(tmp_path)
    assert locations(tmp_path) == before
    assert {*home, *foreign, "file:///elsewhere/empty"} <= before
