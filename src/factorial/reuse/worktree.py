"""The code of a recorded run: its commit, with its patch, for as long as a replay takes."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from factorial import console
from factorial.record import untrusted
from factorial.record.reading import RecordedRun
from factorial.record.store import Store, artifact
from factorial.settings.messages import BadInput
from factorial.settings.places import CHECKOUT


def replay(store: Store, run: RecordedRun, settings: dict[str, Any], typed: Sequence[str]) -> int:
    """Replay a run by its own code, in a process of its own; the exit code. Raises BadInput."""
    commit = run.tags.get("git.commit", "")
    if CHECKOUT is None:
        raise BadInput("worktree=true: allowed is it in a checkout of this program's repository")
    if not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", commit):
        raise BadInput(f"run={run.id}: no commit is on its record")
    words = [word for word in typed if word.partition("=")[0] not in ("worktree", "run", "sweep")]
    words = [word for word in words if not word.startswith("outputs=")]
    with checked_out(commit) as folder:
        apply(store, run, settings, folder)
        console.say(f"worktree: commit {commit[:12]}")
        command = [sys.executable, *program(folder, run), f"run={run.id}", *words]
        env = os.environ | {"PYTHONPATH": str(folder / "src")}
        outputs = f"outputs={store.outputs}"
        return subprocess.run([*command, outputs], cwd=folder, env=env, check=False).returncode


def program(folder: Path, run: RecordedRun) -> list[str]:
    """How that commit's code is asked for a replay. Raises BadInput where it can't be."""
    if (folder / "src/factorial/commands/replay.py").is_file():
        return ["-m", "factorial", "replay"]
    if (folder / "replay.py").is_file():
        return ["replay.py"]
    raise BadInput(f"run={run.id}: its commit, {run.tags['git.commit'][:12]}, has no replay yet")


def apply(store: Store, run: RecordedRun, settings: dict[str, Any], folder: Path) -> None:
    """The recorded patch, which is code: only where the user trusts it.

    Nothing in a record proves that it is the user's own: whoever copies it can write what it says.
    """
    if run.tags.get("git.dirty") != "true":
        return
    file = artifact(store, run.id, "git.patch")
    if file is None:
        raise BadInput(
            f"run={run.id}: its code differed from its commit, and no patch is on record"
        )
    if not settings["trust"]:
        raise BadInput(f"run={run.id}: its git.patch is code; read it, then trust=true runs it")
    untrusted.read(file, f"run={run.id}: git.patch")
    done = git("apply", "--whitespace=nowarn", str(file.resolve()), folder=folder)
    if done.returncode:
        raise BadInput(f"run={run.id}: its patch does not apply ({said(done, file.parent)})")


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """A worktree of this repository at a commit; it is gone afterwards. Raises BadInput."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "factorial"
        done = git("worktree", "add", "--detach", str(folder), commit)
        if done.returncode:
            raise BadInput(f"commit {commit}: can't be checked out ({said(done, folder)})")
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            git("worktree", "prune")


def said(done: subprocess.CompletedProcess[str], place: Path) -> str:
    """What git complains of, in one line, without the place where its files happen to lie."""
    text = done.stderr.replace(f"{place.resolve()}{os.sep}", "").replace(f"{place}{os.sep}", "")
    return " ".join(text.split())[:200]


def git(*words: str, folder: Path | None = CHECKOUT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
