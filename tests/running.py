"""Sweeps and runs in this process, and what they leave on record."""

import re
from pathlib import Path
from typing import Any

from composing import asked, composer
from hydra import compose
from mlflow import MlflowClient

from factorial.console import Display
from factorial.record.store import Store, open_store
from factorial.results import Outcome
from factorial.runs.grid import combinations
from factorial.runs.jobs import Launcher
from factorial.runs.run import run_trial
from factorial.runs.sweep import run_sweep
from factorial.runs.trial import Trial, prepare
from factorial.settings.overrides import translated


def client(folder: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{folder}/mlflow.db")


def recorded(folder: Path) -> list[Any]:
    """Every run in the store below `folder`, oldest first."""
    store = client(folder)
    ids = [experiment.experiment_id for experiment in store.search_experiments()]
    return list(store.search_runs(ids, order_by=["attributes.start_time"], max_results=1000))


def children(folder: Path) -> list[Any]:
    return [run for run in recorded(folder) if "mlflow.parentRunId" in run.data.tags]


def parents(folder: Path) -> list[Any]:
    return [run for run in recorded(folder) if "mlflow.parentRunId" not in run.data.tags]


def sweep(folder: Path, *words: str, launch: Any = None, threads: int | None = None) -> None:
    """`python train.py -m ...` in this process, writing below `folder`, without a report.

    Raises as the command does.
    """
    typed = [translated(word) for word in ("report=false", *words, f"outputs={folder}")]
    single = [word for word in typed if "," not in word or "=[" in word]
    base = compose("config", single, return_hydra_config=True)
    preset = base.hydra.sweeper
    grid = combinations(typed, preset.params, preset.systems)
    launcher = launch and Launcher(lambda jobs: (pair for pair in enumerate(launch(jobs))), threads)
    run_sweep(base, typed, grid, composer(), launcher)


def trial(folder: Path, *words: str) -> Trial:
    """A combination on the digits, ready to run below `folder`."""
    typed = [translated(word) for word in (*words, f"outputs={folder}")]
    return prepare(asked(*typed), composer())


def bring(folder: Path, *words: str) -> Outcome:
    """A combination on the digits, brought to its end in this process."""
    return run_trial(trial(folder, *words), Display(brief=True))


def store_of(one: Trial) -> Store:
    return open_store(one.config.tracking, one.config.outputs)


def artifacts(folder: Path, run: str) -> Path:
    """Where a run's files lie."""
    return folder / "runs" / run / "artifacts"


def weights(folder: Path) -> dict[str, bytes]:
    """Every recorded run's weights, by its name."""
    files = {
        run.info.run_name: folder / "runs" / run.info.run_id / "artifacts" / "weights.safetensors"
        for run in recorded(folder)
    }
    return {name: file.read_bytes() for name, file in files.items() if file.is_file()}


def curves_are_whole(folder: Path) -> None:
    """Each child's curves hold each epoch once."""
    for run in recorded(folder):
        if "epochs" in run.data.params and "mlflow.parentRunId" in run.data.tags:
            for name in ("train/loss", "validation/accuracy"):
                history = client(folder).get_metric_history(run.info.run_id, name)
                steps = sorted(point.step for point in history)
                assert steps == list(range(1, int(run.data.params["epochs"]) + 1))


def table(output: str) -> list[list[str]]:
    """The cells of a sweep's closing table without the seconds, which are never the same."""
    ended = re.findall(r"^ .* (?:FINISHED|FAILED|LOST) *$", output, re.MULTILINE)
    return [[*row[:-2], row[-1]] for row in map(str.split, ended)]
