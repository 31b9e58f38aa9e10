"""The report of a search: what was tried and came of it, with no claim that a grid could make."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from factorial import console
from factorial.comparison.figures import search as figures
from factorial.comparison.folder import replacing, require_own
from factorial.comparison.report import PACKAGE, PRINTED, Wanted, csv_cell, draw_each
from factorial.comparison.trials import COMPLETE, FAILED, PRUNED, Trials, importances, load
from factorial.comparison.wording import share
from factorial.pages.templates import template
from factorial.record.selection import Selection
from factorial.record.store import Store, attach
from factorial.settings.messages import BadInput, reason

STATES = {COMPLETE: "complete", PRUNED: "pruned", FAILED: "failed"}
CAVEAT = (
    "Which combinations were tried depended on what came of earlier ones, so there are neither "
    "intervals nor an analysis of variance here; and the best of many trials looks better than it "
    "is: its accuracy on fresh seeds is what counts."
)


class Picture(NamedTuple):
    """A figure of a search; `draw` gives None where there is nothing to show."""

    name: str
    title: str
    draw: Callable[[Trials, dict[str, float]], Any]


PICTURES = (
    Picture("history", "The search, trial by trial", figures.history),
    Picture("rungs", "From rung to rung", figures.climb),
    Picture("importances", "Which setting mattered", figures.importances),
    Picture("parallel", "Trials as lines through their settings", figures.parallel),
    Picture("contour", "Accuracy between the trials, by two settings", figures.contour),
    Picture("slices", "Accuracy by each setting", figures.slices),
)
PAGES = {"index.html": "search.html", "report.md": "search.md"}
FILES = (
    *PAGES,
    "trials.csv",
    "metrics.json",
    *(f"{picture.name}{suffix}" for picture in PICTURES for suffix in (".png", ".svg")),
)


def publish(store: Store, chosen: Selection, place: str | None = None) -> None:
    """Write the report, attach it to its search, and say what it says. Raises BadInput."""
    assert chosen.parent is not None
    folder = Path(place).resolve() if place else store.outputs / "report" / chosen.slug
    require_own(folder, FILES)
    trials = load(store, chosen)
    shares, notes = weighed(trials)
    write(trials, shares, notes, folder)
    console.say(*sentences(trials), *(f"note: {note}" for note in notes))
    console.say(f"report: {console.relative(folder / 'index.html')}")
    try:
        attach(store, chosen.parent.id, folder, "report")
    except BadInput as error:  # deleted meanwhile: the files are there all the same
        console.warn(f"the report is not attached: {error}")


def weighed(trials: Trials) -> tuple[dict[str, float], list[str]]:
    """Importances, and why there are none."""
    try:
        return importances(trials), []
    except Exception as error:  # whatever it is, the trials are there all the same
        return {}, [f"no importances: {reason(error)}"]


def write(trials: Trials, shares: dict[str, float], notes: list[str], folder: Path) -> None:
    """Replace what is in `folder` by a whole new report. Raises BadInput."""
    with replacing(folder, FILES) as made:
        wanted = [
            Wanted(name, title, partial(make, trials, shares)) for name, title, make in PICTURES
        ]
        pictures, undrawn = draw_each(wanted, lambda _: sentences(trials)[0], made)
        trials.table.map(csv_cell).to_csv(made / "trials.csv", index=False)
        (made / "metrics.json").write_text(json.dumps(metrics(trials, shares), indent=1) + "\n")
        for name, source in PAGES.items():
            page = template(PACKAGE, source).render(
                title=trials.title,
                note=trials.note,
                tags=trials.tags,
                counts=counts(trials),
                sentences=sentences(trials),
                confirm=trials.confirm,
                notes=[*notes, *undrawn],
                board=board(trials)[:PRINTED],
                failures=failures(trials),
                pictures={picture["name"]: picture for picture in pictures},
            )
            (made / name).write_text(page, encoding="utf-8")


def counts(trials: Trials) -> str:
    """How many trials there are of each kind."""
    states = trials.table["state"].value_counts()
    kinds = (f"{states[state]} {word}" for state, word in STATES.items() if state in states)
    seeds = len(trials.seeds)
    each = "one seed" if seeds == 1 else f"{seeds} seeds"
    return f"{len(trials.table)} trials ({', '.join(kinds)}), {each} each; sampler {trials.sampler}"


def sentences(trials: Trials) -> list[str]:
    """The best trial, and what may be concluded from that."""
    best = trials.best
    if best is None:
        return ["No trial is complete."]
    row = trials.table[trials.table["number"] == best.number].iloc[0]
    settings = ", ".join(f"{key}={level(row[key])}" for key in trials.keys)
    seeds = "one seed" if len(trials.seeds) == 1 else f"the mean of {len(trials.seeds)} seeds"
    first = (
        f"Best of {len(trials.table)} trials: trial {best.number}, validation accuracy "
        f"{share(best.value)} ({seeds}), with {settings}."
    )
    return [first, CAVEAT]


def level(value: Any) -> str:
    """A value as a reader needs it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def board(trials: Trials) -> list[dict[str, str]]:
    return [
        {
            "trial": str(row["number"]),
            **{key: level(row[key]) for key in trials.keys},
            "epochs": str(row["epochs"]),
            "validation accuracy": share(row["value"]),
            "": STATES[row["state"]],
        }
        for row in trials.ranked.to_dict("records")
    ] or [{"trial": "none has a value"}]


def failures(trials: Trials) -> list[dict[str, str]]:
    failed = trials.table[trials.table["state"] == FAILED]
    return [
        {
            "trial": str(row["number"]),
            **{key: level(row[key]) for key in trials.keys},
            "reason": row["reason"],
        }
        for row in failed.to_dict("records")
    ]


def metrics(trials: Trials, shares: dict[str, float]) -> dict[str, Any]:
    """The numbers of the report for a program; null where there is none."""
    best = trials.best
    states = trials.table["state"].value_counts()
    return {
        "trials": len(trials.table),
        **{word: int(states.get(state, 0)) for state, word in STATES.items()},
        "best": None if best is None else int(best.number),
        "score": None if best is None else float(best.value),
        "importances": shares,
    }
