"""What the record says of earlier runs."""

import json
import re
import socket
import statistics
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import psutil

from factorial import console
from factorial.record import untrusted
from factorial.record.refusals import asking
from factorial.record.store import Store, artifact, points
from factorial.results import Epoch, Evaluation
from factorial.settings.messages import BadInput
from factorial.settings.metrics import VALIDATION

CURVES = ("train/loss", "epoch_seconds", "validation/loss", "validation/accuracy")
AT_ONCE = 5000  # runs in one page of a search
# which process a run belongs to: host, pid, and when that pid began
OWNER = r'\[(?P<host>".*"), (?P<process>\d{1,9}), (?P<began>\d{1,12}(\.\d*)?)\]'
GRADIENTS = "gradient_norm/layer"  # and the layer's number, from 1


class RecordedRun(NamedTuple):
    """An earlier run as the record has it."""

    id: str
    status: str
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    params: Mapping[str, str]
    name: str = ""
    experiment: str = ""  # its id
    touched: int = 0  # when it ended, or began where it has not: milliseconds since 1970
    sizes: Mapping[str, int] = MappingProxyType({})  # of its data's splits, in examples

    @property
    def parent(self) -> str | None:
        return self.tags.get("mlflow.parentRunId")

    @property
    def source(self) -> str:
        """The id of the run that trained it, and has its weights: of a copy, another's."""
        cached = self.tags.get("cached", "")
        return cached if cached.isalnum() else self.id

    @property
    def is_result(self) -> bool:
        """Whether training it again would only give the same: it ended, or it diverged."""
        if self.status == "FINISHED":
            return "test/accuracy" in self.metrics
        return {"diverged", "failure"} <= self.tags.keys()

    @property
    def is_abandoned(self) -> bool:
        """Whether it can be gone on with: it stopped, or its process on this host is dead."""
        if self.status != "RUNNING":
            return not self.is_result
        match = re.fullmatch(OWNER, self.tags.get("owner", ""))
        if match is None or match["host"] != json.dumps(socket.gethostname()):
            return False
        try:
            began = psutil.Process(int(match["process"])).create_time()
            return bool(abs(began - float(match["began"])) > 1)
        except psutil.NoSuchProcess:
            return True


def owner() -> dict[str, str]:
    """The tag that says which process a run belongs to."""
    process = psutil.Process()
    return {"owner": json.dumps([socket.gethostname(), process.pid, process.create_time()])}


