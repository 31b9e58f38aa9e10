"""A tracking server in place of the local store."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from conftest import ROOT, train
from mlflow import MlflowClient

from factorial import compat

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("mlflow")
    command = [program, "server", "--port", str(port), "--workers", "1",
               "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
               "--artifacts-destination", str(folder / "artifacts")]  # fmt: skip
    env = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while True:
        try:
            urlopen(f"{address}/health", timeout=1).close()
            break
        except (URLError, OSError):
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.2)
    yield address
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def swept(server: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    words = ["data=digits", "model=linear,mlp", "seed=0,1", "epochs=2", "tracking=server"]
    done = train(tmp_path_factory.mktemp("outputs"), "-m", *words, f"tracking.uri={server}")
    assert done.returncode == 0, done.stderr
    return server


def test_a_report_is_made_from_the_server_alone(swept: str, tmp_path: Path) -> None:
    words = ["tracking=server", f"tracking.uri={swept}", f"outputs={tmp_path}"]
    done = subprocess.run(
        [sys.executable, "-m", "factorial", "compare", *words],
        cwd=ROOT,
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    (made,) = (tmp_path / "report").iterdir()
    assert {"curves.svg", "confusion.svg", "hardest.svg"} <= {file.name for file in made.iterdir()}


def test_a_run_on_the_server_replays_identically_in_another_folder(
    swept: str, tmp_path: Path
) -> None:
    words = ["tracking=server", f"tracking.uri={swept}"]
    done = train(tmp_path, *words, command="replay")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verdict: identical" in done.stdout


def test_a_server_gives_a_metric_of_many_runs_at_once_as_run_by_run(swept: str) -> None:
    client = MlflowClient(swept)
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = [run.info.run_id for run in client.search_runs(ids)]
    name = "validation/accuracy"
    one_by_one = [point for run in runs for point in compat.points_of_run(client, run, name)]
    assert len(one_by_one) >= 4 * 2
    client.get_metric_history = None  # asked for nothing run by run
    assert sorted(compat.metric_points(client, runs, name, 100)) == sorted(one_by_one)
