"""A comparison as files: one page that needs no network, its figures, its tables."""

import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from factorial import console
from factorial.comparison import (
    alt,
    embedded,
    glance,
    intervals,
    opening,
    paired,
    readings,
    rows,
    wording,
)
from factorial.comparison.explore.document import NOTHING, Beside, document
from factorial.comparison.figures import (
    curves,
    factors,
    leaderboard,
    maps,
    misread,
    places,
    sensitivity,
    style,
)
from factorial.comparison.findings import Findings, find
from factorial.comparison.folder import replacing, require_own
from factorial.comparison.levels import is_number
from factorial.comparison.table import load
from factorial.pages import charts
from factorial.pages.templates import template
from factorial.record import predictions
from factorial.record.predictions import Predictions
from factorial.record.selection import Selection
from factorial.record.store import Store, artifact, attach, run_pages
from factorial.settings.messages import BadInput, reason
from factorial.settings.names import ABSENT

PRINTED = 20  # settings, on the screen
PACKAGE = "factorial.comparison"  # which has the templates


class Picture(NamedTuple):
    """A figure of the report; `draw` gives None where there is nothing to show.

    Its title may name what ranks, `measure`, and what `bars` stand for.
    """

    name: str
    title: str
    draw: Callable[[Findings], Figure | None]


class Wanted(NamedTuple):
    """A figure by its name and title; `make` gives None where there is nothing to show."""

    name: str
    title: str
    make: Callable[[], Figure | None]


PICTURES = (
    Picture("leaderboard", "Leaderboard", leaderboard.leaderboard),
    Picture("cost", "{measure} against cost", leaderboard.cost),
    Picture("shares", "Which factor explains the differences", factors.shares),
    Picture("interactions", "Two factors at a time", factors.interactions),
    Picture("map", "Map of the grid", maps.thematic),
    Picture("charts", "{bars} in every cell of the grid", maps.charts),
    Picture("curves", "Learning curves", curves.learning),
    Picture("sensitivity", "Sensitivity to the learning rate", sensitivity.sensitivity),
    Picture("gradients", "Gradient in each layer", curves.gradients),
)
MISREAD = (
    ("confusion", "What the winner confuses", misread.matrix),
    ("hardest", "What the winner misreads worst", misread.hardest),
)
PAGES = ("index.html", "report.md")
FILES = (
    *PAGES,
    "runs.csv",
    "metrics.json",
    *(f"{name}{suffix}" for name, *_ in (*PICTURES, *MISREAD) for suffix in (".png", ".svg")),
)


def publish(store: Store, chosen: Selection, rank_by: str, place: str | None = None) -> None:
    """Write the report, attach it to its sweep, and say what it says. Raises BadInput."""
    folder = Path(place).resolve() if place else store.outputs / "report" / chosen.slug
    require_own(folder, FILES)
    with threadpool_limits(1, user_api="blas"):  # on small matrices its threads only wait
        findings = find(load(store, chosen, rank_by))
    seen = winners_predictions(store, findings)
    write(findings, seen, folder, beside(store, chosen, findings))
    show(findings, seen, folder)
    if chosen.parent is not None:
        try:
            glance.show(store, chosen, findings, wording.winner(findings, chance(seen)))
            attach(store, chosen.parent.id, folder, "report")
        except BadInput as error:  # deleted meanwhile: the files are there all the same
            console.warn(f"the report is not attached: {error}")


def winners_predictions(store: Store, findings: Findings) -> Predictions | None:
    file = artifact(store, findings.best_run["source"], predictions.FILE)
    return predictions.unpack(file) if file else None


def beside(store: Store, chosen: Selection, findings: Findings) -> Beside:
    """What is on record of the runs beside what was found."""
    pages, command = run_pages(store, chosen.runs)
    return Beside(pages, command, readings.load(store, findings))


def chance(seen: Predictions | None) -> float | None:
    """The accuracy of always answering the most frequent class of the test set."""
    return None if seen is None else float(np.bincount(seen.labels).max() / len(seen.labels))


def write(
    findings: Findings, seen: Predictions | None, folder: Path, around: Beside = NOTHING
) -> None:
    """Replace what is in `folder` by a whole new report. Raises BadInput."""
    with replacing(folder, FILES) as made:
        pictures, notes = draw(findings, seen, made)
        listed = findings.comparison.runs.drop(columns=["reason", "touched"]).map(csv_cell)
        listed.to_csv(made / "runs.csv", index=False)
        (made / "metrics.json").write_text(json.dumps(metrics(findings), indent=1) + "\n")
        told = context(findings, seen, pictures, notes, around)
        marks = {picture["name"]: picture["marks"] for picture in pictures if picture["marks"]}
        played = document(findings, around) | {"marks": marks}
        for name in PAGES:
            told["explore"] = played if name.endswith(".html") else None
            page = template(PACKAGE, name).render(told)
            (made / name).write_text(page, encoding="utf-8")


