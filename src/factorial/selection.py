"""Which recorded runs a command is about: looked up by what was typed."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from factorial import history, store
from factorial.config import BadInput
from factorial.history import Past
from factorial.store import Store


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
    runs: list[Past]
    parent: Past | None
    factors: Mapping[str, Sequence[str]]


def select(where: Store, asked: Asked) -> Selection:
    """Raises BadInput, with what there is, where nothing is found."""
    if where.client is None:
        raise BadInput(f"outputs={where.outputs}: no runs are on record there")
    given = [name for name in ("sweep", "experiment", "filter") if getattr(asked, name) is not None]
    if len(given) > 1:
        raise BadInput(f"{' and '.join(given)}: allowed is one of them")
    if asked.experiment is not None:
        return of_experiment(where, asked.experiment)
    if asked.filter is not None:
        return of_filter(where, asked.filter)
    return of_sweep(where, asked.sweep)


def of_sweep(where: Store, identity: str | None) -> Selection:
    """The newest sweep whose id, or whose parent run's, begins so; the newest of all for None."""
    found = history.search(where, "tags.command != '' and tags.sweep != ''")
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
    runs = history.search(where, f"tags.`mlflow.parentRunId` = '{parent.id}'")
    short = file_name(parent.tags["sweep"][:8])
    if not runs:
        raise BadInput(f"sweep {short}: none of its runs is on record")
    factors = {key: levels.split(", ") for key, levels in parent.params.items()}
    return Selection(f"sweep {short}", short, once(runs), parent, factors)


def begins(past: Past, prefix: str) -> bool:
    return past.tags["sweep"].startswith(prefix) or past.id.startswith(prefix)


def of_experiment(where: Store, name: str) -> Selection:
    found = where.client.get_experiment_by_name(name)
    if found is None or found.lifecycle_stage != "active":
        known = sorted(entry.name for entry in where.client.search_experiments())
        raise BadInput(f"experiment={name}: allowed is one of {', '.join(known)}")
    runs = history.search(where._replace(experiments=(found.experiment_id,)), "")
    if not (kept := once(runs)):
        raise BadInput(f"experiment={name}: no run is on record in it")
    return Selection(f"experiment {name}", file_name(f"experiment-{name}"), kept, None, {})


def of_filter(where: Store, words: str) -> Selection:
    with store.asking(f"filter={words}"):
        runs = once(history.search(where, words))
    if not runs:
        raise BadInput(f"filter={words}: no run on record answers to it")
    return Selection(f"filter {words}", file_name(f"filter-{words}"), runs, None, {})


def once(runs: Iterable[Past]) -> list[Past]:
    """One run of each recipe, in order: a result before none, the run that trained before a copy.

    Neither the sweeps' own runs nor replays are among them.
    """
    best: dict[str, Past] = {}
    for past in runs:
        if "command" in past.tags or "replays" in past.tags:
            continue
        recipe = past.tags.get("recipe", past.id)
        if recipe not in best or worth(past) > worth(best[recipe]):
            best[recipe] = past
    return list(best.values())


def worth(past: Past) -> tuple[bool, bool, bool]:
    return past.status == "FINISHED", past.is_result, "cached" not in past.tags


def file_name(title: str) -> str:
    return re.sub(r"[^\w.]+", "-", title).strip("-.")[:80]
