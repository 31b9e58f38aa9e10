"""Only what the record proves unneeded is ever deleted."""

from pathlib import Path

import pytest
from filelock import FileLock
from processes import train
from recorded import opened
from running import client

from factorial.commands.clean import clean, main
from factorial.record import writing
from factorial.record.store import Store

PLATFORM = "cpu-AVX2-2-threads"
FINISHED, STOPPED, TRASHED, UNKNOWN = (letter * 64 for letter in "abcd")


def state(folder: Path, trunk: str, name: str) -> Path:
    file = folder / "checkpoints" / trunk / PLATFORM / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"state")
    return file


def run(store: Store, trunk: str, status: str = "FINISHED") -> str:
    made = writing.new(store, "run", {"trunk": trunk, "recipe": trunk})
    made.status = status
    made.conclude({"test/accuracy": 0.5} if status == "FINISHED" else {})
    made.end()
    return made.id


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = opened(tmp_path)
    run(store, FINISHED)
    run(store, STOPPED)
    run(store, STOPPED, "KILLED")
    store.client.delete_run(run(store, TRASHED, "KILLED"))
    return store


def left(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_of_a_trunk_whose_runs_have_ended_the_furthest_state_stays(
    store: Store, tmp_path: Path
) -> None:
    names = ["final-2", "final-10", "final-9", "partial-9-3"]
    files = {name: state(tmp_path, FINISHED, f"{name}.safetensors") for name in names}
    clean(store, delete=False)
    assert all(file.exists() for file in files.values())
    clean(store, delete=True)
    assert [name for name, file in files.items() if file.exists()] == ["final-10"]


@pytest.mark.slow
@pytest.mark.parametrize("word", ["--delete", "delete=true", "delete=false"])
def test_it_takes_the_words_of_every_command(store: Store, tmp_path: Path, word: str) -> None:
    old, new = (state(tmp_path, FINISHED, f"final-{epoch}.safetensors") for epoch in (1, 2))
    main([f"outputs={tmp_path}", word])
    assert old.exists() == (word == "delete=false")
    assert new.exists()


@pytest.mark.slow
def test_a_registered_model_outlives_it(tmp_path: Path) -> None:
    words = ["-m", "data=digits", "model=linear", "epochs=1,2", "seed=0,1"]
    assert train(tmp_path, *words).returncode == 0
    assert train(tmp_path, "name=digits", command="register").returncode == 0
    (version,) = client(tmp_path).search_model_versions("name = 'digits'")
    kept = left(tmp_path / "runs")
    assert any("models/" in file for file in kept)
    assert train(tmp_path, "--delete", command="clean").returncode == 0
    assert left(tmp_path / "runs") == kept
    states = sorted(file.name for file in (tmp_path / "checkpoints").rglob("*.safetensors"))
    assert states == ["final-2.safetensors"] * 2
    assert client(tmp_path).get_model_version("digits", version.version).status == "READY"


@pytest.mark.slow
def test_what_is_damaged_or_half_written_goes(store: Store, tmp_path: Path) -> None:
    kept = state(tmp_path, FINISHED, "final-3.safetensors")
    gone = [state(tmp_path, FINISHED, name)
            for name in ("final-2.damaged", ".partial-1-2.safetensors.4711")]  # fmt: skip
    clean(store, delete=True)
    assert kept.exists()
    assert not any(file.exists() for file in gone)


@pytest.mark.parametrize("trunk", [STOPPED, TRASHED, UNKNOWN])
def test_states_that_a_run_may_wait_for_stay(store: Store, tmp_path: Path, trunk: str) -> None:
    """A run that was stopped, one that is restored from the trash, one without tracking."""
    files = [state(tmp_path, trunk, f"final-{epoch}.safetensors") for epoch in (1, 2)]
    clean(store, delete=True)
    assert all(file.exists() for file in files)


def test_a_trunk_that_a_process_is_training_is_left_alone(store: Store, tmp_path: Path) -> None:
    files = [state(tmp_path, FINISHED, f"final-{epoch}.safetensors") for epoch in (1, 2)]
    with FileLock(tmp_path / "checkpoints" / FINISHED / ".lock"):
        clean(store, delete=True)
    assert all(file.exists() for file in files)


def test_whatever_it_does_not_know_stays(store: Store, tmp_path: Path) -> None:
    names = [
        "runs/models/m-0123/artifacts/data/model.pt2",  # a registered model, as MLflow keeps it
        f"runs/{'0' * 32}/artifacts/weights.safetensors",  # a run without tracking: the only copy
        f"checkpoints/{FINISHED}/{PLATFORM}/notes.txt",
        f"checkpoints/{FINISHED}/{PLATFORM}/mine.safetensors",
        f"checkpoints/{FINISHED}/{PLATFORM}/.mine.safetensors.1",
        "locks/abc",
        "data/MNIST/raw/file",
        "report/x/index.html",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    before = left(tmp_path)
    clean(store, delete=True)
    assert before <= left(tmp_path)


@pytest.mark.slow
def test_cleaning_changes_nothing_on_record(store: Store, tmp_path: Path) -> None:
    (
        state(tmp_path, FINISHED, "final-1.safetensors"),
        state(tmp_path, FINISHED, "final-2.safetensors"),
    )
    before = [(run.info.run_id, run.info.status) for run in client(tmp_path).search_runs(["1"])]
    clean(store, delete=True)
    assert [(r.info.run_id, r.info.status) for r in client(tmp_path).search_runs(["1"])] == before
