"""Where the record is kept: an MLflow store, opened once, by one process at a time."""

import functools
import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

from filelock import FileLock

from factorial.compat import metric_points, points_of_run
from factorial.record import database, remote
from factorial.record.refusals import asking, is_of_mlflow
from factorial.settings.messages import BadInput
from factorial.settings.schema import Tracking

DATABASE = "mlflow.db"
HERE = "http://127.0.0.1:5000"  # where `mlflow ui` answers
ANSWER = 10  # seconds that a tracking server has to answer before a run starts
RUNS_AT_ONCE, POINTS_AT_ONCE = 100, 25_000  # what a server gives in one answer

# What MLflow reads when it is first imported, where the user has not set it
SWITCHES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # what goes wrong comes as an exception
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # it would make a run twice whose answer was lost
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


class Located(Protocol):
    """A run with the experiment that it is in."""

    @property
    def id(self) -> str: ...
    @property
    def experiment(self) -> str: ...


class Store(NamedTuple):
    """An experiment in an MLflow store; `client` is None where there is none."""

    client: Any
    experiment_id: str
    outputs: Path
    experiments: tuple[str, ...] = ()  # all that were there when it was opened

    @property
    def place(self) -> str:
        """As a user names it."""
        return place_of(self.client.tracking_uri if self.client else "", self.outputs)

    @property
    def is_remote(self) -> bool:
        """Whether files go to a server; a local database's own idea of where they lie is not used.

        It may have been copied from elsewhere, and could name any folder.
        """
        return self.client is not None and self.client.tracking_uri.startswith("http")


def open_store(tracking: Tracking, outputs: str) -> Store:
    """The store that `tracking` names, ready to write. Raises BadInput if out of reach."""
    folder = Path(outputs).resolve()
    if tracking.kind == "off":
        return Store(None, "", folder)
    return connect(address(tracking, folder), tracking.experiment, folder)


def look_into(tracking: Tracking, outputs: str) -> Store:
    """To read alone: makes neither a database nor an experiment."""
    folder = Path(outputs).resolve()
    if tracking.kind == "local" and not (folder / DATABASE).is_file():
        return Store(None, "", folder)
    return open_store(replace(tracking, experiment=""), outputs)


def address(tracking: Tracking, outputs: Path) -> str:
    """The store's URI, absolute."""
    if tracking.kind == "local":
        return f"sqlite:///{(outputs / DATABASE).as_posix()}"
    if not (tracking.uri or "").startswith(("http://", "https://")):
        raise BadInput(
            f"tracking.uri={tracking.uri}: allowed is an MLflow server's address, "
            f"such as http://127.0.0.1:5000"
        )
    return str(tracking.uri).rstrip("/")


@functools.cache  # it takes a second, and a process asks for the same store again and again
def connect(uri: str, experiment: str, outputs: Path) -> Store:
    """Raises BadInput, and OSError where there is no room or no permission."""
    outputs.mkdir(parents=True, exist_ok=True)
    is_local = not uri.startswith("http")
    if is_local:
        database.refuse_others(outputs / DATABASE)
    else:
        knock(uri)
    # a new database is set up by one process: several at once crash in each other's migrations
    with FileLock(outputs / ".mlflow.lock"), asking(place_of(uri, outputs)):
        if is_local:
            database.ensure(outputs / DATABASE, lambda new: client_of(new).search_experiments())
        client = client_of(uri)
        identity = find_experiment(client, experiment, uri, outputs) if experiment else ""
        known = {entry.experiment_id for entry in client.search_experiments()}
        if is_local:
            database.come_home(outputs / DATABASE)
    return Store(client, identity, outputs, tuple(sorted(known)))


def client_of(uri: str) -> Any:
    """The only place where MLflow is imported first: `SWITCHES` have to be set by then."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    return MlflowClient(uri)


def place_of(uri: str, outputs: Path) -> str:
    """A store as a user names it."""
    return f"tracking.uri={uri}" if uri.startswith("http") else f"outputs={outputs}"


def find_experiment(client: Any, name: str, uri: str, outputs: Path) -> str:
    """The id of an experiment, made where it is not there yet."""
    location = None if uri.startswith("http") else (outputs / "runs").as_uri()
    known = client.get_experiment_by_name(name) or create_experiment(client, name, location)
    if uri.startswith("http"):
        remote.check(uri, known.artifact_location)
    if known.lifecycle_stage != "active":
        raise BadInput(
            f"tracking.experiment={name}: allowed is one that is not deleted; restore it"
        )
    return str(known.experiment_id)


def create_experiment(client: Any, name: str, location: str | None) -> Any:
    """A new experiment, or what another machine has made of that name at the same moment."""
    try:
        return client.get_experiment(client.create_experiment(name, location))
    except Exception as error:
        if not is_of_mlflow(error) or (known := client.get_experiment_by_name(name)) is None:
            raise
        return known


def points(store: Store, runs: Sequence[str], name: str) -> dict[str, list[tuple[int, float]]]:
    """One metric's (step, value) pairs in each of many runs, few queries for all of them."""
    pairs: dict[str, list[tuple[int, float]]] = {}
    with asking(store.place):
        for begin in range(0, len(runs), RUNS_AT_ONCE):
            for run, step, value in fetch(store.client, runs[begin : begin + RUNS_AT_ONCE], name):
                pairs.setdefault(run, []).append((step, value))
    return pairs


