"""Sweeps, and runs outside of any, as a reader looks for them: the newest first, in a few words."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from factorial.record import labels, reading, selection
from factorial.record.reading import RecordedRun
from factorial.record.refusals import asking
from factorial.record.store import Store
from factorial.settings.messages import shown, visible

HEAD = 12  # signs of an id, by which the other commands know it
BY_TEST = "(chosen on the test set)"


@dataclass(frozen=True)
class Wanted:
    """A run answers to all that is set: a word, an MLflow filter, the name of an experiment."""

    find: str | None
    filter: str | None
    experiment: str | None


class Listed(NamedTuple):
    """A row for each, the newest first."""

    sweeps: list[dict[str, str]]
    runs: list[dict[str, str]]


def listed(store: Store, wanted: Wanted) -> Listed:
    """What is wanted of the record; a sweep is, where its own run or one of its runs is.

    Raises BadInput and OSError.
    """
    if wanted.experiment is not None:
        store = selection.within(store, wanted.experiment)
    every, names = reading.search(store, ""), experiments(store)
    hits = {run.id for run in answering(store, every, wanted, names)}
    parents = {run.id: run for run in every if {"command", "sweep"} <= run.tags.keys()}
    children: dict[str, list[RecordedRun]] = defaultdict(list)
    for run in every:
        if run.parent in parents:
            children[str(run.parent)].append(run)
    sweeps = [
        (parent, children[parent.id])
        for parent in parents.values()
        if not hits.isdisjoint({parent.id, *(run.id for run in children[parent.id])})
    ]
    runs = [run for run in every if run.id in hits and run.parent not in parents and is_own(run)]
    return Listed(
        [sweep_row(parent, own, names) for parent, own in sorted(sweeps, key=age)],
        [run_row(run, names) for run in sorted(runs, key=lambda run: -run.touched)],
    )


def age(sweep: tuple[RecordedRun, Sequence[RecordedRun]]) -> int:
    return -sweep[0].touched


def experiments(store: Store) -> dict[str, str]:
    """Their names by their ids."""
    with asking(store.place):
        return {entry.experiment_id: entry.name for entry in store.client.search_experiments()}


def answering(
    store: Store, every: Sequence[RecordedRun], wanted: Wanted, names: Mapping[str, str]
) -> Iterable[RecordedRun]:
    found = every
    if wanted.filter is not None:
        found = reading.search(store, wanted.filter, f"filter={shown(wanted.filter)}")
    word = (wanted.find or "").casefold()
    return [run for run in found if word in said_of(run, names).casefold()]


def said_of(run: RecordedRun, names: Mapping[str, str]) -> str:
    """All that a run can be found by: each in a line of its own, `KEY=VALUE`."""
    pairs = {**labels.given(run), **run.params}
    lines = [run.name, names.get(run.experiment, ""), *(f"{k}={v}" for k, v in pairs.items())]
    return "\n".join(lines)


def is_own(run: RecordedRun) -> bool:
    """Whether training wrote a run, for itself: neither a sweep's, nor a replay's."""
    return "recipe" in run.tags and not {"command", "replays"} & run.tags.keys()


def sweep_row(
    parent: RecordedRun, children: Iterable[RecordedRun], names: Mapping[str, str]
) -> dict[str, str]:
    """With the combination that validates best; the first of equals."""
    own = selection.once(children)
    held_out = any(is_share(run.metrics.get("validation/accuracy")) for run in own)
    best = best_of(own, "validation/accuracy" if held_out else "test/accuracy")
    marked = "" if held_out or best is None else f" {BY_TEST}"
    return cells(
        {
            "sweep": parent.tags["sweep"][:HEAD],
            **place(parent, names),
            "runs": parent.tags.get("combinations", str(len(own))),
            "failed": str(sum(run.status == "FAILED" for run in own)),
            "best": f"{best.name}{marked}" if best else "",
            **(accuracies(best) if best else {"validation": "", "test": ""}),
            "status": status(parent),
        }
    )


def best_of(runs: Iterable[RecordedRun], metric: str) -> RecordedRun | None:
    """The finished run with the highest accuracy, the first of equals."""
    able = [run for run in runs if run.status == "FINISHED" and is_share(run.metrics.get(metric))]
    return max(able, key=lambda run: run.metrics[metric], default=None)


def run_row(run: RecordedRun, names: Mapping[str, str]) -> dict[str, str]:
    head = {"run": run.id[:HEAD], **place(run, names)}
    return cells({**head, **accuracies(run), "status": status(run)})


def place(run: RecordedRun, names: Mapping[str, str]) -> dict[str, str]:
    experiment = names.get(run.experiment, "")
    return {"name": run.name, "experiment": experiment, "date": minute(run.touched)}


def minute(touched: int) -> str:
    """Of this machine's clock."""
    return datetime.fromtimestamp(touched / 1000).strftime("%Y-%m-%d %H:%M")


def accuracies(run: RecordedRun) -> dict[str, str]:
    shares = {"validation": "validation/accuracy", "test": "test/accuracy"}
    values = {name: run.metrics.get(metric) for name, metric in shares.items()}
    return {name: f"{value:.4f}" if is_share(value) else "" for name, value in values.items()}


def is_share(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and 0 <= value <= 1


def status(run: RecordedRun) -> str:
    """MLflow's, but for a run whose process has died on this machine."""
    return "stopped" if run.status == "RUNNING" and run.is_abandoned else run.status


def cells(row: Mapping[str, str]) -> dict[str, str]:
    """Without signs that a terminal would obey: a record may come from elsewhere."""
    return {key: visible(value) for key, value in row.items()}
