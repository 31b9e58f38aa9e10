"""What several processes gain on this machine, and whether they lose anything.

    python benchmarks/parallel.py [repeats] [runs]

The 48 combinations of benchmarks/sweep.py on MNIST, whole commands in turn: one process with all
threads, and one worker a core with its share of them. Then so many one-epoch runs on digits with 1,
2, 4 and 8 workers that write to one SQLite file: runs a minute, and what of them is on record.
"""

import os
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
GRID = "model=linear,mlp optimizer=sgd,adam optimizer.lr=0.0001,0.001,0.01,0.1 epochs=5,10,15"
SHORT = "data=digits model=linear optimizer=sgd epochs=1"
PARALLEL = "hydra/launcher=parallel"


def main(repeats: int, runs: int) -> None:
    if "FACTORIAL_DATA" in os.environ:
        grid(repeats)
    print(f"{runs} runs of one epoch, digits")
    for workers in (1, 2, 4, 8):
        short(workers, runs)


def grid(repeats: int) -> None:
    pairs = []
    for _ in range(repeats):
        alone = issue(GRID)[0]
        beside = issue(f"{GRID} {PARALLEL}")[0]
        pairs.append((alone, beside))
        print(f"48 combinations: {alone:.1f} s alone, {beside:.1f} s side by side", flush=True)
    ratios = sorted(beside / alone for alone, beside in pairs)
    middle = statistics.median(ratios)
    print(f"ratio {middle:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


def short(workers: int, runs: int) -> None:
    words = f"{SHORT} seed=range({runs}) {PARALLEL} hydra.launcher.workers={workers}"
    seconds, output, counts = issue(words)
    complaints = len(re.findall("locked|Traceback|WARNING", output))
    print(
        f"{workers} workers: {60 * runs / seconds:.0f} runs a minute, command included; on record "
        f"{counts}; {complaints} complaints",
        flush=True,
    )


def issue(words: str) -> tuple[float, str, dict[str, int]]:
    """Seconds of the whole command, what it said, and how many rows of each kind it left."""
    with tempfile.TemporaryDirectory() as outputs:
        command = [sys.executable, "train.py", "-m", *words.split(), "report=false"]
        began = time.perf_counter()
        done = subprocess.run(
            [*command, f"outputs={outputs}"], cwd=ROOT, text=True, capture_output=True, check=False
        )
        seconds = time.perf_counter() - began
        assert done.returncode == 0, done.stdout + done.stderr
        with sqlite3.connect(Path(outputs) / "mlflow.db") as store:
            counts = {
                table: store.execute(f"select count(*) from {table}").fetchone()[0]
                for table in ("runs", "params", "metrics")
            }
    return seconds, done.stdout + done.stderr, counts


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*(given + [1, 500][len(given) :]))
