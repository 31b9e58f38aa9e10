import functools
import multiprocessing
import os
import re
import resource
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import torch
from hydra import compose, initialize_config_dir
from mlflow import MlflowClient

from factorial.console import Display
from factorial.record import writing
from factorial.record.checkpoint import Trunk
from factorial.record.store import SWITCHES
from factorial.results import Outcome
from factorial.runs.grid import combinations
from factorial.runs.run import run_trial
from factorial.runs.sweep import run_sweep
from factorial.runs.trial import Trial, prepare
from factorial.settings.combination import Combination, Composer
from factorial.settings.overrides import translated
from factorial.settings.places import CONF
from factorial.settings.schema import Config, parse
from factorial.training import data, sizes

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


@functools.cache
def composer() -> Composer:
    return Composer(Combination.compose)


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


@dataclass
class Started:
    """A `python train.py ...` that runs by itself, and what it has said so far."""

    process: BaseProcess
    folder: Path

    @property
    def stdout(self) -> str:
        return read(self.folder / "stdout")

    @property
    def stderr(self) -> str:
        return read(self.folder / "stderr")

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode

    def wait_until(self, says: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while says not in self.stdout and self.process.is_alive():
            assert time.monotonic() < deadline, f"waited in vain for {says!r}"
            time.sleep(0.01)

    def ended(self, seconds: float = 120) -> int | None:
        """Its exit code, once it has ended."""
        self.process.join(seconds)
        assert self.returncode is not None, f"still running after {seconds} s: {self.stdout}"
        return self.returncode

    def kill(self, number: int) -> None:
        os.kill(self.process.pid or 0, number)
        self.process.join()


def read(file: Path) -> str:
    return file.read_text() if file.exists() else ""


# Of a small network one thread is as fast as two, and leaves the other to another test
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"

# Processes that start in a moment: forked by one that has done nothing but the imports
os.environ.update(SWITCHES)  # MLflow is among the imports
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    ["torch._dynamo", "torchvision.datasets", "sklearn.datasets", "factorial.commands.train",
     "factorial.runs.sweep", "factorial.reuse.replay", "mlflow.store.tracking.sqlalchemy_store"]
)  # fmt: skip


def body(
    command: str, words: list[str], said: Path, env: dict[str, str], limit: int | None
) -> None:
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(said / name, os.O_WRONLY | os.O_CREAT), number)
    if limit is not None:  # files can't grow beyond so many bytes, as on a disk that is full
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    os.chdir(ROOT)
    os.environ.update(env)
    sys.path.insert(0, env.get("PYTHONPATH", str(ROOT)))
    if command == "train":
        sys.argv = ["train.py", *words]
        runpy.run_path("train.py", run_name="__main__")
    sys.argv = ["factorial", command, *words]
    runpy.run_module("factorial", run_name="__main__")


def start(
    folder: Path,
    *words: str,
    env: dict[str, str] | None = None,
    limit: int | None = None,
    command: str = "train",
) -> Started:
    """Begin `python train.py ...`, or another command, writing below `folder`."""
    said = Path(tempfile.mkdtemp())
    if command == "train" and not any(word.startswith("report=") for word in words):
        words = (*words, "report=false")  # seconds that only a test of reports needs
    arguments = (command, [*words, f"outputs={folder}"], said, os.environ | (env or {}), limit)
    process = SERVER.Process(target=body, args=arguments)
    process.start()
    return Started(process, said)


def train(
    folder: Path,
    *words: str,
    env: dict[str, str] | None = None,
    limit: int | None = None,
    command: str = "train",
    timeout: float = 120,
) -> Started:
    """`python train.py ...`, or another command, to its end, writing below `folder`."""
    done = start(folder, *words, env=env, limit=limit, command=command)
    done.process.join(timeout)
    assert done.returncode is not None, f"still running after {timeout} s: {done.stdout}"
    return done


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


NOWHERE = {  # an environment without data, and without a way to any
    "FACTORIAL_DATA": "",
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
}


@pytest.fixture
def same_process() -> Iterator[None]:
    """What a run sets for its whole process is as before when a test that ran one ends."""
    threads, debug = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode(debug)


def sweep(folder: Path, *words: str, launch: Any = None) -> None:
    """`python train.py -m ...` in this process, writing below `folder`, without a report.

    Raises as the command does.
    """
    typed = [translated(word) for word in ("report=false", *words, f"outputs={folder}")]
    single = [word for word in typed if "," not in word or "=[" in word]
    base = compose("config", single, return_hydra_config=True)
    preset = base.hydra.sweeper
    grid = combinations(typed, preset.params, preset.systems)
    run_sweep(base, typed, grid, composer(), launch)


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


def sweep_apart(folder: Path, *words: str, kill_after: int | None = None) -> Started:
    """`sweep` in a process of its own, which is killed after so many writes to the record."""
    said = Path(tempfile.mkdtemp())
    process = SERVER.Process(target=sweep_body, args=(folder, words, said, kill_after))
    process.start()
    return Started(process, said)


def sweep_body(folder: Path, words: tuple[str, ...], said: Path, kill_after: int | None) -> None:
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(said / name, os.O_WRONLY | os.O_CREAT), number)
    if kill_after is not None:
        doom(kill_after)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        sweep(folder, *words)


WRITES = [
    (writing, "new"), (writing, "again"), (Trunk, "save"), *(
        (writing.Run, name)
        for name in ("describe", "write", "log_rows", "conclude", "tag", "end")
    ),
]  # fmt: skip


def doom(count: int) -> None:
    """Ends this process, as a power cut would, right after its so many-th write to the record."""
    left = iter(range(count - 1, -1, -1))

    def fatal(write: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            given = write(*arguments, **named)
            if next(left) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return given

        return call

    for place, name in WRITES:
        setattr(place, name, fatal(getattr(place, name)))


def serve(folder: Path, port: int = 0) -> tuple["subprocess.Popen[bytes]", str]:
    """A tracking server that keeps its record in `folder`, and its address, once it answers."""
    if not port:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    program = Path(sys.executable).with_name("mlflow")
    command = [program, "server", "--port", str(port), "--workers", "1",
               "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
               "--artifacts-destination", str(folder / "artifacts")]  # fmt: skip
    env = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True
        )
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
    while True:
        try:
            urlopen(f"{address}/health", timeout=1).close()
            return process, address
        except (URLError, OSError):
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.2)
