"""What is written of a run."""

import contextlib
import json
import logging
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from factorial.record import checkpoint, reading, remote
from factorial.record.files import write_atomically
from factorial.record.reading import CURVES, GRADIENTS, RecordedRun, owner
from factorial.record.refusals import is_of_mlflow, is_out_of_reach, writing
from factorial.record.store import Store
from factorial.results import Diverged, Epoch
from factorial.settings.messages import BadInput, is_stop, reason

log = logging.getLogger(__name__)

AT_ONCE = 1000  # points in one write: MLflow would divide more, and a row with them
LONGEST_TAG = 8000  # characters; MLflow cuts a longer one silently


class DataSet(NamedTuple):
    """What is said of a run's data: sizes are numbers of examples."""

    name: str
    digest: str
    sizes: Mapping[str, int]

    def as_input(self) -> Any:
        """As MLflow takes it."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        profile = json.dumps(dict(self.sizes))
        source = json.dumps({"name": self.name, "sha256": self.digest})
        entity = Dataset(self.name, self.digest[:32], "local", source, profile=profile)
        return DatasetInput(entity, [InputTag("mlflow.data.context", "training")])


class Run:
    """One recorded run: a folder of files, and a row of MLflow where tracking is on.

    Whatever is on record already is not written again. Every method that writes raises OSError.
    """

    def __init__(self, store: Store, info: Any, recorded: RecordedRun | None = None) -> None:
        """`recorded` is what a run that is opened again has on record already."""
        self.client = store.client
        self.points = reading.points_of(store, recorded) if recorded else {}
        self.rows = reading.rows(store, recorded) if recorded else []
        self.closing: dict[str, float] = {}
        self.status = "FINISHED"  # what it will be if nothing goes wrong
        self.id = uuid.uuid4().hex if info is None else info.run_id
        if not self.id.isalnum():  # a server gave it, and it becomes a folder's name
            raise BadInput(f"run {self.id}: allowed is an id of letters and digits")
        self.folder = store.outputs / "runs" / self.id / "artifacts"
        self.location = info.artifact_uri if store.is_remote else ""
        if self.location:
            remote.check(self.client.tracking_uri, self.location)
        self.folder.mkdir(parents=True, exist_ok=recorded is not None)

    def describe(self, params: Mapping[str, Any], data: DataSet | None = None) -> None:
        """Params go last: a run that has them was described to the end."""
        if self.client is None:
            return
        from mlflow.entities import Param

        with writing():
            if data is not None:
                self._log_input(data.as_input())
            self.client.log_batch(self.id, params=[Param(k, str(v)) for k, v in params.items()])

    def _log_input(self, data: Any) -> None:
        """MLflow takes the same input once. Of those who add a new data set at the same moment it
        refuses all but one; asked again, it finds what that one has added."""
        try:
            self.client.log_inputs(self.id, [data])
        except Exception as error:
            if not is_of_mlflow(error) or is_out_of_reach(error):
                raise
            self.client.log_inputs(self.id, [data])

    def write(self, name: str, text: str) -> None:
        """A file of the run."""
        write_atomically(self.folder / name, text.encode())

    def log_rows(self, rows: Sequence[Epoch]) -> None:
        """Those rows of the curves that are not on record yet."""
        points = [
            {(name, row.epoch): value for name, value in metrics_of(row).items()} for row in rows
        ]
        at_once = max(1, AT_ONCE // max(map(len, points), default=1))
        for begin in range(0, len(points), at_once):
            part = points[begin : begin + at_once]
            self._log({key: value for row in part for key, value in row.items()})
        known = {row.epoch: row for row in self.rows}
        for row in rows:
            # one from the store has no digest of the weights; one that is new took its own time
            known[row.epoch] = known.get(row.epoch, row)._replace(weights=row.weights)
        self.rows = [known[epoch] for epoch in sorted(known)]

    def conclude(self, metrics: Mapping[str, float]) -> None:
        """The metrics of the finished run, which are written when it ends."""
        self.closing.update(metrics)

    def tag(self, **tags: str) -> None:
        if self.client is not None:
            with writing():
                for key, value in tags.items():
                    self.client.set_tag(self.id, key, value[:LONGEST_TAG])

    def end(self) -> None:
        """Files first, then the closing metrics, then the status: what has ended is complete."""
        rows = [
            {"epoch": row.epoch, **metrics_of(row), "weights": row.weights} for row in self.rows
        ]
        self.write("metrics.json", json.dumps({"epochs": rows, **self.closing}, indent=1) + "\n")
        if self.client is not None:
            with writing():
                if self.location:
                    remote.upload(self.client.tracking_uri, self.location, self.folder)
                # at step 0, where MLflow draws bars
                self._log({(name, 0): value for name, value in self.closing.items()})
                self.client.set_terminated(self.id, self.status)

    def _log(self, points: Mapping[tuple[str, int], float]) -> None:
        """Values by metric and step, in one write."""
        new = {key: value for key, value in points.items() if key not in self.points}
        self.points |= new
        if self.client is None or not new:
            return
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        batch = [Metric(name, value, now, step) for (name, step), value in new.items()]
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


def again(store: Store, run: RecordedRun) -> Run:
    """An abandoned run, opened to go on where its curves end."""
    with writing():
        store.client.update_run(run.id, status="RUNNING")
        for key, value in owner().items():
            store.client.set_tag(run.id, key, value)
        if "failure" in run.tags:
            store.client.delete_tag(run.id, "failure")
        opened = store.client.get_run(run.id)
    return Run(store, opened.info, reading.recorded(opened))


def mark_dead(store: Store, run: RecordedRun, why: str) -> None:
    """End a run that still counts as running although nobody is writing it."""
    if run.status == "RUNNING" and is_dead(store, run):
        opened = again(store, run)
        opened.tag(failure=why)
        opened.status = "FAILED"
        opened.end()


def is_dead(store: Store, run: RecordedRun) -> bool:
    """Its process is, by its host's word; on any host if nobody holds its trunk's lock here."""
    trunk = run.tags.get("trunk", "")
    return run.is_abandoned or (not store.is_remote and checkpoint.is_free(store.outputs, trunk))


@contextlib.contextmanager
def recording(run: Run) -> Iterator[Run]:
    """Ends the run FINISHED, FAILED with its reason, or KILLED, with its log among its files."""
    with logging_to(run.folder / "train.log"):
        try:
            yield run
            run.end()
        except BaseException as error:
            log.info("stopped: %s", reason(error), exc_info=not isinstance(error, Diverged))
            run.status = "KILLED" if is_stop(error) else "FAILED"
            # where even this can't be written, the run stays RUNNING and its owner dead
            with contextlib.suppress(OSError):
                kind = {"diverged": "true"} if isinstance(error, Diverged) else {}
                run.tag(failure=reason(error), **kind)
                run.end()
            raise


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
