"""Epochs that a search spends to find as good a trial: by halving with continuation, and by random.

    .venv-extras/bin/python benchmarks/search.py [repeats]

On digits, the linear model with Adam, 27 trials of at most 9 epochs, the same ones for both,
others in each repeat. Halving compares all 27 after 1 and 3 epochs. Epochs are counted in the
runs' logs; random search has reached what halving found with its first trial that is as good.
"""

import json
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SEARCH = (
    "hydra/sweeper=optuna data=digits model=linear optimizer=adam epochs=9 "
    "optimizer.lr=tag(log,interval(1e-4,1)) data.batch_size=range(50,301,50) "
    "hydra.sweeper.sampler=random hydra.sweeper.trials=27 hydra.sweeper.at_once=27"
)


def main(repeats: int) -> None:
    rows = []
    for repeat in range(repeats):
        pair = {}
        for pruner in ("halving", "null") if repeat % 2 else ("null", "halving"):
            pair[pruner] = issue(f"hydra.sweeper.pruner={pruner}", repeat)
        rows.append(compare(*pair["halving"], *pair["null"]))
        print(json.dumps(rows[-1]), flush=True)
    for name in rows[0]:
        values = sorted(row[name] for row in rows)
        middle = statistics.median(values)
        print(f"{name:44} {middle:8.4g} ({values[0]:.4g} to {values[-1]:.4g})")


def compare(
    halved: list[dict[str, Any]], spent: int, random: list[dict[str, Any]], all_spent: int
) -> dict[str, float]:
    """Of one repeat."""
    assert [trial["params"] for trial in halved] == [trial["params"] for trial in random]
    found = max(trial["value"] for trial in halved if trial["state"] == "COMPLETE")
    reached = next(place for place, trial in enumerate(random, 1) if trial["value"] >= found)
    each = all_spent / len(random)
    return {
        "epochs, halving": spent,
        "epochs, random, until as good": reached * each,
        "random / halving": reached * each / spent,
        "epochs, random, all of them": all_spent,
        "accuracy that halving found": found,
        "what the best of all has more": max(trial["value"] for trial in random) - found,
    }


def issue(word: str, seed: int) -> tuple[list[dict[str, Any]], int]:
    """The trials of a search, and the epochs that were trained for them."""
    with tempfile.TemporaryDirectory() as outputs:
        words = [*SEARCH.split(), word, f"hydra.sweeper.sampler_seed={seed}", "report=false"]
        command = [sys.executable, "train.py", "-m", *words, f"outputs={outputs}"]
        done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
        assert "27 trials, 0 failed" in done.stdout, done.stdout + done.stderr
        (file,) = Path(outputs).glob("runs/*/artifacts/search.json")
        runs = Path(outputs).glob("runs/*/artifacts/recipe.json")  # the search's own has none
        logs = [run.with_name("train.log") for run in runs]
        epochs = sum(len(re.findall(r"epoch +\d+/", log.read_text())) for log in logs)
        return json.loads(file.read_text())["trials"], epochs


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
