"""The only reader and writer of MLflow."""

import contextlib
import functools
import json
import logging
import os
import shlex
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from filelock import FileLock

from factorial.config import BadInput, Tracking
from factorial.trainer import Epoch

log = logging.getLogger(__name__)

ANSWER = 10  # seconds that a tracking server has to answer before a run starts

# Read when mlflow is first imported. Its own retries would block a call for four minutes.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")


class DataSet(NamedTuple):
    """What is said of a run's data: sizes are numbers of examples."""

    name: str
    digest: str
    sizes: Mapping[str, int]


class Store(NamedTuple):
    """An experiment in an MLflow store; `client` is None where tracking is off."""

    client: Any
    experiment_id: str
    outputs: Path


class Run:
    """One recorded run: a folder of files, and a row of MLflow where tracking is on."""

    def __init__(self, store: Store, name: str, tags: Mapping[str, str]) -> None:
        self.client = store.client
        self.rows: list[dict[str, float]] = []
        self.closing: dict[str, float] = {}
        self.status = "FINISHED"  # what it will be if nothing goes wrong
        if self.client is None:
            self.id, artifacts = uuid.uuid4().hex, None
        else:
            info = self.client.create_run(store.experiment_id, run_name=name, tags=tags).info
            self.id, artifacts = info.run_id, info.artifact_uri
        self.folder = store.outputs / "runs" / self.id / "artifacts"
        self.folder.mkdir(parents=True)
        self.uploads = artifacts not in (None, self.folder.as_uri())

    def describe(self, params: Mapping[str, Any], data: DataSet | None = None) -> None:
        if self.client is None:
            return
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param

        self.client.log_batch(self.id, params=[Param(k, str(v)) for k, v in params.items()])
        if data is not None:
            profile = json.dumps(dict(data.sizes))
            source = json.dumps({"name": data.name, "sha256": data.digest})
            entity = Dataset(data.name, data.digest[:32], "local", source, profile=profile)
            tag = InputTag("mlflow.data.context", "training")
            self.client.log_inputs(self.id, [DatasetInput(entity, [tag])])

    def epoch(self, row: Epoch) -> None:
        """One row of the curves, in one write."""
        metrics = {"train/loss": row.train_loss, "epoch_seconds": row.seconds}
        if row.validation is not None:
            metrics["validation/loss"], metrics["validation/accuracy"] = row.validation
        self.rows.append({"epoch": row.epoch, **metrics})
        self._log(metrics, row.epoch)

    def conclude(self, metrics: Mapping[str, float]) -> None:
        """The metrics of the finished run: at step 0, where MLflow draws bars."""
        self.closing.update(metrics)
        self._log(metrics, step=0)

    def tag(self, **tags: str) -> None:
        for key, value in tags.items():
            if self.client is not None:
                self.client.set_tag(self.id, key, value[:8000])  # MLflow cuts longer ones silently

    def end(self) -> None:
        document = {"epochs": self.rows, **self.closing}
        (self.folder / "metrics.json").write_text(json.dumps(document, indent=1) + "\n")
        if self.uploads:
            self.client.log_artifacts(self.id, str(self.folder))
        if self.client is not None:
            self.client.set_terminated(self.id, self.status)

    def _log(self, metrics: Mapping[str, float], step: float) -> None:
        if self.client is None:
            return
        from mlflow.entities import Metric
        from mlflow.utils.time import get_current_time_millis

        now = get_current_time_millis()
        batch = [Metric(key, value, now, int(step)) for key, value in metrics.items()]
        self.client.log_batch(self.id, metrics=batch)


def open_store(tracking: Tracking, outputs: str) -> Store:
    """The store that `tracking` names, ready to write. Raises BadInput if out of reach."""
    folder = Path(outputs).resolve()
    if tracking.kind == "off":
        return Store(None, "", folder)
    return connect(address(tracking, folder), tracking.experiment, folder)


def address(tracking: Tracking, outputs: Path) -> str:
    """The store's URI, absolute."""
    if tracking.kind == "local":
        return f"sqlite:///{(outputs / 'mlflow.db').as_posix()}"
    if not (tracking.uri or "").startswith(("http://", "https://")):
        raise BadInput(
            f"tracking.uri={tracking.uri}: allowed is an MLflow server's address, "
            f"such as http://127.0.0.1:5000"
        )
    return str(tracking.uri).rstrip("/")


@functools.cache
def connect(uri: str, experiment: str, outputs: Path) -> Store:
    outputs.mkdir(parents=True, exist_ok=True)
    if uri.startswith("http"):
        knock(uri)
    from mlflow import MlflowClient

    # a new database is set up by one process: several at once crash in each other's migrations
    with FileLock(outputs / ".mlflow.lock"):
        client = MlflowClient(uri)
        known = client.get_experiment_by_name(experiment)
        if known is not None and known.lifecycle_stage != "active":
            raise BadInput(
                f"tracking.experiment={experiment}: it is deleted there; restore or rename it"
            )
        location = None if uri.startswith("http") else (outputs / "runs").as_uri()
        identity = known.experiment_id if known else client.create_experiment(experiment, location)
    return Store(client, identity, outputs)


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


def page(tracking: Tracking, outputs: str) -> str:
    """The command that opens MLflow's page, or the address of the server's."""
    if tracking.kind != "local":
        return address(tracking, Path(outputs)) if tracking.kind == "server" else ""
    database = os.path.relpath(Path(outputs).resolve() / "mlflow.db").replace(os.sep, "/")
    beside = Path(sys.executable).with_name("mlflow")
    program = "mlflow" if shutil.which("mlflow") == str(beside) else os.path.relpath(beside)
    return f"{shlex.quote(program)} ui --backend-store-uri {shlex.quote(f'sqlite:///{database}')}"


@contextlib.contextmanager
def recording(store: Store, name: str, tags: Mapping[str, str]) -> Iterator[Run]:
    """A run that ends FINISHED, FAILED with its reason, or KILLED, with its log among its files."""
    run = Run(store, name, tags)
    with logging_to(run.folder / "train.log"):
        try:
            yield run
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt | SystemExit)
            log.info("stopped: %s", reason(error), exc_info=not isinstance(error, ArithmeticError))
            run.tag(failure=reason(error))
            run.status = "KILLED" if stopped else "FAILED"
            raise
        finally:
            run.end()


def reason(error: BaseException) -> str:
    """Why a run failed, in one line."""
    text = " ".join(str(error).split())
    expected = isinstance(error, BadInput | ArithmeticError)
    return text if expected and text else f"{type(error).__name__}: {text}".rstrip(": ")


@contextlib.contextmanager
def logging_to(file: Path) -> Iterator[None]:
    handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger("factorial").setLevel(logging.INFO)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()


def failed(
    store: Store, name: str, tags: Mapping[str, str], params: Mapping[str, Any], why: str
) -> str:
    """Record a run that could not even start; its id."""
    run = Run(store, name, {**tags, "failure": why})
    run.describe(params)
    run.status = "FAILED"
    run.end()
    return run.id
