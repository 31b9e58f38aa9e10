"""What a report costs: 500 recorded runs of 50 epochs each, from SQLite to the page.

    python benchmarks/report.py [repeats]

The runs are written as training writes them, their results drawn at random. Times the whole command
`factorial compare`, start and exit included, and within it what reading the record takes.
"""

import itertools
import random
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
    "seed": [0, 1, 2, 3, 4],
}
EPOCHS = 50


def main(repeats: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tracking = Tracking("local", None, "bench", None, None)
        fill(open_store(tracking, folder))
        whole = [timed(folder) for _ in range(repeats)]
        reading = [read(look_into(tracking, folder)) for _ in range(repeats)]
    for name, values in (("factorial compare", whole), ("of it: reading the record", reading)):
        low, high = min(values), max(values)
        print(f"{name:26} {statistics.median(values):6.2f} s ({low:.2f} to {high:.2f})")


def fill(store: Store) -> None:
    """One sweep of 500 runs with learning curves and gradients of three layers."""
    chance = random.Random(0)
    grid = [
        dict(zip(LEVELS, levels, strict=True)) for levels in itertools.product(*LEVELS.values())
    ]
    family = {"sweep": "5" * 64, "command": "-m", "combinations": str(len(grid))}
    parent = writing.new(store, f"sweep of {len(grid)}", family)
    parent.describe({key: ", ".join(map(str, levels)) for key, levels in LEVELS.items()})
    for number, levels in enumerate(grid):
        tags = {"mlflow.parentRunId": parent.id, "sweep": "5" * 64, "recipe": str(number)}
        run = writing.new(store, f"run {number}", tags)
        run.describe(levels | {"epochs": EPOCHS, "data": "mnist"})
        final = 0.9 + 0.05 * (levels["model"] == "mlp") + chance.gauss(0, 0.003)
        run.log_rows([row(epoch, final) for epoch in range(1, EPOCHS + 1)])
        run.conclude({"test/accuracy": final, "train/seconds": 1.0, "parameters": 7850})
        run.end()
    parent.end()


def row(epoch: int, final: float) -> Epoch:
    held_out = Evaluation(1 / epoch, final - 0.2 / epoch + 0.2 / EPOCHS)
    return Epoch(epoch, 1 / epoch, held_out, 0.1, (0.1, 0.2, 0.3), "")


def timed(folder: str) -> float:
    began = time.perf_counter()
    command = [sys.executable, "-m", "factorial", "compare", f"outputs={folder}"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def read(store: Store) -> float:
    began = time.perf_counter()
    table.load(store, selection.of_sweep(store, None))
    return time.perf_counter() - began


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
