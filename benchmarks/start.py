"""How long a command takes before it does its work, as ratios to its libraries' bare imports.

    python benchmarks/start.py [repeats]
    python benchmarks/start.py --profile

Alternating, whole commands with start and exit: an answer from the record, and how long it takes to
the first step of training, beside `import torch, mlflow.tracking, hydra`; a comparison of 48 runs
beside `import mlflow, pandas, matplotlib, statsmodels.api`; an error in the config and the first
line on the screen in seconds. On MNIST where FACTORIAL_DATA names its folder, on digits otherwise.
With --profile the slowest imports of each command instead.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
GRID = "model=linear,mlp optimizer=sgd,adam optimizer.lr=0.0001,0.001,0.01,0.1 seed=0,1,2 epochs=1"
DATA = [] if "FACTORIAL_DATA" in os.environ else ["data=digits"]
TRAIN = ["train.py", *DATA, "epochs=1"]
COMMANDS = {
    "cached answer": TRAIN,
    "first step": [*TRAIN, "fresh=true"],
    "compare 48 runs": ["-m", "factorial", "compare"],
    "config error": [*TRAIN, "optimizer.lr=-1"],
}
# What each stands beside, and the ratio that it should stay below
TRAIN_LIBRARIES, COMPARE_LIBRARIES = (
    "torch, mlflow.tracking, hydra",
    "mlflow, pandas, matplotlib, statsmodels.api",
)
BARE = {
    "cached answer": (TRAIN_LIBRARIES, 1.15),
    "first step": (TRAIN_LIBRARIES, 1.15),
    "compare 48 runs": (COMPARE_LIBRARIES, 2.0),
}
SHOWN = 0.03  # seconds that an import has to take to be listed
DEPTH = 4  # of imports within imports


class Line(NamedTuple):
    """What a command said, and how many seconds after its start."""

    seconds: float
    text: str


class Taken(NamedTuple):
    """Seconds of a command, and of its libraries' bare imports just before; 0 for none."""

    seconds: float
    bare: float = 0.0


def main(arguments: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as outputs:
        sweep = ["train.py", "-m", "data=digits", *GRID.split(), "report=false"]
        for command in (sweep, TRAIN):  # so that there is what to compare, and to answer from
            run(command, outputs)
        if "--profile" in arguments:
            for name, command in COMMANDS.items():
                profile(name, command, outputs)
            return
        repeats = int(arguments[0]) if arguments else 5
        rows = [measure(outputs) for _ in range(repeats)]
    print(f"{repeats} repeats          median s (min to max)      ratio (min to max)")
    for name in rows[0]:
        seconds = spread([row[name].seconds for row in rows])
        ratios = [row[name].seconds / row[name].bare for row in rows if row[name].bare]
        libraries, most = BARE.get(name, ("", 0))
        beside = f"{spread(ratios):22} of import {libraries}; at most {most}" if ratios else ""
        print(f"{name:18} {seconds:26} {beside}".rstrip())


def measure(outputs: str) -> dict[str, Taken]:
    """Everything once, each behind the bare imports that it is compared with."""
    taken = {}
    for name, words in COMMANDS.items():
        bare = imports(BARE[name][0]) if name in BARE else 0.0
        lines = run(words, outputs)
        seconds = first_step(lines) if name == "first step" else lines[-1].seconds
        taken[name] = Taken(seconds, bare)
        if name == "first step":
            taken["first line"] = Taken(lines[0].seconds)
    return taken


def imports(libraries: str) -> float:
    """Seconds of a process that does nothing else."""
    began = time.perf_counter()
    command = [sys.executable, "-c", f"import {libraries}"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def run(words: Sequence[str], outputs: str) -> list[Line]:
    """A command's lines; the last one, empty, is its end."""
    command = [sys.executable, "-u", *words, f"outputs={outputs}"]
    began = time.perf_counter()
    with subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        lines = [Line(time.perf_counter() - began, text) for text in process.stdout]
    return [*lines, Line(time.perf_counter() - began, "")]


def first_step(lines: Sequence[Line]) -> float:
    """When training began: at the end of the first epoch, less the seconds that it took."""
    for seconds, text in lines:
        if ended := re.match(r"epoch 1/1 .* ([\d.]+) s  \d+ s left", text):
            return seconds - float(ended[1])
    raise SystemExit("".join(line.text for line in lines))


def profile(name: str, words: Sequence[str], outputs: str) -> None:
    """The slowest imports as a tree: seconds with all that they import, and of their own."""
    lines = run(["-X", "importtime", *words], outputs)
    found = [re.match(r"import time: +(\d+) \| +(\d+) \| ( *)(\S+)", line.text) for line in lines]
    print(f"\n{name}: {lines[-1].seconds:.2f} s, imports (with what they import, own)")
    for match in reversed([one for one in found if one]):  # each stands behind its own imports
        own, whole, depth = int(match[1]) / 1e6, int(match[2]) / 1e6, len(match[3]) // 2
        if whole >= SHOWN and depth < DEPTH:
            print(f"{whole:8.2f} {own:6.2f}  {'  ' * depth}{match[4]}")


def spread(values: Sequence[float]) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main(sys.argv[1:])
