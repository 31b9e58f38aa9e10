"""Report on recorded runs: the newest sweep, sweep=ID, experiment=NAME, or a filter."""

from collections.abc import Sequence
from pathlib import Path

from factorial import console
from factorial.comparison.publishing import publish
from factorial.record import selection, spool, untrusted
from factorial.record.selection import Asked
from factorial.record.store import look_into
from factorial.settings import words
from factorial.settings.messages import BadInput


def main(typed: Sequence[str]) -> None:
    """Raises BadInput."""
    settings = words.read("compare", typed, bare="filter")
    store = look_into(words.tracking(settings), settings["outputs"])
    sweep = swept(Path(settings["ledger"])) if settings["ledger"] else settings["sweep"]
    if store.is_remote and (waiting := spool.waiting(store)):
        console.warn(f"{waiting} runs wait to be delivered, and may be missing: factorial deliver")
    asked = Asked(sweep, settings["experiment"], settings["filter"])
    publish(store, selection.select(store, asked), settings["rank_by"], settings["folder"])


def swept(ledger: Path) -> str:
    """The id of the sweep that wrote this file. Raises BadInput."""
    sweep = untrusted.read_json(ledger, f"ledger={ledger}").get("sweep")
    if not isinstance(sweep, str):
        raise BadInput(f"ledger={ledger}: allowed is a file that a sweep wrote with ledger=FILE")
    return sweep
