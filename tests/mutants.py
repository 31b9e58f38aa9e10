"""Break the code by one line at a time, and see that a test fails: `make mutants`.

    python tests/mutants.py [FILE ...]

tests/mutants.yaml lists the mutations. Each is made in a copy of the checkout, and the tests that
stand beside it are run there, by a process that is forked when the imports are done: mutmut and
cosmic-ray start Python anew for each, and the imports alone would take an hour. Exit code 0 where
at least SHARE of all are caught, and every survivor has its reason in the list.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Any, NamedTuple

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / "tests" / "mutants.yaml"
PRELOADED = [
    "torch",
    "torch._dynamo",
    "torch.export",
    "mlflow",
    "mlflow.store.tracking.sqlalchemy_store",
    "hydra",
    "pandas",
    "matplotlib.figure",
    "sklearn.metrics",
    "statsmodels.formula.api",
    "hypothesis",
    "playwright.sync_api",
]
SHARE = 0.9
PATIENCE = 180  # seconds; a mutant that hangs its tests is caught


class Mutant(NamedTuple):
    """`old`, which stands once in `file`, becomes `new`; `reason` says why it may survive."""

    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.file}: {shown(self.old)}  ->  {shown(self.new)}"


def shown(text: str) -> str:
    return " ".join(text.split())[:60] or "(nothing)"


def listed(files: Sequence[str]) -> Iterator[Mutant]:
    for file, group in yaml.safe_load(LIST.read_text()).items():
        if not files or file in files:
            for old, new, *reason in group["mutants"]:
                yield Mutant(f"src/factorial/{file}", old, new, words_of(group), *reason)


def words_of(group: dict[str, Any]) -> tuple[str, ...]:
    """What pytest gets: files of tests, without the slow ones unless the group asks for them."""
    files = tuple(f"tests/{name}" for name in group["tests"].split())
    return files if group.get("slow", False) else (*files, "-m", "not slow")


def main(files: Sequence[str]) -> int:
    mutants = list(listed(files))
    stale = [one for one in mutants if (ROOT / one.file).read_text().count(one.old) != 1]
    for one in stale:
        print(f"stale, for it does not stand there once: {one}")
    for module in PRELOADED:
        __import__(module)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        copies: Queue[Path] = Queue()
        workers = os.cpu_count() or 1
        for number in range(workers):
            copies.put(copied(Path(folder) / str(number)))
        with ThreadPoolExecutor(workers) as pool:
            suites = {one.tests: one._replace(new=one.old) for one in mutants}
            failing = list(pool.map(lambda one: is_caught(one, copies), suites.values()))
            for one in (one for one, fails in zip(suites.values(), failing, strict=True) if fails):
                sys.exit(f"error: without a mutation too they fail: {' '.join(one.tests)}")
            caught = list(pool.map(lambda one: is_caught(one, copies), mutants))
    survivors = [one for one, was_caught in zip(mutants, caught, strict=True) if not was_caught]
    for one in survivors:
        print(f"survived: {one}  {one.reason or 'NO REASON IS GIVEN'}")
    share = 1 - len(survivors) / len(mutants)
    print(f"{len(mutants)} mutants, {share:.1%} caught, {time.monotonic() - began:.0f} s")
    unexplained = any(not one.reason for one in survivors)
    return int(bool(stale) or unexplained or share < SHARE)


def copied(folder: Path) -> Path:
    """What git knows of the checkout, changed files as they are."""
    names = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True)
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def is_caught(mutant: Mutant, copies: "Queue[Path]") -> bool:
    folder = copies.get()
    file = folder / mutant.file
    text = file.read_text()
    file.write_text(text.replace(mutant.old, mutant.new))
    try:
        child = os.fork()
        if child == 0:
            run_tests(folder, mutant.tests)
        code = waited(child)
    finally:
        file.write_text(text)
        copies.put(folder)
    if mutant.new != mutant.old:
        print(f"{'caught  ' if code else 'SURVIVED'}  {mutant}", flush=True)
    return code != 0


def run_tests(folder: Path, tests: Sequence[str]) -> None:
    """In a child, which ends here."""
    os.setsid()
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1), os.dup2(null, 2)
    os.chdir(folder)
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    sys.path[:0] = [str(folder / "src"), str(folder / "tests")]
    os._exit(int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests])))


def waited(child: int) -> int:
    """The exit code of a child; one that takes too long is killed, with all that it started."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -signal.SIGKILL


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
