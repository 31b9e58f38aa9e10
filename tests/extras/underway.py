"""A sweep under way, seen from outside: how far its runs are, and how they stand on record."""

import functools
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from processes import train
from running import children, weights

# Long enough for a word with whoever runs it while it trains
LONG = ["-m", "data=digits", "model=mlp", "optimizer=adam", "epochs=120", "seed=0,1"]


@functools.cache
def straight() -> dict[str, bytes]:
    """What they end with where nothing disturbs them."""
    with tempfile.TemporaryDirectory() as folder:
        done = train(Path(folder), *LONG, "device.threads=1")
        assert done.returncode == 0, done.stdout + done.stderr
        return weights(Path(folder))


def wait_for(condition: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def epochs(folder: Path) -> list[int]:
    """How far each run that has trained is."""
    logs = [file.read_text() for file in folder.glob("runs/*/artifacts/train.log")]
    return [max(map(int, found)) for log in logs if (found := re.findall(r"epoch +(\d+)/", log))]


def are_training(folder: Path, beyond: int = 0) -> bool:
    """Whether two runs have more epochs behind them than that."""
    return len(epochs(folder)) == 2 and min(epochs(folder)) > beyond


def states(folder: Path) -> list[str]:
    return sorted(run.info.status for run in children(folder))


def resumed(folder: Path) -> list[int]:
    """The epoch after which each run was gone on with, 0 where it was not."""
    return [int(run.data.tags.get("resumed_from_epoch", 0)) for run in children(folder)]


def closing(output: str) -> set[str]:
    """How many runs came from where, by the last line of a sweep: {"1 cached", "1 resumed"}."""
    return set(output.splitlines()[-1].split(", "))
