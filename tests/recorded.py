"""Runs written to a store as training writes them, with results that a test has chosen."""

import functools
import itertools
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from factorial.comparison.levels import ordered, spelled
from factorial.comparison.ranking import ACCURACY, Ranking
from factorial.comparison.table import Comparison
from factorial.record import writing
from factorial.record.entries import DataSet
from factorial.record.store import Store, connect, look_into, open_store
from factorial.results import Epoch, Evaluation
from factorial.settings.recipe import digest
from factorial.settings.schema import Tracking

DIGITS = DataSet("digits", "0" * 64, {"train": 1293, "validation": 144, "test": 360})
SHARED = {"schedule": "constant", "precision": "float32", "device": "cpu"}


@functools.cache
def empty() -> bytes:
    """A database as MLflow makes it, in a second that no test needs to wait for again."""
    with tempfile.TemporaryDirectory() as folder:
        open_store(Tracking("local", None, "", None, None), folder)
        return (Path(folder) / "mlflow.db").read_bytes()


def opened(folder: Path, experiment: str = "planted") -> Store:
    (folder / "mlflow.db").write_bytes(empty())
    tracking = Tracking("local", None, experiment, None, None)
    return open_store(tracking, str(folder))


def product(**levels: Iterable[Any]) -> list[dict[str, Any]]:
    """Every combination; `optimizer_lr` stands for `optimizer.lr`."""
    keys = [key.replace("_", ".", 1) for key in levels]
    return [dict(zip(keys, values, strict=True)) for values in itertools.product(*levels.values())]


def sweep(store: Store, runs: Iterable[Mapping[str, Any]], command: str = "-m") -> writing.Run:
    """A finished sweep of `runs`: settings, and `accuracy`, `failure`, `epochs` for the rows."""
    runs = list(runs)
    keys = [key for key in runs[0] if key not in ("accuracy", "failure", "test")]
    identity = digest(runs)
    tags = {"sweep": identity, "command": command, "combinations": str(len(runs))}
    parent = writing.new(store, f"sweep of {len(runs)}", tags)
    seen = {key: list(dict.fromkeys(str(run[key]) for run in runs)) for key in keys}
    parent.describe({key: ", ".join(levels) for key, levels in seen.items() if len(levels) > 1})
    for run in runs:
        single(store, run, {"mlflow.parentRunId": parent.id, "sweep": identity})
    parent.end()
    return parent


def single(store: Store, settings: Mapping[str, Any], tags: Mapping[str, str]) -> writing.Run:
    params = {k: v for k, v in settings.items() if k not in ("accuracy", "failure", "test")}
    name = " ".join(map(str, params.values()))
    run = writing.new(store, name, {"recipe": digest(params), **tags})
    run.describe(SHARED | params, DIGITS)
    if "failure" in settings:
        run.tag(failure=settings["failure"])
        run.status = "FAILED"
    else:
        run.log_rows(rows(settings["accuracy"], int(params.get("epochs", 5))))
        parameters = 7850 if params.get("model") == "linear" else 269_322
        seconds = 0.1 * int(params.get("epochs", 5)) * (1 + (parameters > 10_000))
        closing = {"test/accuracy": settings.get("test", settings["accuracy"] - 0.003)}
        run.conclude(closing | {"train/seconds": seconds, "parameters": parameters})
    run.end()
    return run


def rows(accuracy: float, epochs: int) -> list[Epoch]:
    """A curve that ends at `accuracy`."""
    return [
        Epoch(
            epoch,
            2.0 / epoch,
            Evaluation(2.1 / epoch, accuracy - 0.1 * (1 - epoch / epochs)),
            0.1,
            (0.1 / epoch, 0.2 / epoch, 0.3),
            "",
        )
        for epoch in range(1, epochs + 1)
    ]


def planted(grid: Iterable[dict[str, Any]], seed: int = 0) -> list[dict[str, Any]]:
    """Accuracies with effects of model, optimizer and learning rate, and noise between seeds."""
    rng = np.random.default_rng(seed)
    runs = []
    for settings in grid:
        rate = abs(np.log10(settings.get("optimizer.lr", 0.01)) + 2)
        accuracy = 0.90 + 0.04 * (settings.get("model") == "mlp")
        accuracy += 0.02 * (settings.get("optimizer") == "adam") - 0.015 * rate
        accuracy += 0.0005 * int(settings.get("epochs", 5)) + rng.normal(0, 0.002)
        runs.append({**settings, "accuracy": float(accuracy)})
    return runs


def two_by_two(
    rng: np.random.Generator, model: float, optimizer: float, both: float, sd: float, seeds: int
) -> pd.DataFrame:
    """Scores of a 2 x 2 over seeds, with effects that are known."""
    rows = [
        (m, o, str(seed), 0.9 + model * (m == "mlp") + optimizer * (o == "adam")
         + both * (m == "mlp" and o == "adam") + rng.normal(0, sd))
        for m, o, seed in itertools.product(("linear", "mlp"), ("sgd", "adam"), range(seeds))
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["model", "optimizer", "seed", "score"])


def compared(runs: Iterable[Mapping[str, Any]], ranking: Ranking = ACCURACY) -> Comparison:
    """The comparison of such runs, without a store."""
    runs = list(runs)
    keys = [key for key in runs[0] if key not in ("accuracy", "failure", "test")]
    table = pd.DataFrame(
        [
            {key: spelled(str(run[key])) for key in keys}
            | {"id": str(number), "source": str(number), "score": run.get("accuracy", np.nan),
               "test": max(run.get("accuracy", np.nan) - 0.003, 0.0), "published": np.nan,
               "gap": 0.02 + 0.001 * number, "reason": run.get("failure", ""), "touched": 0,
               "seconds": 0.1 * int(run.get("epochs", 5)) * (1 + (run.get("model") == "mlp")),
               "parameters": 269_322.0 if run.get("model") == "mlp" else 7850.0}
            for number, run in enumerate(runs)
        ]
    )  # fmt: skip
    failed = table["reason"] != ""
    curves = [
        {"id": str(number), "epoch": row.epoch, "train/loss": row.train_loss,
         "validation/loss": row.validation.loss, "validation/accuracy": row.validation.accuracy,
         **{f"layer {layer}": norm for layer, norm in enumerate(row.gradients, start=1)}}
        for number, run in enumerate(runs) if "accuracy" in run
        for row in rows(run["accuracy"], int(run.get("epochs", 5)))
    ]  # fmt: skip
    settings = [key for key in keys if key != "seed" and table[key].nunique() > 1]
    return Comparison(
        "planted",
        "planted",
        None,
        table[~failed].reset_index(drop=True),
        settings,
        {key: ordered(table[key], ()) for key in settings},
        {},
        table[failed].reset_index(drop=True),
        pd.DataFrame(),
        pd.DataFrame(curves),
        "validation",
        ranking,
        {"validation": 6000, "test": 10_000},
        0,
        0,
        0,
    )


def seen_anew(folder: Path) -> Store:
    """The local store below `folder`, to read, as a process finds it that has not opened it yet."""
    connect.cache_clear()
    return look_into(Tracking("local", None, "", None, None), str(folder))
