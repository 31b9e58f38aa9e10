"""What is recorded of where a result came from."""

import json
import subprocess
from importlib.metadata import distributions, version
from pathlib import Path

import pytest
import torch
from processes import train
from running import recorded

from factorial.record import provenance


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    command = ["git", *identity, *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository in the place of this one."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "code.py").write_text("first = 1\n")
    (folder / ".gitignore").write_text("ignored\n")
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "first"]):
        git(folder, *words)
    monkeypatch.setattr(provenance, "CHECKOUT", folder)
    for function in (provenance.git, provenance.patch):
        function.cache_clear()
        monkeypatch.setattr(provenance, function.__name__, function.__wrapped__)
    return folder


def test_a_clean_checkout_has_a_commit_and_no_patch(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD").strip()
    expected = {"git.commit": head, "git.branch": "main", "git.dirty": "false"}
    assert provenance.git() == expected
    assert provenance.patch() == ""


def test_the_patch_makes_the_commit_what_it_was(repository: Path, tmp_path: Path) -> None:
    """Changed, new, binary and blank-ended files; what is ignored stays away, and the index too."""
    (repository / "code.py").write_text("first = 2\n\n \n")
    (repository / "new.py").write_text("no newline at the end")
    (repository / "picture.bin").write_bytes(bytes(range(256)))
    (repository / "ignored").write_text("secret")
    assert provenance.git()["git.dirty"] == "true"
    patch = tmp_path / "git.patch"
    patch.write_text(provenance.patch())
    assert git(repository, "diff", "--cached") == ""
    fresh = tmp_path / "fresh"
    git(tmp_path, "clone", "-q", str(repository), str(fresh))
    git(fresh, "apply", str(patch))
    for name in ("code.py", "new.py", "picture.bin"):
        assert (fresh / name).read_bytes() == (repository / name).read_bytes()
    assert not (fresh / "ignored").exists()


def test_what_is_installed_besides_the_lock_is_named() -> None:
    lock = f"numpy==0.0.1 ; python_version < '4' \\\n    --hash=x\ntorch=={version('torch')} \\\n"
    assert provenance.unlocked(lock) == {"numpy": version("numpy")}
    both = f"numpy==0.0.1 ; a\nnumpy=={version('numpy')} ; b\nnot-installed==1\n"
    assert provenance.unlocked(both) == {}


def test_what_is_captured_says_how_numbers_come_about() -> None:
    found = provenance.capture()
    assert found["threads"] == torch.get_num_threads()
    assert len(found["lock"]) == 64
    assert found["cpu"]
    for name in ("python", "system", "cpu.features", "deterministic", "matmul precision"):
        assert name in found
    json.dumps(found)


@pytest.mark.slow
def test_a_run_keeps_its_provenance_and_a_digest_for_every_epoch(tmp_path: Path) -> None:
    assert train(tmp_path, "data=digits", "model=linear", "epochs=3").returncode == 0
    (run,) = recorded(tmp_path)
    artifacts = tmp_path / "runs" / run.info.run_id / "artifacts"
    found = json.loads((artifacts / "provenance.json").read_text())
    assert found["git.commit"] == run.data.tags["git.commit"]
    assert (artifacts / "git.patch").exists() == (run.data.tags["git.dirty"] == "true")
    rows = json.loads((artifacts / "metrics.json").read_text())["epochs"]
    assert len({row["weights"] for row in rows}) == 3
    assert {len(row["weights"]) for row in rows} == {64}


def test_the_folders_of_installers_say_what_their_metadata_say() -> None:
    theirs = {provenance.spelled(one.name): one.version for one in reversed([*distributions()])}
    assert provenance.installed() == theirs
    assert theirs["torch"] == version("torch")