def find(store: Store, **tags: str) -> list[RecordedRun]:
    """The recorded runs with these tags, oldest first."""
    return search(store, " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items()))


def search(store: Store, wanted: str, named: str | None = None) -> list[RecordedRun]:
    """The recorded runs that an MLflow filter finds, oldest first; every run for an empty one.

    `named` is the filter as a user typed it. Raises BadInput and OSError.
    """
    if store.client is None:
        return []
    runs: list[RecordedRun] = []
    wanted, token = quoted(wanted), None
    while True:
        with asking(named or store.place):
            page = store.client.search_runs(
                store.experiments,
                wanted,
                order_by=["attributes.start_time"],
                max_results=AT_ONCE,
                page_token=token,
            )
        runs += map(recorded, page)
        token = page.token
        if not token or not page:
            return runs


def quoted(wanted: str) -> str:
    """A filter with the names in backticks that MLflow only takes so: `metrics.test/accuracy`."""
    return re.sub(
        r"""('[^']*'|"[^"]*"|`[^`]*`)|\b(metrics|params|tags)\.([\w./-]*[/-][\w./-]*)""",
        lambda part: part[1] or f"{part[2]}.`{part[3]}`",
        wanted,
    )


def recorded(run: Any) -> RecordedRun:
    """One of MLflow's runs. What can't be read of it is left out, never the run: files are its."""
    info, data = run.info, run.data
    profiles = [entry.dataset.profile for entry in run.inputs.dataset_inputs] if run.inputs else []
    return RecordedRun(
        info.run_id,
        info.status,
        data.tags,
        data.metrics,
        data.params,
        info.run_name,
        info.experiment_id,
        info.end_time or info.start_time,
        sizes_of(info.run_id, profiles[0]) if profiles else {},
    )


def sizes_of(run: str, profile: str | None) -> dict[str, int]:
    """The splits' sizes from a data set's profile; none, with a note, from another's."""
    try:
        sizes = json.loads(profile or "{}")
    except (ValueError, RecursionError):
        sizes = None
    if isinstance(sizes, dict) and all(map(is_size, sizes.values())):
        return sizes
    console.note(f"run {run}: the profile of its data set holds no sizes of splits")
    return {}


def is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 10**12


def points_of(store: Store, run: RecordedRun) -> dict[tuple[str, int], float]:
    """A run's values by metric and step: its curves, and what closes it at step 0."""
    written = {
        (name, step): value
        for name in curves(run.metrics)
        for step, value in points(store, [run.id], name).get(run.id, [])
    }
    return written | {(k, 0): value for k, value in run.metrics.items() if not is_curve(k)}


def rows(store: Store, run: RecordedRun) -> list[Epoch]:
    """A recorded run's curves, whole rows only."""
    known: dict[str, dict[int, float]] = {name: {} for name in curves(run.metrics)}
    for (name, step), value in points_of(store, run).items():
        if name in known:
            known[name][step] = value
    held_out = {
        name.removeprefix(VALIDATION): curve
        for name, curve in known.items()
        if name.startswith(VALIDATION) and curve
    }
    gradients = [known[name] for name in layers(run.metrics)]
    weights = digests(store, run)
    whole = set(known["train/loss"]).intersection(*(curve for curve in known.values() if curve))
    return [
        Epoch(
            epoch,
            known["train/loss"][epoch],
            Evaluation.of({name: curve[epoch] for name, curve in held_out.items()})
            if held_out
            else None,
            known["epoch_seconds"][epoch],
            tuple(curve[epoch] for curve in gradients),
            weights.get(epoch, ""),
        )
        for epoch in sorted(whole)
    ]


def digests(store: Store, run: RecordedRun) -> dict[int, str]:
    """The weights' digest after each epoch, from the run's file of metrics where it is written."""
    file = artifact(store, run.id, "metrics.json")
    if file is None:
        return {}
    try:
        epochs = untrusted.read_json(file, f"run={run.id}: metrics.json")["epochs"]
        return {int(row["epoch"]): str(row["weights"]) for row in epochs}
    except (BadInput, ValueError, KeyError, TypeError, OverflowError):
        return {}


def is_curve(name: str) -> bool:
    """Whether a metric has a value for each epoch, rather than one for the run."""
    return name in CURVES or name.startswith((VALIDATION, GRADIENTS))


def curves(names: Iterable[str]) -> list[str]:
    """The names of curves: those that every run may have, then whatever else is among `names`."""
    names = list(names)
    return [*CURVES, *own_metrics(names), *layers(names)]


def own_metrics(names: Iterable[str]) -> list[str]:
    """The metrics beside loss and accuracy that a run has of its validation examples, by name."""
    return sorted(name for name in names if name.startswith(VALIDATION) and name not in CURVES)


def layers(names: Iterable[str]) -> list[str]:
    """The names of gradients' norms among a run's metrics, first layer first."""
    numbered = [name for name in names if re.fullmatch(rf"{GRADIENTS}\d{{1,4}}", name)]
    return sorted(numbered, key=lambda name: int(name.removeprefix(GRADIENTS)))


def seconds_per_epoch(store: Store, like: Mapping[str, Any]) -> float | None:
    """The median over finished runs with these params; None without any."""
    if store.client is None:
        return None
    wanted = " and ".join(f"params.`{key}` = '{value}'" for key, value in like.items())
    wanted += " and attributes.status = 'FINISHED'"
    with asking(store.place):
        runs = store.client.search_runs(store.experiments, wanted, max_results=50)
    seconds = [
        run.data.metrics["epoch_seconds"] for run in runs if "epoch_seconds" in run.data.metrics
    ]
    return statistics.median(seconds) if seconds else None
