"""What the record says of earlier runs."""

import json
import re
import socket
import statistics
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import psutil

from factorial.record.store import Store, artifact, points
from factorial.results import Epoch, Evaluation

CURVES = ("train/loss", "epoch_seconds", "validation/loss", "validation/accuracy")
AT_ONCE = 5000  # runs in one page of a search
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
    def is_result(self) -> bool:
        """Whether training it again would only give the same: it ended, or it diverged."""
        return self.status == "FINISHED" or "diverged" in self.tags

    @property
    def is_abandoned(self) -> bool:
        """Whether it can be gone on with: it stopped, or its process on this host is dead."""
        if self.status != "RUNNING":
            return not self.is_result
        host, process, began = json.loads(self.tags.get("owner", '["", 0, 0]'))
        if host != socket.gethostname():
            return False
        try:
            return bool(abs(psutil.Process(process).create_time() - began) > 1)
        except psutil.NoSuchProcess:
            return True


def owner() -> dict[str, str]:
    """Which process a run belongs to: host, pid, and when that pid began."""
    process = psutil.Process()
    return {"owner": json.dumps([socket.gethostname(), process.pid, process.create_time()])}


def find(store: Store, **tags: str) -> list[RecordedRun]:
    """The recorded runs with these tags, oldest first."""
    return search(store, " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items()))


def search(store: Store, wanted: str) -> list[RecordedRun]:
    """The recorded runs that an MLflow filter finds, oldest first; every run for an empty one."""
    if store.client is None:
        return []
    found: list[Any] = []
    token = None
    while not found or token:
        page = store.client.search_runs(
            store.experiments,
            wanted,
            order_by=["attributes.start_time"],
            max_results=AT_ONCE,
            page_token=token,
        )
        found, token = found + list(page), page.token
        if not page:
            break
    return [past(run) for run in found]


def past(run: Any) -> RecordedRun:
    """One of MLflow's runs."""
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
        sizes_of(profiles[0]) if profiles else {},
    )


def sizes_of(profile: str | None) -> dict[str, int]:
    """The splits' sizes from a data set's profile; nothing from one that is not of this program."""
    try:
        return {str(key): int(value) for key, value in json.loads(profile or "{}").items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def rows(store: Store, past: RecordedRun) -> list[Epoch]:
    """A recorded run's curves, whole rows only."""
    names = [*CURVES, *layers(past.metrics)]
    columns = [dict(points(store, [past.id], name).get(past.id, [])) for name in names]
    losses, seconds, validation, accuracy, *gradients = columns
    weights = digests(store, past)
    written = [column for column in columns if column]
    return [
        Epoch(
            epoch,
            losses[epoch],
            Evaluation(validation[epoch], accuracy[epoch]) if validation else None,
            seconds[epoch],
            tuple(column[epoch] for column in gradients),
            weights.get(epoch, ""),
        )
        for epoch in sorted(losses)
        if all(epoch in column for column in written)
    ]


def digests(store: Store, past: RecordedRun) -> dict[int, str]:
    """The weights' digest after each epoch, from the run's file of metrics where it is written."""
    file = artifact(store, past.id, "metrics.json")
    try:
        rows = json.loads(file.read_text())["epochs"] if file else []
        return {int(row["epoch"]): str(row["weights"]) for row in rows}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def is_curve(name: str) -> bool:
    """Whether a metric has a value for each epoch, rather than one for the run."""
    return name in CURVES or name.startswith(GRADIENTS)


def layers(names: Iterable[str]) -> list[str]:
    """The names of gradients' norms among a run's metrics, first layer first."""
    found = [name for name in names if re.fullmatch(rf"{GRADIENTS}\d{{1,4}}", name)]
    return sorted(found, key=lambda name: int(name.removeprefix(GRADIENTS)))


def seconds_per_epoch(store: Store, like: Mapping[str, Any]) -> float | None:
    """The median over finished runs with these params; None without any."""
    if store.client is None:
        return None
    wanted = " and ".join(f"params.`{key}` = '{value}'" for key, value in like.items())
    wanted += " and attributes.status = 'FINISHED'"
    found = store.client.search_runs(store.experiments, wanted, max_results=50)
    seconds = [
        run.data.metrics["epoch_seconds"] for run in found if "epoch_seconds" in run.data.metrics
    ]
    return statistics.median(seconds) if seconds else None
