"""The code of a recorded run: which program it has, and its patch, applied where it is trusted."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from factorial.record.reading import RecordedRun
from factorial.record.store import Store
from factorial.reuse import worktree
from factorial.settings.messages import BadInput

COMMIT = "0123456789abcdef" * 2 + "01234567"
PATCH = "--- a/code.py\n+++ b/code.py\n@@ -1 +1 @@\n-first = 1\n+first = 2\n"


def run(**tags: str) -> RecordedRun:
    return RecordedRun("a" * 32, "FINISHED", {"git.commit": COMMIT} | tags, {}, {})


def patched(outputs: Path, patch: str) -> Store:
    """A record whose one run left this patch."""
    artifacts = outputs / "runs" / run().id / "artifacts"
    artifacts.mkdir(parents=True)
    (artifacts / "git.patch").write_text(patch)
    return Store(None, "", outputs)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout."""
    folder = tmp_path / "factorial"
    folder.mkdir()
    (folder / "code.py").write_text("first = 1\n")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("src/factorial/commands/replay.py", ["-m", "factorial", "replay"]),
        ("replay.py", ["replay.py"]),  # as it was called before there was one command
    ],
)
def test_a_commit_is_asked_in_its_own_way(tmp_path: Path, file: str, expected: list[str]) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).touch()
    assert worktree.program(tmp_path, run()) == expected


def test_a_commit_without_a_replay_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="its commit, 0123456789ab, has no replay yet"):
        worktree.program(tmp_path, run())


@pytest.mark.parametrize("commit", ["", "main", "HEAD", "--force", "0123456", "g" * 40])
def test_a_commit_is_a_whole_digest(tmp_path: Path, commit: str) -> None:
    settings: dict[str, Any] = {"trust": True}
    with pytest.raises(BadInput, match="no commit is on its record"):
        worktree.replay(Store(None, "", tmp_path), run(**{"git.commit": commit}), settings, [])


def test_a_patch_is_applied_only_where_it_is_trusted(tmp_path: Path, folder: Path) -> None:
    store = patched(tmp_path / "outputs", PATCH)
    dirty = run(**{"git.dirty": "true"})
    with pytest.raises(BadInput, match=r"its git\.patch is code; read it, then trust=true runs it"):
        worktree.apply(store, dirty, {"trust": False}, folder)
    assert (folder / "code.py").read_text() == "first = 1\n"
    worktree.apply(store, dirty, {"trust": True}, folder)
    assert (folder / "code.py").read_text() == "first = 2\n"


def test_a_patch_that_is_gone_is_said(tmp_path: Path, folder: Path) -> None:
    store = Store(None, "", tmp_path / "outputs")
    with pytest.raises(BadInput, match="its code differed from its commit, and no patch is on"):
        worktree.apply(store, run(**{"git.dirty": "true"}), {"trust": True}, folder)


@pytest.mark.parametrize(
    "patch",
    [PATCH.replace("first = 1", "second = 1"), "no\npatch", PATCH[:40]],
    ids=["of another file", "none", "cut off"],
)
def test_a_patch_that_does_not_apply_is_one_line_without_places(
    tmp_path: Path, folder: Path, patch: str
) -> None:
    store = patched(tmp_path / "outputs", patch)
    with pytest.raises(BadInput, match="its patch does not apply") as error:
        worktree.apply(store, run(**{"git.dirty": "true"}), {"trust": True}, folder)
    assert "\n" not in str(error.value)
    assert str(tmp_path) not in str(error.value)


def test_a_commit_that_is_not_here_is_one_line_without_places() -> None:
    message = f"commit {COMMIT}: can't be checked out"
    with pytest.raises(BadInput, match=message) as error, worktree.checked_out(COMMIT):
        pass
    assert "\n" not in str(error.value)
    assert "/tmp" not in str(error.value)
