"""List recent sweeps and runs with their accuracies: find=WORD, or an MLflow filter."""

from collections.abc import Sequence

from factorial import console
from factorial.record import listing, spool
from factorial.record.listing import Wanted
from factorial.record.store import look_into
from factorial.settings import words
from factorial.settings.messages import BadInput, shown


def main(typed: Sequence[str]) -> None:
    """Raises BadInput, also where nothing answers."""
    settings = words.read("list", typed, bare="find")
    store = look_into(words.tracking(settings), settings["outputs"])
    if store.client is None:
        raise BadInput(f"outputs={store.outputs}: no runs are on record there")
    if store.is_remote and (waiting := spool.waiting(store)):
        console.warn(f"{waiting} runs wait to be delivered, and may be missing: factorial deliver")
    asked = {key: settings[key] for key in ("find", "filter", "experiment")}
    found = listing.listed(store, Wanted(**asked))
    if not (found.sweeps or found.runs):
        said = " ".join(f"{key}={shown(value)}" for key, value in asked.items() if value)
        raise BadInput(f"{said or store.place}: no run on record answers to it")
    show("sweeps", found.sweeps, settings["most"])
    show("runs", found.runs, settings["most"])


def show(what: str, rows: Sequence[dict[str, str]], most: int) -> None:
    if rows:
        console.show_rows(rows[:most])
    if len(rows) > most:
        console.say(f"and {len(rows) - most} more {what}: most={len(rows)} lists all")
