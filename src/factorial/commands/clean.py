"""List what on disk no recorded run needs; --delete removes it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from factorial import console
from factorial.record.checkpoint import position
from factorial.record.inventory import everything
from factorial.record.store import Store, look_into
from factorial.settings import words
from factorial.settings.messages import BadInput
from factorial.settings.schema import Tracking


def main(typed: Sequence[str]) -> None:
    """Raises BadInput."""
    settings = words.read(
        "clean", ["delete=true" if word == "--delete" else word for word in typed]
    )
    store = look_into(Tracking("local", None, "", None, None), settings["outputs"])
    if store.client is None:
        raise BadInput(
            f"outputs={settings['outputs']}: allowed is a folder with an mlflow.db in it"
        )
    clean(store, settings["delete"])


def clean(store: Store, delete: bool) -> None:
    """List, or delete, the states that the record proves unneeded; nothing else is touched.

    Runs' folders stay, those in MLflow's trash too (`mlflow gc` empties it), and so does whatever
    is not on record: registered models, runs without tracking, what is of another database.
    """
    trunks = ended_trunks(store)
    total = 0
    for folder in sorted((store.outputs / "checkpoints").glob("*")):
        if folder.name in trunks:
            total += clean_trunk(folder, store.outputs, delete)
    console.say(f"{total / 1e6:8.1f} MB  {'deleted' if delete else 'to be deleted by --delete'}")


def ended_trunks(store: Store) -> set[str]:
    """The trunks all of whose runs have a result; of any other a state may be waited for."""
    runs = [run for run in everything(store) if "trunk" in run.tags]
    waiting = {run.tags["trunk"] for run in runs if not run.is_result}
    return {run.tags["trunk"] for run in runs} - waiting


def clean_trunk(folder: Path, outputs: Path, delete: bool) -> int:
    """The bytes of a trunk's unneeded states. One that a process is training is left alone."""
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return 0
    try:
        return sum(listed(file, outputs, delete) for file in sorted(unneeded(folder)))
    finally:
        lock.release()


def listed(file: Path, outputs: Path, delete: bool) -> int:
    size = file.stat().st_size
    console.say(f"{size / 1e6:8.1f} MB  {file.relative_to(outputs)}")
    if delete:
        file.unlink()
    return size


def unneeded(trunk: Path) -> Iterator[Path]:
    """Of each platform all states but the furthest, and what is damaged or half written.

    Runs that end before the furthest state are answered from the record, longer ones go on from it.
    """
    for platform in filter(Path.is_dir, trunk.iterdir()):
        placed = {file: position(file) for file in platform.glob("*.safetensors")}
        states = sorted((place, file) for file, place in placed.items() if place is not None)
        yield from (file for _, file in states[:-1])
        yield from (file for file in platform.glob("*.damaged") if position(file) is not None)
        yield from (file for file in platform.glob(".*.safetensors.*") if is_half_written(file))


def is_half_written(file: Path) -> bool:
    """Whether a file is what `write_atomically` leaves behind when its process is killed."""
    written = Path(file.name.removeprefix(".")).with_suffix("")
    return file.suffix.removeprefix(".").isdigit() and position(written) is not None
