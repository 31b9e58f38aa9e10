"""Which recorded runs a command is about: looked up by what was typed."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from factorial.record import labels, reading
from factorial.record.reading import RecordedRun
from factorial.record.refusals import asking
from factorial.record.store import Store
from factorial.settings.messages import BadInput, shown


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

    @property
    def note(self) -> str:
        """What somebody has said of the sweep."""
        return labels.note_of(self.parent) if self.parent else ""

    @property
    def tags(self) -> str:
        """Those that somebody gave the sweep, in words."""
        given = labels.tags_of(self.parent) if self.parent else {}
        return ", ".join(f"{key} = {value}" for key, value in sorted(given.items()))


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
    """The newest sweep of that name or, without one, whose id, or whose parent run's, begins so;
    the newest of all for None."""
    sweeps = reading.search(store, "tags.command != '' and tags.sweep != ''")
    parents = sorted(sweeps, key=lambda run: run.touched)
    if not parents:
        raise BadInput("no sweep is on record; allowed is experiment=NAME, or a filter")
    asked = [run for run in parents if run.name == identity]
    asked = asked or [run for run in parents if begins(run, identity or "")]
    if not asked:
        known = ", ".join(run.tags["sweep"][:8] for run in reversed(parents[-8:]))
        raise BadInput(f"sweep={identity}: allowed is one on record, the newest are {known}")
    parent = asked[-1]
    if len({run.tags["sweep"] for run in asked}) > 1 and identity:
        known = ", ".join(sorted({run.tags["sweep"][:12] for run in asked}))
        raise BadInput(f"sweep={identity}: allowed is the beginning of one alone, of {known}")
    runs = reading.search(store, f"tags.`mlflow.parentRunId` = '{parent.id}'")
    short = file_name(parent.tags["sweep"][:8])
    if not runs:
        raise BadInput(f"sweep {short}: none of its runs is on record")
    is_search = "search" in parent.tags
    title = f"{'search' if is_search else 'sweep'} {short}"
    if labels.is_named(parent):
        title = f"{parent.name} ({title})"
    factors = {key: levels.split(", ") for key, levels in parent.params.items()}
    return Selection(title, short, once(runs), parent, {} if is_search else factors)


def begins(run: RecordedRun, prefix: str) -> bool:
    return run.tags["sweep"].startswith(prefix) or run.id.startswith(prefix)


def within(store: Store, experiment: str) -> Store:
    """The store as if it held this experiment alone. Raises BadInput."""
    with asking(store.place):
        entry = store.client.get_experiment_by_name(experiment)
        known = sorted(entry.name for entry in store.client.search_experiments())
    if entry is None or entry.lifecycle_stage != "active":
        raise BadInput(f"experiment={experiment}: allowed is one of {', '.join(known)}")
    return store._replace(experiments=(entry.experiment_id,))


def of_experiment(store: Store, name: str) -> Selection:
    runs = once(reading.search(within(store, name), ""))
    if not runs:
        raise BadInput(f"experiment={name}: no run is on record in it")
    return Selection(f"experiment {name}", file_name(f"experiment-{name}"), runs, None, {})


def of_filter(store: Store, words: str) -> Selection:
    runs = once(reading.search(store, words, f"filter={shown(words)}"))
    if not runs:
        raise BadInput(f"filter={shown(words)}: no run on record answers to it")
    return Selection(f"filter {words}", file_name(f"filter-{words}"), runs, None, {})


def once(runs: Iterable[RecordedRun]) -> list[RecordedRun]:
    """One run of each recipe, in order: a result before none, the run that trained before a copy.

    Where one recipe is on record in several ways, on other threads or with a default that is
    stated, one of each. Neither the sweeps' own runs nor replays are among them.
    """
    best: dict[tuple[str, frozenset[tuple[str, str]]], RecordedRun] = {}
    for run in runs:
        if "command" in run.tags or "replays" in run.tags:
            continue
        recipe = run.tags.get("recipe", run.id), frozenset(run.params.items())
        if recipe not in best or worth(run) > worth(best[recipe]):
            best[recipe] = run
    return list(best.values())


def worth(run: RecordedRun) -> tuple[bool, bool, bool]:
    return run.status == "FINISHED", run.is_result, "cached" not in run.tags


def file_name(title: str) -> str:
    return re.sub(r"[^\w.]+", "-", title).strip("-.")[:80]
