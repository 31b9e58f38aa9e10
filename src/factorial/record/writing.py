"""What is written of a run."""

import contextlib
import functools
import json
import logging
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from factorial.record import reading, remote, spool
from factorial.record.entries import AT_ONCE, DataSet, Entry, Place
from factorial.record.files import write_atomically
from factorial.record.reading import GRADIENTS, RecordedRun, owner
from factorial.record.refusals import writing
from factorial.record.store import Store
from factorial.results import Diverged, Epoch
from factorial.settings.messages import BadInput, is_stop, reason
from factorial.settings.metrics import VALIDATION
from factorial.settings.rules import LONGEST_TEXT

log = logging.getLogger(__name__)

# Tags for a machine, written last: MLflow's page shows tags in the order in which they were written
LAST = ("git.commit", "recipe", "trunk", "sweep", "owner")


class Run:
    """One recorded run: a folder of files, and a row of MLflow where tracking is on.

    Whatever is on record already is not written again. Every method that writes raises OSError; a
    tracking server is told what was written as soon as it listens, until the run ends and beyond.
    """

    def __init__(self, store: Store, info: Any, recorded: RecordedRun | None = None) -> None:
        """`recorded` is what a run that is opened again has on record already."""
        self.client = store.client
        self.points = reading.points_of(store, recorded) if recorded else {}
        self.rows = reading.rows(store, recorded) if recorded else []
        self.closing: dict[str, float] = {}
        self.status = "FINISHED"  # what it will be if nothing goes wrong
        self.has_ended = False
        self.id = uuid.uuid4().hex if info is None else info.run_id
        if not self.id.isalnum():  # a server gave it, and it becomes a folder's name
            raise BadInput(f"run {self.id}: allowed is an id of letters and digits")
        self.folder = store.outputs / "runs" / self.id / "artifacts"
        self.is_remote = store.is_remote
        self.place = Place(self.client, self.id, self.folder, info.artifact_uri if info else "")
        if self.is_remote:
            remote.check(self.client.tracking_uri, self.place.location)
        self.folder.mkdir(parents=True, exist_ok=recorded is not None)

    def describe(self, params: Mapping[str, Any], data: DataSet | None = None) -> None:
        """Params go last: a run that has them was described to the end."""
        if data is not None:
            self._tell({"data": {**data._asdict(), "sizes": dict(data.sizes)}})
        self._tell({"params": {key: str(value) for key, value in params.items()}})

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

    def revise(self, metrics: Mapping[str, float]) -> None:
        """At once, those metrics to which an earlier command has not given this value already."""
        points = {(name, 0): value for name, value in metrics.items()}
        changed = {key: value for key, value in points.items() if self.points.get(key) != value}
        self.points = {key: value for key, value in self.points.items() if key not in changed}
        self._log(changed)

    def tag(self, **tags: str) -> None:
        for key, value in tags.items():
            self._tell({"tag": key, "value": value})

    def end(self) -> None:
        """Files first, then the closing metrics, then the status: what has ended is complete."""
        rows = [
            {"epoch": row.epoch, **metrics_of(row), "weights": row.weights} for row in self.rows
        ]
        self.write("metrics.json", json.dumps({"epochs": rows, **self.closing}, indent=1) + "\n")
        if self.is_remote:
            for file in sorted(filter(Path.is_file, self.folder.rglob("*"))):
                self._tell({"file": file.relative_to(self.folder).as_posix()})
        # at step 0, where MLflow draws bars
        self._log({(name, 0): value for name, value in self.closing.items()})
        self._tell({"status": self.status, "at": now()})
        self.has_ended = True
        self.close()

    def close(self) -> None:
        """Wait for a server to take what it was told. Raises OSError where it refused."""
        if "_spool" in vars(self):
            vars(self).pop("_spool").close()

    def _log(self, points: Mapping[tuple[str, int], float]) -> None:
        """Values by metric and step, in one write."""
        new = {key: value for key, value in points.items() if key not in self.points}
        self.points |= new
        if new:
            at = now()
            self._tell({"points": [[name, step, value, at] for (name, step), value in new.items()]})

    def _tell(self, entry: Entry) -> None:
        if self.is_remote:
            self._spool.add(entry)
        elif self.client is not None:
            with writing():
                self.place.send(entry)

    @functools.cached_property
    def _spool(self) -> spool.Spool:
        return spool.Spool(self.place)


def now() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


def metrics_of(row: Epoch) -> dict[str, float]:
    named = {} if row.validation is None else row.validation.named
    held_out = {f"{VALIDATION}{name}": value for name, value in named.items()}
    gradients = {f"{GRADIENTS}{layer}": norm for layer, norm in enumerate(row.gradients, start=1)}
    return {"train/loss": row.train_loss, "epoch_seconds": row.seconds} | held_out | gradients


def new(store: Store, name: str, tags: Mapping[str, str]) -> Run:
    if store.client is None:
        return Run(store, None)
    with writing():
        ordered = sorted({**tags, **owner()}.items(), key=lambda tag: tag[0] in LAST)
        tags = {key: value[:LONGEST_TEXT] for key, value in ordered}
        created = store.client.create_run(store.experiment_id, run_name=name, tags=tags)
    return Run(store, created.info)


def again(store: Store, run: RecordedRun) -> Run:
    """An abandoned run, opened to go on where its curves end. Raises OSError."""
    require_told(store, run)
    with writing():
        reopen(store, run)
        opened = store.client.get_run(run.id)
    return Run(store, opened.info, reading.recorded(opened))


def reopen(store: Store, run: RecordedRun) -> None:
    """Let a run count as running, of this process, without what it failed of. Raises OSError."""
    with writing():
        store.client.update_run(run.id, status="RUNNING")
        for key, value in owner().items():
            store.client.set_tag(run.id, key, value)
        if "failure" in run.tags:
            store.client.delete_tag(run.id, "failure")


def require_told(store: Store, run: RecordedRun) -> None:
    """A server has taken whatever was written earlier: told later, it would undo what is to come.

    Raises OSError where it does not.
    """
    left = spool.deliver(store, run.id, spool.PATIENCE).left if store.is_remote else {}
    for file, why in left.items():
        raise OSError(f"run {run.id}: the server has to take {file} first, and does not ({why})")


def give_up(store: Store, run: RecordedRun, why: str) -> None:
    """End a run whose process is known to have died, on whichever host: another may go on."""
    with writing():
        store.client.set_tag(run.id, "failure", why[:LONGEST_TEXT])
        store.client.set_terminated(run.id, "FAILED")


@contextlib.contextmanager
def recording(run: Run) -> Iterator[Run]:
    """Ends the run FINISHED, FAILED with its reason, or KILLED, with its log among its files."""
    with logging_to(run.folder / "train.log"):
        try:
            yield run
            run.end()
        except BaseException as error:
            log.info("stopped: %s", reason(error), exc_info=not isinstance(error, Diverged))
            if not run.has_ended:  # else nobody waits for the server any more: it stays as told
                end_with(run, error)
            raise
        finally:
            with contextlib.suppress(OSError):
                run.close()


def end_with(run: Run, error: BaseException) -> None:
    """Where even this can't be written, the run stays RUNNING and its owner dead."""
    run.status = "KILLED" if is_stop(error) else "FAILED"
    kind = {"diverged": "true"} if isinstance(error, Diverged) else {}
    with contextlib.suppress(OSError):
        run.tag(failure=reason(error), **kind)
        run.end()


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
