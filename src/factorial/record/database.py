"""The local store's file: made whole or not at all, and at home in the folder where it lies.

MLflow's migrations on SQLite are no transaction: a process killed in them leaves a database that
no later start can finish. And MLflow keeps absolute places, of a folder that may have been moved.
"""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from factorial.record.files import write_atomically
from factorial.settings.messages import BadInput

PATIENCE = 20  # seconds to wait for another process that is writing
BOOKKEEPING = ("alembic_version", "workspaces")  # tables that migrations fill by themselves
# where MLflow keeps places of files
PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def ensure(database: Path, set_up: Callable[[str], object]) -> None:
    """Afterwards there is a whole one; `set_up` makes one at a URI. By one process at a time.

    Raises BadInput and OSError.
    """
    if database.exists() and is_unfinished(database):
        os.replace(database, database.with_name("mlflow.db.unfinished"))
    if not database.exists():
        create(database, set_up)


def refuse_others(database: Path) -> None:
    """Raises BadInput for a file that is something else, before anything is written beside it."""
    if database.exists():
        with reading(database) as connection:
            connection.execute("select count(*) from sqlite_master")


def is_unfinished(database: Path) -> bool:
    """Whether it was left while it was being made: no table holds a row but those of migrations.

    MLflow's last step is an experiment of its own.
    """
    with reading(database) as connection:
        rows = connection.execute("select name from sqlite_master where type = 'table'")
        tables = {name for (name,) in rows} - set(BOOKKEEPING)
        return not any(
            connection.execute(f"select 1 from {quoted(table)} limit 1").fetchone()
            for table in sorted(tables, key=lambda name: name != "experiments")
        )


def create(database: Path, set_up: Callable[[str], object]) -> None:
    """In a folder of its own first; what a killed process left in there goes."""
    folder = database.with_name(".mlflow.new")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir()
        set_up(f"sqlite:///{(folder / database.name).as_posix()}")
        for suffix in ("-journal", "-wal", "-shm"):  # of one that was here before
            database.with_name(database.name + suffix).unlink(missing_ok=True)
        write_atomically(database, (folder / database.name).read_bytes())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def come_home(database: Path) -> None:
    """What is said to lie in a folder of runs elsewhere, but came along with it, lies here."""
    runs = database.parent / "runs"
    with reading(database) as connection:
        elsewhere = connection.execute(
            "select distinct artifact_location from experiments "
            "where artifact_location like '%/runs' and artifact_location <> ?",
            [runs.as_uri()],
        ).fetchall()
        for (place,) in elsewhere:
            if came_along(connection, place, runs):
                for table, column in PLACES:
                    replace_prefix(connection, table, column, place, runs.as_uri())
        connection.commit()


def came_along(connection: sqlite3.Connection, place: str, runs: Path) -> bool:
    """Whether the runs of the experiments at `place` have their folders here, or are none yet."""
    rows = connection.execute(
        "select run_uuid from runs join experiments using (experiment_id) "
        "where artifact_location = ?",
        [place],
    ).fetchall()
    return not rows or any((runs / run).is_dir() for (run,) in rows)


def replace_prefix(
    connection: sqlite3.Connection, table: str, column: str, old: str, new: str
) -> None:
    connection.execute(
        f"update {table} set {column} = ? || substr({column}, ?) "
        f"where {column} = ? or substr({column}, 1, ?) = ?",
        [new, len(old) + 1, old, len(old) + 1, f"{old}/"],
    )


@contextlib.contextmanager
def reading(database: Path) -> Iterator[sqlite3.Connection]:
    """A connection without MLflow. Raises BadInput for what is no database, and OSError."""
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=PATIENCE)) as connection:
            yield connection
    except sqlite3.OperationalError as error:
        raise OSError(f"{database}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise BadInput(
            f"outputs={database.parent}: its {database.name} can't be read ({error}); allowed is a "
            f"whole one, or none: move it away, and a new one is made"
        ) from error


def quoted(name: str) -> str:
    """A table's name, whatever is in it, as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'
