"""What the record says of earlier runs."""

import json
import socket
import statistics
from collections.abc import Mapping
from typing import Any, NamedTuple

import psutil

from factorial.store import Store
from factorial.trainer import Epoch, Evaluation

CURVES = ("train/loss", "epoch_seconds", "validation/loss", "validation/accuracy")


class Past(NamedTuple):
    """An earlier run as the record has it."""

    id: str
    status: str
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    params: Mapping[str, str]

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


def find(store: Store, **tags: str) -> list[Past]:
    """The recorded runs with these tags, oldest first."""
    if store.client is None:
        return []
    wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    found = store.client.search_runs(
        store.experiments, wanted, order_by=["attributes.start_time"], max_results=5000
    )
    return [
        Past(run.info.run_id, run.info.status, run.data.tags, run.data.metrics, run.data.params)
        for run in found
    ]


def rows(store: Store, past: Past) -> list[Epoch]:
    """A recorded run's curves, whole rows only."""
    columns = {
        name: {point.step: point.value for point in store.client.get_metric_history(past.id, name)}
        for name in CURVES
    }
    losses, seconds, *held_out = (columns[name] for name in CURVES)
    written = [column for column in columns.values() if column]
    return [
        Epoch(
            epoch,
            losses[epoch],
            Evaluation(*(column[epoch] for column in held_out)) if held_out[0] else None,
            seconds[epoch],
        )
        for epoch in sorted(losses)
        if all(epoch in column for column in written)
    ]


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
