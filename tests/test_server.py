"""A tracking server in place of the local store."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from mlflow import MlflowClient
from processes import serve, train

from factorial import compat
from factorial.comparison import findings, glance
from factorial.comparison.table import load
from factorial.record import selection
from factorial.record.store import look_into
from factorial.settings.schema import Tracking

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    process, address = serve(folder)
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


def test_the_sweeps_page_on_the_server_says_who_won_once(swept: str, tmp_path: Path) -> None:
    store = look_into(Tracking("server", swept, "", None, None), str(tmp_path))
    for _ in range(2):
        chosen = selection.of_sweep(store, None)
        found = findings.find(load(store, chosen, "validation/accuracy"))
        glance.show(store, chosen, found, "Best.")
    assert chosen.parent is not None
    run, client = MlflowClient(swept).get_run(chosen.parent.id), MlflowClient(swept)
    assert set(run.data.metrics) == {
        "sweep/runs", "sweep/failures", "winner/tied",
        "winner/validation_accuracy", "winner/test_accuracy",
    }  # fmt: skip
    for name in run.data.metrics:
        assert len(client.get_metric_history(run.info.run_id, name)) == 1
    assert "\nBest.\n" in run.data.tags["mlflow.note.content"]
    assert run.info.status == "FINISHED"
    assert list(tmp_path.rglob("*.jsonl")) == []


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
