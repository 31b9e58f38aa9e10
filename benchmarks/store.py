"""What a store takes: recorded runs a second, in SQLite and on a server with PostgreSQL.

    .venv-extras/bin/python benchmarks/store.py [repeats] [runs]

Runs of 15 epochs and three layers are written as training writes them, an epoch at a time, by one,
two and four processes at once; rows are those of the curves. The server is `factorial server`, on
this machine as well.
"""

import contextlib
import multiprocessing
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from report import row

from factorial.record import writing
from factorial.record.entries import DataSet
from factorial.record.store import open_store
from factorial.settings.schema import Tracking

ROOT = Path(__file__).parents[1]
EPOCHS, CURVES = 15, 7
PARAMS = {f"setting{number}": number for number in range(17)}
DATA = DataSet("digits", "0" * 64, {"train": 1293, "validation": 144, "test": 360})


def main(repeats: int, runs: int) -> None:
    context = multiprocessing.get_context("spawn")
    for name, place in (("SQLite", local), ("server, PostgreSQL", server)):
        with place() as (tracking, outputs):
            open_store(tracking, outputs)
            for clients in (1, 2, 4):
                rates = [rate(context, tracking, outputs, clients, runs) for _ in range(repeats)]
                low, high = min(rates), max(rates)
                middle = statistics.median(rates)
                print(f"{name:20} {clients} clients {middle:6.1f} runs a second "
                      f"({low:.1f} to {high:.1f}), {middle * EPOCHS * CURVES:6.0f} rows",
                      flush=True)  # fmt: skip


@contextlib.contextmanager
def local() -> Iterator[tuple[Tracking, str]]:
    with tempfile.TemporaryDirectory() as folder:
        yield Tracking("local", None, "bench", None, None), folder


@contextlib.contextmanager
def server() -> Iterator[tuple[Tracking, str]]:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)  # as root PostgreSQL has another account
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "factorial", "server", f"port={port}", f"outputs={folder}"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        while not answers(address):
            assert process.poll() is None
            time.sleep(0.2)
        yield Tracking("server", address, "bench", None, None), str(folder / "client")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        shutil.rmtree(folder)


def answers(address: str) -> bool:
    with contextlib.suppress(URLError, OSError):
        urlopen(f"{address}/health", timeout=1).close()
        return True
    return False


def rate(
    context: multiprocessing.context.SpawnContext,
    tracking: Tracking,
    outputs: str,
    clients: int,
    runs: int,
) -> float:
    """Runs a second, all clients together, from when all have their imports."""
    together = context.Barrier(clients + 1)
    arguments = (tracking, outputs, runs // clients, together)
    processes = [context.Process(target=write, args=arguments) for _ in range(clients)]
    for process in processes:
        process.start()
    together.wait()
    began = time.perf_counter()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    return runs // clients * clients / (time.perf_counter() - began)


def write(tracking: Tracking, outputs: str, runs: int, together: "multiprocessing.Barrier") -> None:
    store = open_store(tracking, outputs)
    together.wait()
    for number in range(runs):
        run = writing.new(store, f"run {number}", {"recipe": str(number)})
        run.describe(PARAMS, DATA)
        for epoch in range(1, EPOCHS + 1):
            run.log_rows([row(epoch, EPOCHS, 0.9)])
        run.conclude({"test/accuracy": 0.9, "train/seconds": 1.0, "parameters": 7850})
        run.end()


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*(given + [3, 100][len(given) :]))
