"""What is said of a run that is on record already: by a search, or by a user to find it again."""

import re
from collections.abc import Mapping

from factorial.record.reading import RecordedRun
from factorial.record.refusals import writing
from factorial.record.store import Store
from factorial.settings.labels import Labels, is_taken
from factorial.settings.messages import shown
from factorial.settings.rules import LONGEST_TEXT

NOTE = "mlflow.note.content"  # MLflow's description: the user's note, then what Factorial says
MARK = "<!-- Factorial writes what follows, and writes it anew -->"  # which MLflow does not show
UNNAMED = r"sweep( of \d+)?|search"  # sweeps that nobody gave a name


def note_of(run: RecordedRun) -> str:
    """What somebody has said of a run: its description but for what Factorial says there."""
    return divided(run.tags.get(NOTE, ""))[0]


def divided(description: str) -> tuple[str, str]:
    """The user's note, and what Factorial says behind it."""
    note, mark, text = description.rpartition(f"{MARK}\n")
    return (note.removesuffix("\n\n"), text) if mark else (description, "")


def described(note: str, text: str) -> str:
    """A description, from which `divided` gives the same."""
    return f"{note}\n\n{MARK}\n{text}" if text else note


def put(store: Store, run: str, **tags: str) -> None:
    """Raises OSError."""
    if store.client is None or not run:
        return
    with writing():
        for key, value in tags.items():
            store.client.set_tag(run, key, value[:LONGEST_TEXT])


def as_tags(labels: Labels) -> dict[str, str]:
    """All but the name, as a new run gets them."""
    note = {} if labels.note is None else {NOTE: labels.note}
    return {**labels.tags, **note}


def replace(store: Store, run: RecordedRun, labels: Labels) -> None:
    """Whatever was said of a run before. Raises OSError."""
    known = given(run)
    put_each(store, run, {k: v for k, v in typed(labels).items() if known.get(k) != v})


def add(store: Store, run: RecordedRun, labels: Labels) -> tuple[list[str], list[str]]:
    """What was not said of a run before: what is new, and what stays as it was, in words.

    Raises OSError.
    """
    known, wanted = given(run), typed(labels)
    new = {key: value for key, value in wanted.items() if key not in known}
    put_each(store, run, new)
    kept = {key: known[key] for key, value in wanted.items() if known.get(key, value) != value}
    return words(new), words(kept)


def typed(labels: Labels) -> dict[str, str]:
    """As settings: `name`, `note`, `tags.KEY`; only what is set."""
    settings = {"name": labels.name, "note": labels.note}
    settings |= {f"tags.{key}": value for key, value in labels.tags.items()}
    return {key: value for key, value in settings.items() if value is not None}


def given(run: RecordedRun) -> dict[str, str]:
    """What somebody has said of a run, in the same form."""
    named = {"name": run.name} if is_named(run) else {}
    note = {"note": note_of(run)} if note_of(run) else {}
    return named | note | {f"tags.{key}": value for key, value in tags_of(run).items()}


def tags_of(run: RecordedRun) -> dict[str, str]:
    """Those that somebody gave it."""
    return {key: value for key, value in run.tags.items() if not is_taken(key)}


def is_named(run: RecordedRun) -> bool:
    """Whether somebody gave a run its name: its settings would begin `mlp adam lr=0.001 e15 s0`."""
    if "command" in run.tags:
        return re.fullmatch(UNNAMED, run.name) is None
    said = [re.escape(run.params.get(key, "")) for key in ("model", "optimizer", "epochs", "seed")]
    model, optimizer, epochs, seed = said
    by_settings = rf"{model} {optimizer}( lr=\S+)? e{epochs} s{seed}( .*)?"
    return bool(run.params) and re.fullmatch(by_settings, run.name) is None


def put_each(store: Store, run: RecordedRun, settings: Mapping[str, str]) -> None:
    tags = {key.removeprefix("tags."): v for key, v in settings.items() if key.startswith("tags.")}
    if "note" in settings:
        said = divided(run.tags.get(NOTE, ""))[1]
        whole = described(settings["note"], said)
        tags[NOTE] = whole if len(whole) <= LONGEST_TEXT else settings["note"]
    if "name" in settings:
        with writing():
            store.client.update_run(run.id, name=settings["name"])
    put(store, run.id, **tags)


def words(settings: Mapping[str, str]) -> list[str]:
    return [f"{key}={shown(value)}" for key, value in settings.items()]
