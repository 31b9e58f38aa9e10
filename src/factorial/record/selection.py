"""Which recorded runs a command is about: looked up by what was typed."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from factorial.record import reading
from factorial.record.reading import RecordedRun
from factorial.record.store import Store, asking
from factorial.settings.messages import BadInput


@dataclass(frozen=True)
class Asked:
    """At most one of `sweep`, `experiment` and `filter` is set; none means the newest sweep."""

    sweep: str | None
    experiment: str | None
    filter: str | None


class Selection(NamedTuple):
    """Recorded runs, one for each recipe; `factors` are the levels that a sweep declared."""

    title: str
    slug: str  # the title as a file's name
    runs: list[RecordedRun]
    parent: RecordedRun | None
    factors: Mapping[str, Sequence[str]]


def select(store: Store, asked: Asked) -> Selection:
    """Raises BadInput, with what there is, where nothing is found."""
    if store.client is None:
        raise BadInput(f"outputs={store.outputs}: no runs are on record there")
    given = [name for name in ("sweep", "experiment", "filter") if getattr(asked, name) is not None]
    if len(given) > 1:
        raise BadInput(f"{' and '.join(given)}: allowed is one of them")
    if asked.experiment is not None:
        return of_experiment(store, asked.experiment)
    if asked.filter is not None:
        return of_filter(store, asked.filter)
    return of_sweep(store, asked.sweep)


def of_sweep(store: Store, identity: str | None) -> Selection:
    """The newest sweep whose id, or whose parent run's, begins so; the newest of all for None."""
    found = reading.search(store, "tags.command != '' and tags.sweep != ''")
    parents = sorted(found, key=lambda past: past.touched)
    if not parents:
        raise BadInput("no sweep is on record; allowed is experiment=NAME, or a filter")
    asked = [past for past in parents if begins(past, identity or "")]
    if not asked:
        known = ", ".join(past.tags["sweep"][:8] for past in reversed(parents[-8:]))
        raise BadInput(f"sweep={identity}: allowed is one on record, the newest are {known}")
    parent = asked[-1]
    if len({past.tags["sweep"] for past in asked}) > 1 and identity:
        known = ", ".join(sorted({past.tags["sweep"][:12] for past in asked}))
        raise BadInput(f"sweep={identity}: allowed is the beginning of one alone, of {known}")
    runs = reading.search(store, f"tags.`mlflow.parentRunId` = '{parent.id}'")
    short = file_name(parent.tags["sweep"][:8])
    if not runs:
        raise BadInput(f"sweep {short}: none of its runs is on record")
    factors = {key: levels.split(", ") for key, levels in parent.params.items()}
    return Selection(f"sweep {short}", short, once(runs), parent, factors)


def begins(past: RecordedRun, prefix: str) -> bool:
    return past.tags["sweep"].startswith(prefix) or past.id.startswith(prefix)


def within(store: Store, experiment: str) -> Store:
    """The store as if it held this experiment alone. Raises BadInput."""
    entry = store.client.get_experiment_by_name(experiment)
    if entry is None or entry.lifecycle_stage != "active":
        known = sorted(entry.name for entry in store.client.search_experiments())
        raise BadInput(f"experiment={experiment}: allowed is one of {', '.join(known)}")
    return store._replace(experiments=(entry.experiment_id,))


def of_experiment(store: Store, name: str) -> Selection:
    if not (kept := once(reading.search(within(store, name), ""))):
        raise BadInput(f"experiment={name}: no run is on record in it")
    return Selection(f"experiment {name}", file_name(f"experiment-{name}"), kept, None, {})


def of_filter(store: Store, words: str) -> Selection:
    with asking(f"filter={words}"):
        runs = once(reading.search(store, words))
    if not runs:
        raise BadInput(f"filter={words}: no run on record answers to it")
    return Selection(f"filter {words}", file_name(f"filter-{words}"), runs, None, {})


def once(runs: Iterable[RecordedRun]) -> list[RecordedRun]:
    """One run of each recipe, in order: a result before none, the run that trained before a copy.

    Neither the sweeps' own runs nor replays are among them.
    """
    best: dict[str, RecordedRun] = {}
    for past in runs:
        if "command" in past.tags or "replays" in past.tags:
            continue
        recipe = past.tags.get("recipe", past.id)
        if recipe not in best or worth(past) > worth(best[recipe]):
            best[recipe] = past
    return list(best.values())


def worth(past: RecordedRun) -> tuple[bool, bool, bool]:
    return past.status == "FINISHED", past.is_result, "cached" not in past.tags


def file_name(title: str) -> str:
    return re.sub(r"[^\w.]+", "-", title).strip("-.")[:80]
