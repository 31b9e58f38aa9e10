"""A tracking server that goes away in mid-sweep, and comes back."""

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from processes import read, serve, start, train

pytestmark = pytest.mark.slow


def stop(server: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def test_a_lost_server_ends_a_sweep_at_once_and_costs_no_epoch(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    server, address = serve(tmp_path / "server")
    words = ["-m", "data=digits", "model=linear", "optimizer=sgd", "epochs=20", "seed=0,1",
             "cadence=3600", "tracking=server", f"tracking.uri={address}"]  # fmt: skip
    outputs = tmp_path / "outputs"
    try:
        issued = start(outputs, *words)
        wait_for_epoch(outputs, 5)
        stop(server)
        began = time.monotonic()
        assert issued.ended() == 1
        assert time.monotonic() - began < 60
        assert "Traceback" not in issued.stdout + issued.stderr
        line = rf"error: tracking\.uri={address}: no server answers there \(.*\); start one with .*"
        assert re.fullmatch(rf"{line}\n+", issued.stderr)
        lost = last_epoch(outputs) + 1  # trained, and not recorded any more
        (kept,) = (outputs / "checkpoints").rglob("*.safetensors")
        assert kept.name == f"partial-{lost}-0.safetensors"
        server, _ = serve(tmp_path / "server", int(address.rpartition(":")[2]))
        done = train(outputs, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1 resumed, 1 new" in done.stdout
        client = MlflowClient(address)
        (experiment,) = client.search_experiments(filter_string="name = 'digits'")
        runs = client.search_runs([experiment.experiment_id])
        assert [run.info.status for run in runs] == ["FINISHED"] * 3
        for run in (run for run in runs if "epochs" in run.data.params):
            points = client.get_metric_history(run.info.run_id, "train/loss")
            assert sorted(point.step for point in points) == list(range(1, 21))
    finally:
        stop(server)


def last_epoch(outputs: Path) -> int:
    logs = "".join(map(read, outputs.glob("runs/*/artifacts/train.log")))
    return max((int(epoch) for epoch in re.findall(r"epoch +(\d+)/20", logs)), default=0)


def wait_for_epoch(outputs: Path, epoch: int) -> None:
    deadline = time.monotonic() + 60
    while last_epoch(outputs) < epoch:
        assert time.monotonic() < deadline
        time.sleep(0.01)
