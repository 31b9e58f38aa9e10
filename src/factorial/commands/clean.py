"""List what on disk no recorded run needs; --delete removes it."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from factorial import console
from factorial.record import reading
from factorial.record.checkpoint import position
from factorial.record.store import Store, look_into
from factorial.settings import words
from factorial.settings.messages import BadInput
from factorial.settings.schema import Tracking


def main(typed: Sequence[str]) -> None:
    """Raises BadInput."""
    switched = ["delete=true" if word == "--delete" else word for word in typed]
    settings = words.read("clean", switched)
    store = look_into(Tracking("local", None, "", None, None), settings["outputs"])
    if store.client is None:
        raise BadInput(
            f"outputs={settings['outputs']}: allowed is a folder with an mlflow.db in it"
        )
    clean(store, settings["delete"])


def clean(store: Store, delete: bool) -> None:
    """List, or delete, every file and folder that `unneeded` names."""
    total = 0
    for path in sorted(unneeded(store)):
        size = sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
        total += size
        console.say(f"{size / 1e6:8.1f} MB  {path.relative_to(store.outputs)}")
        if delete:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    console.say(f"{total / 1e6:8.1f} MB  {'deleted' if delete else 'to be deleted by --delete'}")


def unneeded(store: Store) -> Iterator[Path]:
    """Folders of runs that are not on record; trunks without a run; states without a use.

    Of a trunk whose runs have all ended only the furthest state can serve again: runs that end
    before it are answered from the record, longer ones go on from it.
    """
    runs = reading.find(store)
    known = {run.id for run in runs}
    yield from (path for path in store.outputs.glob("runs/*") if path.name not in known)
    trunks = {run.tags["trunk"] for run in runs if "trunk" in run.tags}
    stopped = {run.tags["trunk"] for run in runs if "trunk" in run.tags and not run.is_result}
    for trunk in store.outputs.glob("checkpoints/*"):
        if trunk.name not in trunks:
            yield trunk
        elif trunk.name not in stopped:
            for platform in filter(Path.is_dir, trunk.iterdir()):
                yield from all_but_the_furthest(platform)


def all_but_the_furthest(platform: Path) -> Iterator[Path]:
    placed = {file: position(file) for file in platform.glob("*.safetensors")}
    states = sorted((place, file) for file, place in placed.items() if place is not None)
    yield from (file for _, file in states[:-1])
    yield from platform.glob("*.damaged")
