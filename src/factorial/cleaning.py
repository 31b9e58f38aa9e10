"""What lies on disk that no recorded run needs."""

import argparse
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from factorial import console, history, store
from factorial.checkpoint import position
from factorial.config import Tracking
from factorial.store import Store


def main(typed: Sequence[str]) -> None:
    parser = argparse.ArgumentParser("clean.py", description=__doc__)
    parser.add_argument("outputs", nargs="?", default="outputs", help="the folder (outputs)")
    parser.add_argument("--delete", action="store_true", help="delete it, instead of listing it")
    settings = parser.parse_args(typed)
    if not (Path(settings.outputs) / "mlflow.db").is_file():
        parser.exit(1, f"error: {settings.outputs}: allowed is a folder with an mlflow.db in it\n")
    tracking = Tracking("local", None, "", None, None)
    clean(store.look_into(tracking, settings.outputs), settings.delete)


def clean(where: Store, delete: bool) -> None:
    """List, or delete, every file and folder that `unneeded` names."""
    total = 0
    for path in sorted(unneeded(where)):
        size = sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
        total += size
        console.say(f"{size / 1e6:8.1f} MB  {path.relative_to(where.outputs)}")
        if delete:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    console.say(f"{total / 1e6:8.1f} MB  {'deleted' if delete else 'to be deleted by --delete'}")


def unneeded(where: Store) -> Iterator[Path]:
    """Folders of runs that are not on record; trunks without a run; states without a use.

    Of a trunk whose runs have all ended only the furthest state can serve again: runs that end
    before it are answered from the record, longer ones go on from it.
    """
    runs = history.find(where)
    known = {run.id for run in runs}
    yield from (path for path in where.outputs.glob("runs/*") if path.name not in known)
    trunks = {run.tags["trunk"] for run in runs if "trunk" in run.tags}
    stopped = {run.tags["trunk"] for run in runs if "trunk" in run.tags and not run.is_result}
    for trunk in where.outputs.glob("checkpoints/*"):
        if trunk.name not in trunks:
            yield trunk
        elif trunk.name not in stopped:
            for arithmetic in filter(Path.is_dir, trunk.iterdir()):
                yield from all_but_the_furthest(arithmetic)


def all_but_the_furthest(arithmetic: Path) -> Iterator[Path]:
    states = sorted(arithmetic.glob("*.safetensors"), key=position)
    yield from states[:-1]
    yield from arithmetic.glob("*.damaged")
