"""Runs whose tracking server goes away, and what has to be on it in the end."""

import json
import re
import time
from collections import Counter
from pathlib import Path

from mlflow import MlflowClient
from processes import Started, read

EPOCHS = 60
WORDS = ["data=digits", "model=linear", "optimizer=sgd", f"epochs={EPOCHS}", "tracking=server"]
CURVES = {"train/loss", "epoch_seconds", "validation/loss", "validation/accuracy"}


def last_epoch(outputs: Path) -> int:
    logs = "".join(map(read, outputs.glob("runs/*/artifacts/train.log")))
    return max((int(epoch) for epoch in re.findall(rf"epoch +(\d+)/{EPOCHS}", logs)), default=0)


def wait_for_epoch(outputs: Path, epoch: int) -> None:
    deadline = time.monotonic() + 60
    while last_epoch(outputs) < epoch:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def require_whole(address: str, experiment: str, outputs: Path, count: int = 1) -> None:
    """Every run is on the server to the end: each point of a curve once, its params, its files."""
    client = MlflowClient(address)
    known = client.get_experiment_by_name(experiment)
    runs = client.search_runs([known.experiment_id])
    runs = [run for run in runs if "combinations" not in run.data.tags]
    assert len(runs) == count
    for run in runs:
        identity = run.info.run_id
        assert run.info.status == "FINISHED"
        assert run.data.params["epochs"] == str(EPOCHS) and len(run.inputs.dataset_inputs) == 1
        folder = outputs / "runs" / identity / "artifacts"
        written = json.loads((folder / "metrics.json").read_text())
        for name in CURVES:
            points = client.get_metric_history(identity, name)
            assert Counter(point.step for point in points) == Counter(range(1, EPOCHS + 1))
        losses = {p.step: p.value for p in client.get_metric_history(identity, "train/loss")}
        assert losses == {row["epoch"]: row["train/loss"] for row in written["epochs"]}
        (test,) = client.get_metric_history(identity, "test/accuracy")
        assert test.value == written["test/accuracy"]
        there = {entry.path: entry.file_size for entry in client.list_artifacts(identity)}
        assert there == {file.name: file.stat().st_size for file in folder.iterdir()}
    assert not list(outputs.glob("runs/*/spool"))


def trained(done: Started) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
