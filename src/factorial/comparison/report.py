"""A comparison as files: one page that needs no network, its figures, its tables."""

import base64
import json
import math
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from matplotlib.figure import Figure

from factorial import console
from factorial.comparison import findings, intervals, rows, wording
from factorial.comparison.figures import (
    curves,
    factors,
    leaderboard,
    maps,
    misread,
    sensitivity,
    style,
)
from factorial.comparison.findings import Findings
from factorial.comparison.table import load
from factorial.record import predictions
from factorial.record.predictions import Predictions
from factorial.record.selection import Selection
from factorial.record.store import Store, artifact, attach
from factorial.settings.messages import BadInput

PRINTED = 20  # settings, on the screen


class Picture(NamedTuple):
    """A figure of the report; `draw` gives None where there is nothing to show."""

    name: str
    title: str
    draw: Callable[[Findings], Figure | None]


PICTURES = (
    Picture("leaderboard", "Leaderboard", leaderboard.leaderboard),
    Picture("cost", "Accuracy against cost", leaderboard.cost),
    Picture("shares", "Which factor explains the differences", factors.shares),
    Picture("interactions", "Two factors at a time", factors.interactions),
    Picture("map", "Map of the grid", maps.thematic),
    Picture("charts", "Error, gap and time in every cell of the grid", maps.charts),
    Picture("curves", "Learning curves", curves.learning),
    Picture("sensitivity", "Sensitivity to the learning rate", sensitivity.sensitivity),
    Picture("gradients", "Gradient in each layer", curves.gradients),
)
MISREAD = (
    ("confusion", "What the winner confuses", misread.matrix),
    ("hardest", "What the winner misreads worst", misread.hardest),
)


def publish(store: Store, chosen: Selection, place: str | None = None) -> None:
    """Write the report, attach it to its sweep, and say what it says. Raises BadInput."""
    found = findings.find(load(store, chosen))
    folder = Path(place).resolve() if place else store.outputs / "report" / chosen.slug
    write(found, winners_predictions(store, found), folder)
    show(found, folder)
    if chosen.parent is not None:
        try:
            attach(store, chosen.parent.id, folder, "report")
        except BadInput as error:  # deleted meanwhile: the files are there all the same
            console.warn(f"the report is not attached: {error}")


def winners_predictions(store: Store, found: Findings) -> Predictions | None:
    file = artifact(store, found.best_run["source"], predictions.FILE)
    return predictions.unpack(file) if file else None


def write(found: Findings, seen: Predictions | None, folder: Path) -> None:
    """Replace what is in `folder` by a whole new report."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary) / "report"
        made.mkdir()
        pictures = draw(found, seen, made)
        found.comparison.runs.drop(columns=["reason", "touched"]).to_csv(
            made / "runs.csv", index=False
        )
        (made / "metrics.json").write_text(json.dumps(metrics(found), indent=1) + "\n")
        for name in ("index.html", "report.md"):
            (made / name).write_text(render(name, found, pictures), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)


def draw(found: Findings, seen: Predictions | None, folder: Path) -> list[dict[str, str]]:
    """Every figure that has something to show, with its title and its SVG as a data URI."""
    drawn: list[tuple[str, str, Figure | None]] = []
    with style.style():
        drawn += [(name, title, make(found)) for name, title, make in PICTURES]
        if seen is not None:
            drawn += [(name, title, make(found, seen)) for name, title, make in MISREAD]
        shown = [(name, title, made) for name, title, made in drawn if made is not None]
        for name, _, made in shown:
            style.save(made, folder, name)
    return [
        {"name": name, "title": title, "uri": data_uri(folder / f"{name}.svg")}
        for name, title, _ in shown
    ]


def data_uri(file: Path) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(file.read_bytes()).decode()}"


def render(name: str, found: Findings, pictures: Sequence[dict[str, str]]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("factorial.comparison"),
        autoescape=name.endswith(".html"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = markdown_cell
    return environment.get_template(f"{name}.j2").render(
        title=found.comparison.title,
        counts=rows.counts(found),
        sentences=wording.summary(found),
        notes=found.notes,
        shared=found.comparison.shared,
        pictures={picture["name"]: picture for picture in pictures},
        board=rows.board(found),
        effects=rows.level_effects(found),
        squares=rows.squares(found),
        variance=rows.variance(found),
        failures=rows.failures(found),
        missing=rows.missing(found),
    )


def markdown_cell(text: str) -> str:
    """Text that stays within its cell, and text."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def metrics(found: Findings) -> dict[str, Any]:
    """The numbers of the report for a program; null where there is none."""
    best, comparison = found.winner, found.comparison
    score = intervals.Estimate(best["mean"], best["low"], best["high"], int(best["n"]))
    analysis = found.accuracy.analysis.table
    return {
        "runs": len(comparison.runs),
        "settings": len(found.board),
        "failed": len(comparison.failures),
        "selected_on": comparison.selected_on,
        "winner": best["label"],
        "tied": found.tied,
        "score": numbers(score),
        "test": numbers(found.test),
        "shares": {row.term: finite(row.share) for row in analysis.itertuples()},
    }


def numbers(estimate: intervals.Estimate) -> dict[str, float | int | None]:
    return {key: finite(value) for key, value in estimate._asdict().items()}


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def show(found: Findings, folder: Path) -> None:
    leaders = rows.board(found)
    console.show_rows(leaders[:PRINTED])
    if len(leaders) > PRINTED:
        console.say(f"and {len(leaders) - PRINTED} more settings")
    console.say(*wording.summary(found), *(f"note: {note}" for note in found.notes))
    console.say(f"report: {console.relative(folder / 'index.html')}")
