"""Commands in processes of their own: to wait for, to stop, to kill at an instant, to serve."""

import contextlib
import multiprocessing
import os
import resource
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from conftest import ROOT
from hydra import initialize_config_dir
from running import sweep

from factorial.record import writing
from factorial.record.checkpoint import Trunk
from factorial.record.store import SWITCHES
from factorial.settings.places import CONF

# Processes that start in a moment: forked by one that has done nothing but the imports
os.environ.update(SWITCHES)  # MLflow is among the imports
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    ["torch._dynamo", "torchvision.datasets", "sklearn.datasets", "factorial.commands.train",
     "factorial.runs.sweep", "factorial.reuse.replay", "mlflow.store.tracking.sqlalchemy_store"]
)  # fmt: skip


NOWHERE = {  # an environment without data, and without a way to any
    "FACTORIAL_DATA": "",
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
}


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
        """Nothing is done to one that has ended by itself."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid or 0, number)
        self.process.join()


def read(file: Path) -> str:
    return file.read_text() if file.exists() else ""


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
        for name in ("describe", "write", "log_rows", "conclude", "revise", "tag", "end")
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
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1",
               "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
               "--artifacts-destination", str(folder / "artifacts")]  # fmt: skip
    env = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True
        )
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 240
    while True:
        try:
            urlopen(f"{address}/health", timeout=1).close()
            return process, address
        except (URLError, OSError):
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.2)


class Server:
    """A tracking server that can be killed, stopped, and started again at its address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process, self.address = serve(folder)

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.process.wait()

    def start(self) -> None:
        self.process, _ = serve(self.folder, int(self.address.rpartition(":")[2]))
