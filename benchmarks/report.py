"""What a report costs: 500 recorded runs of 50 epochs each, from SQLite to the page.

    python benchmarks/report.py [repeats] [runs] [epochs]

The runs are written as training writes them, their results drawn at random. Times the whole command
`factorial compare`, start and exit included, and within it what reading the record takes; memory
is the most that the command had.
"""

import itertools
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from factorial.comparison import table
from factorial.record import selection, writing
from factorial.record.store import Store, look_into, open_store
from factorial.results import Epoch, Evaluation
from factorial.settings.schema import Tracking

ROOT = Path(__file__).parents[1]
LEVELS = {
    "model": ["linear", "mlp"],
    "optimizer": [f"optimizer{number}" for number in range(10)],
    "optimizer.lr": [0.0001, 0.001, 0.01, 0.1, 1.0],
}
SETTINGS = 100  # of these levels


def main(repeats: int, runs: int, epochs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tracking = Tracking("local", None, "bench", None, None)
        began = time.perf_counter()
        fill(open_store(tracking, folder), runs // SETTINGS, epochs)
        each = (time.perf_counter() - began) / runs
        size = (Path(folder) / "mlflow.db").stat().st_size
        print(f"{runs} runs of {epochs} epochs: {each * 1000:.0f} ms, {size / runs:.0f} bytes each")
        whole = [timed(folder) for _ in range(repeats)]
        reading = [read(look_into(tracking, folder)) for _ in range(repeats)]
    for name, values in (("factorial compare", whole), ("of it: reading the record", reading)):
        low, high = min(values), max(values)
        print(f"{name:26} {statistics.median(values):6.2f} s ({low:.2f} to {high:.2f})")
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    print(f"{'memory':26} {most:6.2f} GB")


def fill(store: Store, seeds: int, epochs: int) -> None:
    """One sweep with learning curves and gradients of three layers."""
    chance = random.Random(0)
    keys = [*LEVELS, "seed"]
    grid = [
        dict(zip(keys, levels, strict=True))
        for levels in itertools.product(*LEVELS.values(), range(seeds))
    ]
    family = {"sweep": "5" * 64, "command": "-m", "combinations": str(len(grid))}
    parent = writing.new(store, f"sweep of {len(grid)}", family)
    factors = LEVELS | {"seed": range(seeds)}
    parent.describe({key: ", ".join(map(str, levels)) for key, levels in factors.items()})
    for number, levels in enumerate(grid):
        tags = {"mlflow.parentRunId": parent.id, "sweep": "5" * 64, "recipe": str(number)}
        run = writing.new(store, f"run {number}", tags)
        run.describe(levels | {"epochs": epochs, "data": "mnist"})
        final = 0.9 + 0.05 * (levels["model"] == "mlp") + chance.gauss(0, 0.003)
        run.log_rows([row(epoch, epochs, final) for epoch in range(1, epochs + 1)])
        run.conclude({"test/accuracy": final, "train/seconds": 1.0, "parameters": 7850})
        run.end()
    parent.end()


def row(epoch: int, epochs: int, final: float) -> Epoch:
    held_out = Evaluation(1 / epoch, final - 0.2 / epoch + 0.2 / epochs)
    return Epoch(epoch, 1 / epoch, held_out, 0.1, (0.1, 0.2, 0.3), "")


def timed(folder: str) -> float:
    began = time.perf_counter()
    command = [sys.executable, "-m", "factorial", "compare", f"outputs={folder}"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def read(store: Store) -> float:
    began = time.perf_counter()
    table.load(store, selection.of_sweep(store, None), "validation/accuracy")
    return time.perf_counter() - began


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*(given + [3, 500, 50][len(given) :]))
