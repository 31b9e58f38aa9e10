"""A sweep at first sight, on MLflow's page of its own run: the winner and the leaderboard."""

import math
import statistics
from collections.abc import Sequence

from factorial.comparison import rows
from factorial.comparison.findings import Findings
from factorial.pages.templates import template
from factorial.record import summary
from factorial.record.reading import RecordedRun
from factorial.record.selection import Selection
from factorial.record.store import Store
from factorial.record.summary import Summary

TOP = 10  # settings of the leaderboard, where there is room for as many
ACCURACIES = ("validation/accuracy", "test/accuracy")


def show(store: Store, chosen: Selection, findings: Findings, verdict: str) -> None:
    """Put it on the sweep's run, `verdict` first. Raises BadInput where that is gone, and OSError.

    So the page says what the report says that is attached to it.
    """
    assert chosen.parent is not None
    texts = (text(findings, verdict, top) for top in range(TOP, 0, -1))
    summary.put(store, chosen.parent.id, Summary(metrics(findings, chosen.runs), texts))


def metrics(findings: Findings, runs: Sequence[RecordedRun]) -> dict[str, float]:
    """The winner's accuracies, whatever it was chosen by: means over its seeds; how many tie."""
    comparison = findings.comparison
    own = set(comparison.runs["id"][comparison.labels == findings.winner["label"]])
    winners = [run for run in runs if run.id in own]
    return accuracies(winners) | {"winner/tied": float(findings.tied)}


def accuracies(winners: Sequence[RecordedRun]) -> dict[str, float]:
    """Means over such runs, of those accuracies that all of them have."""
    values = {name: [run.metrics.get(name, math.nan) for run in winners] for name in ACCURACIES}
    means = {name: statistics.fmean(several) for name, several in values.items() if several}
    return {
        f"winner/{name.replace('/', '_')}": mean
        for name, mean in means.items()
        if math.isfinite(mean)
    }


def text(findings: Findings, verdict: str, top: int) -> str:
    """The first so many settings, in Markdown."""
    board = rows.board(findings)
    return template("factorial.comparison", "glance.md").render(
        verdict=verdict,
        board=board[:top],
        more=max(0, len(board) - top),
        failed=len(findings.comparison.failures),
        slug=findings.comparison.slug,
    )
