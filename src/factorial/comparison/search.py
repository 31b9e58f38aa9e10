"""The report of a search: what was tried and came of it, with no claim that a grid could make."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from factorial import console
from factorial.comparison import opening, search_alt, search_glance
from factorial.comparison.explore.search import NOTHING, Beside, document
from factorial.comparison.figures import search as figures
from factorial.comparison.folder import replacing, require_own
from factorial.comparison.report import PACKAGE, Wanted, csv_cell, draw_each
from factorial.comparison.trial_rows import STATES, board, counts, failures, sentences
from factorial.comparison.trials import Trials, importances, load
from factorial.pages import charts
from factorial.pages.templates import template
from factorial.record.reading import RecordedRun
from factorial.record.selection import Selection
from factorial.record.store import Store, attach, run_pages
from factorial.settings.messages import BadInput, reason


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
    write(trials, shares, notes, folder, Beside(chosen.runs, *run_pages(store, chosen.runs)))
    console.say(*sentences(trials), *(f"note: {note}" for note in notes))
    console.say(f"report: {console.relative(folder / 'index.html')}")
    try:
        search_glance.show(store, chosen, trials)
        attach(store, chosen.parent.id, folder, "report")
    except BadInput as error:  # deleted meanwhile: the files are there all the same
        console.warn(f"the report is not attached: {error}")


def weighed(trials: Trials) -> tuple[dict[str, float], list[str]]:
    """Importances, and why there are none."""
    try:
        return importances(trials), []
    except Exception as error:  # whatever it is, the trials are there all the same
        return {}, [f"no importances: {reason(error)}"]


def write(
    trials: Trials,
    shares: dict[str, float],
    notes: list[str],
    folder: Path,
    beside: Beside = NOTHING,
) -> None:
    """Replace what is in `folder` by a whole new report. Raises BadInput."""
    with replacing(folder, FILES) as made:
        wanted = [
            Wanted(name, title, partial(make, trials, shares)) for name, title, make in PICTURES
        ]
        pictures, undrawn = draw_each(
            wanted, lambda name: search_alt.text(name, trials, shares), made
        )
        trials.table.map(csv_cell).to_csv(made / "trials.csv", index=False)
        (made / "metrics.json").write_text(json.dumps(metrics(trials, shares), indent=1) + "\n")
        marks = {picture["name"]: picture["marks"] for picture in pictures if picture["marks"]}
        played = document(trials, beside) | {"marks": marks}
        for name, source in PAGES.items():
            page = template(PACKAGE, source).render(
                heading=heading(trials, beside.runs),
                title=trials.title,
                note=trials.note,
                tags=trials.tags,
                counts=counts(trials),
                sentences=sentences(trials),
                confirm=trials.confirm,
                notes=[*notes, *undrawn],
                board=board(trials),
                failures=failures(trials),
                pictures={picture["name"]: picture for picture in pictures},
                explore=played,
                charts=charts.script(),
            )
            (made / name).write_text(page, encoding="utf-8")


def heading(trials: Trials, runs: Sequence[RecordedRun]) -> str:
    """What was searched on which data, and when; what it is called where its runs are gone."""
    data = sorted({run.params["data"] for run in runs if "data" in run.params})
    touched = max((run.touched for run in runs), default=0) / 1000
    return opening.headline(trials.name, trials.keys, data, touched) if runs else trials.title


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