def fetch(client: Any, runs: Sequence[str], name: str) -> list[tuple[str, int, float]]:
    """(run, step, value) for each point of a metric, by run, oldest first."""
    points = metric_points(client, runs, name, POINTS_AT_ONCE)
    if len(points) < POINTS_AT_ONCE:
        return points
    if len(runs) == 1:  # too many for one answer
        return points_of_run(client, runs[0], name)
    half = len(runs) // 2
    return fetch(client, runs[:half], name) + fetch(client, runs[half:], name)


def artifact(store: Store, run: str, name: str) -> Path | None:
    """One of a run's files: from the outputs or, where it is not there, from a server."""
    if not re.fullmatch(r"\w+", run):
        raise BadInput(f"run {run}: allowed is a run's id, letters and digits")
    file = store.outputs / "runs" / run / "artifacts" / name
    if file.is_file() or not store.is_remote:
        return file if file.is_file() else None
    with asking(f"run {run}"):
        return remote.download(store.client.tracking_uri, location_of(store, run), name)


def attach(store: Store, run: str, folder: Path, name: str) -> None:
    """Copy a folder to a run's files, under that name. Raises BadInput where the run is gone."""
    with asking(f"run {run}"):
        location = location_of(store, run)
        if store.is_remote:
            remote.upload(store.client.tracking_uri, location, folder, name)
        else:
            place = store.outputs / "runs" / run / "artifacts" / name
            shutil.copytree(folder, place, dirs_exist_ok=True)


def location_of(store: Store, run: str) -> str:
    """Where MLflow has a run's files: what a server says, which is not trusted."""
    return str(store.client.get_run(run).info.artifact_uri)


def knock(uri: str) -> None:
    """Raises BadInput where no server answers."""
    try:
        urlopen(f"{uri}/health", timeout=ANSWER).close()
    except HTTPError:
        pass  # it answers; what it serves is MLflow's to judge
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise BadInput(
            f"tracking.uri={uri}: no server answers there ({reason}); start one with "
            f"`mlflow server`, or use tracking=local"
        ) from error


def mlflow_page(tracking: Tracking, outputs: str) -> str:
    """The command that opens MLflow's page, or the address of the server's."""
    if tracking.kind != "local":
        return address(tracking, Path(outputs)) if tracking.kind == "server" else ""
    return local_page(Path(outputs).resolve())


def local_page(outputs: Path) -> str:
    """The command that opens MLflow's page of a local database, at `HERE`."""
    database = os.path.relpath(outputs / DATABASE).replace(os.sep, "/")
    return f"{mlflow_program()} ui --backend-store-uri {shlex.quote(f'sqlite:///{database}')}"


def run_pages(store: Store, runs: Sequence[Located]) -> tuple[dict[str, str], str]:
    """Each run's place on MLflow's page, by its id, and the address or the command of that page.

    An address is told without the name and the password that may stand in it.
    """
    uri = urlsplit(store.client.tracking_uri if store.is_remote else HERE)
    server = uri._replace(netloc=uri.netloc.rpartition("@")[2]).geturl().rstrip("/")
    pages = {
        run.id: f"{server}/#/experiments/{quote(run.experiment)}/runs/{quote(run.id)}"
        for run in runs
    }
    return pages, server if store.is_remote else local_page(store.outputs)


def mlflow_program() -> str:
    """What a shell finds this environment's MLflow by."""
    beside = Path(sys.executable).with_name("mlflow")
    if shutil.which("mlflow") == str(beside):
        return "mlflow"
    if shutil.which(beside) is None:  # found by a path, as in an environment on top of another
        return f"{shlex.quote(os.path.relpath(sys.executable))} -m mlflow"
    return shlex.quote(os.path.relpath(beside))
