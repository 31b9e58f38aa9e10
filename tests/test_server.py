"""A tracking server in place of the local store."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, serve, train

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


def test_a_run_on_the_server_replays_identically_in_another_folder(
    swept: str, tmp_path: Path
) -> None:
    words = ["tracking=server", f"tracking.uri={swept}"]
    done = train(tmp_path, *words, command="replay")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verdict: identical" in done.stdout
