"""What identity and continuation save, and what they cost: one grid of 48 combinations on MNIST.

    python benchmarks/sweep.py [repeats]

Times the whole command, start and exit included: with continuation off, with it, and issued again;
then a checkpoint beside the training that it follows. Ratios are taken within one repeat.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir

from factorial.record.checkpoint import Position, Trunk
from factorial.settings.parsing import parse
from factorial.settings.places import CONF
from factorial.training import data, trainer

GRID = "model=linear,mlp optimizer=sgd,adam optimizer.lr=0.0001,0.001,0.01,0.1 epochs=5,10,15"
ROOT = Path(__file__).parents[1]


def main(repeats: int) -> None:
    rows = [measure() for _ in range(repeats)]
    for name, unit in (
        ("continuation off", "s"),
        ("continuation on", "s"),
        ("on / off", ""),
        ("issued again", "s"),
        ("beside training, per combination", "s"),
    ):
        values = sorted(row[name] for row in rows)
        middle = statistics.median(values)
        print(f"{name:34} {middle:8.2f} {unit:1} ({values[0]:.2f} to {values[-1]:.2f})")
    for model, optimizer in (("linear", "sgd"), ("mlp", "adam")):
        print(
            f"checkpoint / 5 epochs, {model} {optimizer}: {checkpoint_share(model, optimizer):.1%}"
        )


def measure() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as separate, tempfile.TemporaryDirectory() as together:
        off, _ = issue(separate, "fresh=true")
        on, output = issue(together)
        again, _ = issue(together)
        # only what this command trained: a continued run's line counts its whole curve
        trained = sum(longest(output).values())
    beside = (on - trained) / 48
    return {
        "continuation off": off,
        "continuation on": on,
        "on / off": on / off,
        "issued again": again,
        "beside training, per combination": beside,
    }


def issue(outputs: str, *words: str) -> tuple[float, str]:
    """Seconds of the whole command, and what it printed."""
    command = [sys.executable, "train.py", "-m", *GRID.split(), *words, f"outputs={outputs}"]
    command += ["report=false"]  # has a benchmark of its own
    began = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    seconds = time.perf_counter() - began
    assert "48 combinations, 0 failed" in done.stdout, done.stdout + done.stderr
    return seconds, done.stdout


def longest(output: str) -> dict[str, float]:
    """Seconds of the longest run of each trunk: its curve holds those of its siblings."""
    lines = re.findall(
        r"^ *\d+/\d+ +\w+ +(\w+ \w+ lr=\S+) e(\d+) s0 .* ([\d.]+) s(?:  \(about .*)?$",
        output,
        re.MULTILINE,
    )
    ordered = sorted(lines, key=lambda line: int(line[1]))
    return {name: float(seconds) for name, _, seconds in ordered}


def checkpoint_share(model: str, optimizer: str) -> float:
    """The median of nine writes of a state, flushed to the disk, over five epochs of training."""
    words = [f"model={model}", f"optimizer={optimizer}", "epochs=short"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = parse(compose("config", words))
    device = torch.device("cpu")
    state, splits = trainer.start(config, device), data.load(config.data, device)
    rows = list(trainer.epochs(state, splits, config))
    costs = []
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", ROOT / "outputs")) as folder:
        trunk = Trunk(Path(folder), "benchmark", "cpu")
        trunk.folder.mkdir(parents=True)
        for _ in range(9):
            began = time.perf_counter()
            trunk.save(
                Position(5, 0),
                {"state": state.tree(), "rows": [row.document() for row in rows]},
                final=True,
            )
            costs.append(time.perf_counter() - began)
    return statistics.median(costs) / sum(row.seconds for row in rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
