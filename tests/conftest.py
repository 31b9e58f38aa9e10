import functools
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from mlflow import MlflowClient
from playwright.sync_api import Browser, Error

from factorial.commands.list import main as list_record
from factorial.console import Display
from factorial.record.store import Store, connect, open_store
from factorial.results import Outcome
from factorial.runs.grid import combinations
from factorial.runs.jobs import Launcher
from factorial.runs.run import run_trial
from factorial.runs.sweep import run_sweep
from factorial.runs.trial import Trial, prepare
from factorial.settings.combination import Combination, Composer, by_hydra
from factorial.settings.overrides import translated
from factorial.settings.parsing import parse
from factorial.settings.places import CONF
from factorial.settings.schema import Config
from factorial.training import data, sizes

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")


# Files of a minute or so: they come first, or at the end one process is left alone with one of them
LONG = ["test_parallel_launcher", "test_wrong_input", "test_server_lost", "test_resume",
        "test_sweep_again", "test_motion_page", "test_claims", "test_replay"]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem not in LONG)
    if "FACTORIAL_DATA" not in os.environ:
        reason = "MNIST is not here: FACTORIAL_DATA does not name its folder"
        for item in items:
            if item.get_closest_marker("mnist"):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def hydra() -> Iterator[None]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. Where CI has none that is an error, elsewhere these tests are skipped."""
    from browsing import chromium

    try:
        with chromium() as opened:
            yield opened
    except Error:
        if "CI" in os.environ:
            raise
        pytest.skip("no Chromium is here: `playwright install chromium`")


@pytest.fixture(autouse=True)
def plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)


@pytest.fixture(autouse=True)
def unloaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A module that a test wrote and loaded does not answer for the next test's of that name."""
    known, written = set(sys.modules), tmp_path_factory.getbasetemp()
    yield
    for name in set(sys.modules) - known:
        module = sys.modules[name]
        places = getattr(module, "__path__", None) or [getattr(module, "__file__", None) or ""]
        if any(Path(place).is_relative_to(written) for place in places):
            del sys.modules[name]


@functools.cache
def composer() -> Composer:
    return Composer(by_hydra)


def asked(*words: str) -> Combination:
    """A composed combination on the digits, which need no files."""
    return composer()(["data=digits", *words])


def configured(*words: str) -> Config:
    config = parse(asked(*words).composed)
    sizes.check(config)
    return config


def put(config: Any, key: str, value: Any) -> Any:
    """A config with another value at a dotted key."""
    name, _, rest = key.partition(".")
    return replace(config, **{name: put(getattr(config, name), rest, value) if rest else value})


def digits(config: Config) -> data.Data:
    return data.load(config.data, CPU)


# Of a small network one thread is as fast as two, and leaves the other to another test
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"


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


@pytest.fixture
def same_process() -> Iterator[None]:
    """What a run sets for its whole process is as before when a test that ran one ends."""
    threads, debug = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    filling = torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.utils.deterministic.fill_uninitialized_memory = filling
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode(debug)


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


@pytest.fixture
def outputs(tmp_path: Path, same_process: None) -> Path:
    """A folder with a record that holds nothing yet, for runs in this process."""
    from recorded import empty

    folder = tmp_path / "outputs"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(empty())
    return folder


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


List = Callable[..., list[list[str]]]


@pytest.fixture
def listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> List:
    """The rows of `factorial list` in a folder's record, each by its cells, without the heads."""

    def rows(*words: str) -> list[list[str]]:
        connect.cache_clear()  # as a command begins
        list_record([*words, f"outputs={tmp_path}"])
        lines = [re.split(" {3,}", line.strip()) for line in capsys.readouterr().out.splitlines()]
        lines = [line for line in lines if line != [""] and "─" not in line[0]]
        return [line for line in lines if line[0] not in ("sweep", "run")]

    return rows
