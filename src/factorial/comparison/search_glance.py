"""A search at first sight, on MLflow's page of its own run: the best trial, and those after it."""

from collections.abc import Sequence

from factorial.comparison.glance import TOP, accuracies
from factorial.comparison.trial_rows import STATES, board, counts, sentences
from factorial.comparison.trials import Trials, ended
from factorial.pages.templates import template
from factorial.record import summary
from factorial.record.reading import RecordedRun
from factorial.record.selection import Selection
from factorial.record.store import Store
from factorial.record.summary import Summary


def show(store: Store, chosen: Selection, trials: Trials) -> None:
    """Put it on the search's run. Raises BadInput where that is gone, and OSError."""
    assert chosen.parent is not None
    texts = (text(trials, top) for top in range(TOP, 0, -1))
    summary.put(store, chosen.parent.id, Summary(metrics(trials, chosen.runs), texts))


def metrics(trials: Trials, runs: Sequence[RecordedRun]) -> dict[str, float]:
    """How many trials ended how, and the best one's accuracies: means over its seeds."""
    states = trials.table["state"]
    ended = {f"search/{word}": float((states == state).sum()) for state, word in STATES.items()}
    return accuracies(winners(trials, runs)) | ended


def winners(trials: Trials, runs: Sequence[RecordedRun]) -> list[RecordedRun]:
    """The best trial's runs at its last rung."""
    best = trials.best
    return [] if best is None else ended(best.number, best.epochs, runs)


def text(trials: Trials, top: int) -> str:
    """The first so many trials, in Markdown."""
    rows = board(trials)
    return template("factorial.comparison", "search_glance.md").render(
        counts=counts(trials),
        sentences=sentences(trials),
        confirm=trials.confirm,
        board=rows[:top],
        more=max(0, len(rows) - top),
        slug=trials.slug,
    )
