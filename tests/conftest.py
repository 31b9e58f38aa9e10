import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import initialize_config_dir
from mlflow import MlflowClient

from factorial import data
from factorial.combination import Combination
from factorial.config import CONF, Config, parse

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "FACTORIAL_DATA" not in os.environ:
        reason = "MNIST is not here: FACTORIAL_DATA does not name its folder"
        for item in items:
            if item.get_closest_marker("mnist"):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def hydra() -> Iterator[None]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


@pytest.fixture(autouse=True)
def plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)


def asked(*words: str) -> Combination:
    """A composed combination on the digits, which need no files."""
    return Combination.compose(["data=digits", *words])


def configured(*words: str) -> Config:
    return parse(asked(*words).composed)


def digits(config: Config) -> data.Data:
    return data.load(config.data, CPU)


def train(
    folder: Path, *words: str, env: dict[str, str] | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """`python train.py ...` as a user types it, writing below `folder`."""
    command = [sys.executable, str(ROOT / "train.py"), *words, f"outputs={folder}"]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | (env or {}), text=True, capture_output=True,
        timeout=timeout, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


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


Train = Callable[..., subprocess.CompletedProcess[str]]
