"""A record made before modules moved still replays."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from processes import train
from recorded import opened
from running import recorded
from safetensors.torch import save_file

from factorial.record.reading import search
from factorial.record.store import Store
from factorial.training.fingerprint import fingerprint

FILE = Path(__file__).parent / "fixtures" / "record-of-0.1.0.json"


def restored(folder: Path) -> Store:
    """What version 0.1.0 recorded of a run on the digits, in a store of today."""
    document = json.loads(FILE.read_text())
    store = opened(folder, "digits")
    tags, name = document["tags"], document["name"]
    run = store.client.create_run(store.experiment_id, run_name=name, tags=tags).info.run_id
    for key, value in document["params"].items():
        store.client.log_param(run, key, value)
    for key, step, value in document["metrics"]:
        store.client.log_metric(run, key, value, step=step)
    store.client.set_terminated(run, "FINISHED")
    files = folder / "runs" / run / "artifacts"
    files.mkdir(parents=True)
    for file, text in document["files"].items():
        (files / file).write_text(text)
    return store


@pytest.mark.slow
def test_its_model_still_reads_images(tmp_path: Path) -> None:
    """Images had no axis of channels then, and nothing scaled them; its weights are made here."""
    (folder := tmp_path / "outputs").mkdir()
    (old,) = search(restored(folder), "")
    weights = {"1.weight": (8, 64), "1.bias": (8,), "3.weight": (10, 8), "3.bias": (10,)}
    state = {name: torch.ones(shape) / 8 for name, shape in weights.items()}
    state["3.bias"] = torch.arange(10.0)
    file = folder / "runs" / old.id / "artifacts" / "weights.safetensors"
    metrics = file.with_name("metrics.json")
    document = json.loads(metrics.read_text())
    document["epochs"][-1]["weights"] = fingerprint(state)
    metrics.write_text(json.dumps(document))
    save_file(state, file)
    Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save(tmp_path / "a.png")
    done = train(folder, f"run={old.id}", str(tmp_path / "a.png"), command="predict")
    assert done.returncode == 0, done.stderr
    assert "a.png  9 0.6321  (then 8 0.2326, 7 0.0856)" in done.stdout


@pytest.mark.slow
def test_a_record_of_an_older_version_replays(tmp_path: Path) -> None:
    """Low bits are another CPU's, so the metrics are held within 0.001, the verdict to be given."""
    (old,) = search(restored(tmp_path), "")
    done = train(tmp_path, f"run={old.id}", command="replay")
    assert done.stderr == ""
    assert "verdict: " in done.stdout
    assert "code: factorial.trainer: " in done.stdout
    assert "model._target_" not in done.stdout
    (again,) = [run for run in recorded(tmp_path) if "replays" in run.data.tags]
    for name in ("train/loss", "validation/loss", "test/loss", "test/accuracy"):
        assert again.data.metrics[name] == pytest.approx(old.metrics[name], abs=1e-3)
