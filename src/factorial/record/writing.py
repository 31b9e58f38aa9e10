"""What is written of a run."""

import contextlib
import json
import logging
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from factorial.record.reading import CURVES, GRADIENTS, RecordedRun, owner, rows
from factorial.record.store import Store
from factorial.results import Epoch
from factorial.settings.messages import BadInput, is_stop, reason

log = logging.getLogger(__name__)

AT_ONCE = 200  # rows in one write: MLflow takes a thousand metrics
LONGEST_TAG = 8000  # characters; MLflow cuts a longer one silently


class DataSet(NamedTuple):
    """What is said of a run's data: sizes are numbers of examples."""

    name: str
    digest: str
    sizes: Mapping[str, int]


class Run:
    """One recorded run: a folder of files, and a row of MLflow where tracking is on."""

    def __init__(self, store: Store, info: Any, rows: Sequence[Epoch] | None = None) -> None:
        """`rows` are those that a run which is opened again has on record already."""
        self.client = store.client
        self.rows = list(rows or ())
        self.closing: dict[str, float] = {}
        self.status = "FINISHED"  # what it will be if nothing goes wrong
        self.id = uuid.uuid4().hex if info is None else info.run_id
        if not self.id.isalnum():  # a server gave it, and it becomes a folder's name
            raise BadInput(f"run {self.id}: allowed is an id of letters and digits")
        self.folder = store.outputs / "runs" / self.id / "artifacts"
        self.folder.mkdir(parents=True, exist_ok=rows is not None)
        self.uploads = info is not None and store.is_remote

    def describe(self, params: Mapping[str, Any], data: DataSet | None = None) -> None:
        """Params go last: a run that has them was described to the end."""
        if self.client is None:
            return
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param

        with writing():
            if data is not None:
                profile = json.dumps(dict(data.sizes))
                source = json.dumps({"name": data.name, "sha256": data.digest})
                entity = Dataset(data.name, data.digest[:32], "local", source, profile=profile)
                tag = InputTag("mlflow.data.context", "training")
                self.client.log_inputs(self.id, [DatasetInput(entity, [tag])])
            self.client.log_batch(self.id, params=[Param(k, str(v)) for k, v in params.items()])

    def write(self, name: str, text: str) -> None:
        """A file of the run."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def log_rows(self, rows: Sequence[Epoch]) -> None:
        """Those rows of the curves that are not on record yet, in one write."""
        new = [row for row in rows if row.epoch > len(self.rows)]
        for begin in range(0, len(new), AT_ONCE):
            part = new[begin : begin + AT_ONCE]
            self._log([(k, v, row.epoch) for row in part for k, v in metrics_of(row).items()])
        # a row from the store has no digest of the weights, one from a checkpoint has
        self.rows = list({row.epoch: row for row in (*self.rows, *rows)}.values())

    def conclude(self, metrics: Mapping[str, float]) -> None:
        """The metrics of the finished run: at step 0, where MLflow draws bars."""
        self.closing.update(metrics)
        self._log([(key, value, 0) for key, value in metrics.items()])

    def tag(self, **tags: str) -> None:
        if self.client is not None:
            with writing():
                for key, value in tags.items():
                    self.client.set_tag(self.id, key, value[:LONGEST_TAG])

    def end(self) -> None:
        rows = [
            {"epoch": row.epoch, **metrics_of(row), "weights": row.weights} for row in self.rows
        ]
        self.write("metrics.json", json.dumps({"epochs": rows, **self.closing}, indent=1) + "\n")
        if self.client is not None:
            with writing():
                if self.uploads:
                    self.client.log_artifacts(self.id, str(self.folder))
                self.client.set_terminated(self.id, self.status)

    def _log(self, metrics: Sequence[tuple[str, float, int]]) -> None:
        if self.client is None:
            return
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        batch = [Metric(key, value, now, step) for key, value, step in metrics]
        with writing():
            self.client.log_batch(self.id, metrics=batch)


def metrics_of(row: Epoch) -> dict[str, float]:
    held_out = () if row.validation is None else row.validation
    values = [row.train_loss, row.seconds, *held_out]
    gradients = {f"{GRADIENTS}{layer}": norm for layer, norm in enumerate(row.gradients, start=1)}
    return dict(zip(CURVES, values, strict=False)) | gradients


def new(store: Store, name: str, tags: Mapping[str, str]) -> Run:
    if store.client is None:
        return Run(store, None)
    with writing():
        tags = {key: value[:LONGEST_TAG] for key, value in {**tags, **owner()}.items()}
        created = store.client.create_run(store.experiment_id, run_name=name, tags=tags)
    return Run(store, created.info)


def again(store: Store, past: RecordedRun) -> Run:
    """An abandoned run, opened to go on where its curves end."""
    with writing():
        store.client.update_run(past.id, status="RUNNING")
        for key, value in owner().items():
            store.client.set_tag(past.id, key, value)
        if "failure" in past.tags:
            store.client.delete_tag(past.id, "failure")
        return Run(store, store.client.get_run(past.id).info, rows(store, past))


def mark_dead(store: Store, past: RecordedRun, why: str) -> None:
    """End a run that still counts as running although its process is gone."""
    if past.status == "RUNNING" and past.is_abandoned:
        run = again(store, past)
        run.tag(failure=why)
        run.status = "FAILED"
        run.end()


@contextlib.contextmanager
def recording(run: Run) -> Iterator[Run]:
    """Ends the run FINISHED, FAILED with its reason, or KILLED, with its log among its files."""
    with logging_to(run.folder / "train.log"):
        try:
            yield run
        except BaseException as error:
            log.info("stopped: %s", reason(error), exc_info=not isinstance(error, ArithmeticError))
            run.status = "KILLED" if is_stop(error) else "FAILED"
            # where even this can't be written, the run stays RUNNING and its owner dead
            with contextlib.suppress(OSError):
                kind = {"diverged": "true"} if isinstance(error, ArithmeticError) else {}
                run.tag(failure=reason(error), **kind)
                run.end()
            raise
        run.end()


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Raises OSError, in one line, for whatever keeps MLflow from writing."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        cause = " ".join(str(error).split())
        raise OSError(f"the record can't be written: {cause[:300]}") from error


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