def draw(
    findings: Findings, seen: Predictions | None, folder: Path
) -> tuple[list[dict[str, Any]], list[str]]:
    """Every figure of the findings, and of what the winner misreads."""
    of = findings.comparison.ranking
    said = {
        "measure": of.words.capitalize(),
        "bars": "Error, gap and time" if of.is_accuracy else "Gap and time",
    }
    wanted = [Wanted(one.name, one.title.format(**said), partial(one.draw, findings))
              for one in PICTURES]  # fmt: skip
    if seen is not None:
        wanted += [Wanted(name, title, partial(make, findings, seen))
                   for name, title, make in MISREAD]  # fmt: skip
    return draw_each(wanted, lambda name: alt.text(name, findings, seen), folder)


def draw_each(
    wanted: Sequence[Wanted], say: Callable[[str], str], folder: Path
) -> tuple[list[dict[str, Any]], list[str]]:
    """Every figure that has something to show, and notes: its name, title, a data URI of it, what
    is to be seen on it in words, the `least` width in pixels at which it can be read, its marks.

    A figure that fails costs itself alone, and a note says so.
    """
    shown, notes = [], []
    with style.style():
        for name, title, make in wanted:
            try:
                if drawn := make():
                    style.save(drawn, folder, name)
                    uri, least = embedded.uri(folder, name), style.least_width(drawn)
                    texts = {"name": name, "title": title, "alt": say(name)}
                    seen = {"least": f"{least:.0f}", "marks": places.found(drawn)}
                    shown.append({**texts, "uri": uri, **seen})
            except Exception as error:  # whatever it is, the numbers are there all the same
                notes.append(f"the figure {title!r} can't be drawn: {reason(error)}")
    return shown, notes


def context(
    findings: Findings,
    seen: Predictions | None,
    pictures: Sequence[dict[str, Any]],
    notes: Sequence[str],
    around: Beside,
) -> dict[str, Any]:
    """What the pages are told."""
    return {
        "title": opening.title(findings),
        "source": findings.comparison.title,
        "note": findings.comparison.note,
        "tags": findings.comparison.tags,
        "counts": rows.counts(findings),
        "verdict": opening.verdict(findings, chance(seen)),
        "sentences": wording.summary(findings, chance(seen)),
        "method": wording.method(findings),
        "notes": [*findings.notes, *notes],
        "shared": findings.comparison.shared,
        "pictures": {picture["name"]: picture for picture in pictures},
        "board": rows.board(findings),
        "effects": rows.level_effects(findings),
        "squares": rows.squares(findings),
        "variance": rows.variance(findings),
        "rest": findings.score.analysis.rest,
        "failures": rows.failures(findings),
        "missing": rows.missing(findings),
        "paired": paired.rows(findings, around.readings),
        "paired_note": paired.note(findings, around.readings),
        "charts": charts.script(),
    }


def csv_cell(value: object) -> object:
    """Text that a spreadsheet would run as a formula, with a quote before it; numbers as they are.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    is_formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if is_formula and not (is_number(str(value)) or value == ABSENT) else value


def metrics(findings: Findings) -> dict[str, Any]:
    """The numbers of the report for a program; null where there is none."""
    best, comparison = findings.winner, findings.comparison
    score = intervals.Estimate(best["mean"], best["low"], best["high"], int(best["n"]))
    analysis = findings.score.analysis.table
    return {
        "runs": len(comparison.runs),
        "settings": len(findings.board),
        "failed": len(comparison.failures),
        "selected_on": comparison.selected_on,
        "ranked_by": f"{comparison.selected_on}/{comparison.ranking.name}",
        "winner": best["label"],
        "tied": findings.tied,
        "score": numbers(score),
        "test": numbers(findings.test),
        "shares": {row.term: finite(row.share) for row in analysis.itertuples()},
    }


def numbers(estimate: intervals.Estimate) -> dict[str, float | int | None]:
    return {key: finite(value) for key, value in estimate._asdict().items()}


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def show(findings: Findings, seen: Predictions | None, folder: Path) -> None:
    leaders = rows.board(findings)
    console.show_rows(leaders[:PRINTED])
    if len(leaders) > PRINTED:
        console.say(f"and {len(leaders) - PRINTED} more settings")
    sentences = wording.summary(findings, chance(seen))
    console.say(*sentences, *(f"note: {note}" for note in findings.notes))
    console.say(f"report: {console.relative(folder / 'index.html')}")
