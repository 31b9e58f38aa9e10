"""What a fresh machine installs, pinned and hashed, and how: by make, or as a package."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import ROOT
from packaging.requirements import Requirement

LOCK = (ROOT / "requirements.lock").read_text()
EXTRAS_LOCK = (ROOT / "requirements-extras.lock").read_text()
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
locks = pytest.mark.parametrize("lock", [LOCK, EXTRAS_LOCK], ids=["own", "extras"])


def pins(lock: str) -> set[tuple[str, str, str]]:
    """(name, version, where) of each package."""
    return set(re.findall(r"^([\w.-]+)==(\S+?)(?: ; (.*?))? \\$", lock, re.MULTILINE))


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@locks
def test_every_pin_carries_hashes(lock: str) -> None:
    entries = re.split(r"^(?=\w)", lock, flags=re.MULTILINE)
    for entry in entries:
        if re.match(r"\w", entry):
            assert "--hash=sha256:" in entry


@locks
def test_a_lock_names_no_host(lock: str) -> None:
    assert "://" not in lock
    assert not re.search(
        r"^\s*-(i|-index-url|-extra-index-url|-find-links|f)\b", lock, re.MULTILINE
    )


@pytest.mark.parametrize(
    ("lock", "groups"),
    [(LOCK, ["dev"]), (EXTRAS_LOCK, ["dev", "ray", "slurm", "optuna", "server"])],
    ids=["own", "extras"],
)
def test_a_lock_meets_every_stated_requirement(lock: str, groups: list[str]) -> None:
    project = PYPROJECT["project"]
    versions: dict[str, list[str]] = {}
    for name, version, _ in pins(lock):
        versions.setdefault(name, []).append(version)
    lines = [line for group in groups for line in project["optional-dependencies"][group]]
    for line in project["dependencies"] + lines:
        requirement = Requirement(line)
        assert all(requirement.specifier.contains(pin) for pin in versions[requirement.name])


def test_extras_lie_on_top_of_the_projects_own_packages_in_the_same_versions() -> None:
    assert pins(LOCK) < pins(EXTRAS_LOCK)


def make(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`make ...` in a folder that has what an installation needs, and no more."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    return subprocess.run(
        ["make", *words], cwd=folder, text=True, capture_output=True,
        env=os.environ | {"MAKEFLAGS": "", "MAKELEVEL": "0"} | env,
    )  # fmt: skip


@needs_make
@pytest.mark.parametrize("words", [[], ["help"]])
def test_make_alone_lists_every_target_with_a_line(tmp_path: Path, words: list[str]) -> None:
    lines = make(tmp_path, *words).stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["make", target]
        for target in ("help", "train", "test", "test-fast", "test-guides", "test-extras", "server",
                       "lint", "mutants", "bench", "claims", "wrong-input", "readme-figures",
                       "screenshots", "repro", "lock", "clean")
    ]  # fmt: skip
    assert all(len(line.split()) > 3 for line in lines)


# A Python that makes environments of itself, and whose pip says what pip says
STAND_IN = """#!/bin/sh
case "$*" in
    "-c "*) ;;
    "-m venv "*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *"pip"*)
        echo "Collecting torch==2.15.0"
        echo "WARNING: Location '/wheels' is ignored: it is neither a file nor a directory." >&2
        echo "ERROR: no space left" >&2
        exit $STATUS ;;
esac
"""


@needs_make
@pytest.mark.parametrize("status", [0, 2])
def test_an_installation_is_seen_and_fails_where_pip_does(tmp_path: Path, status: int) -> None:
    python = tmp_path / "python3"
    python.write_text(STAND_IN)
    python.chmod(0o755)
    done = make(tmp_path, ".venv/complete", f"PYTHON={python}", STATUS=str(status))
    assert "Collecting torch==2.15.0\n" in done.stdout
    assert "ERROR: no space left\n" in done.stderr
    assert "ignored" not in done.stdout + done.stderr
    assert (done.returncode == 0) == (status == 0)
    assert (tmp_path / ".venv" / "complete").exists() == (status == 0)


@needs_make
def test_an_unsuitable_python_is_named_in_one_line(tmp_path: Path) -> None:
    old = tmp_path / "python3"  # this Python, claiming another version
    old.write_text(
        f"#!{sys.executable}\nimport sys\nsys.version_info = (3, 9, 1)\nsys.version = '3.9.1'\n"
        f"exec(sys.argv[2])\n"
    )
    old.chmod(0o755)
    done = make(tmp_path, "train", f"PYTHON={old}")
    assert done.returncode != 0
    assert "Factorial needs Python 3.11 or newer" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_every_folder_of_python_files_is_packed() -> None:
    folders = {file.parent.relative_to(ROOT / "src") for file in (ROOT / "src").rglob("*.py")}
    packed = set(PYPROJECT["tool"]["setuptools"]["packages"])
    assert packed == {".".join(folder.parts) for folder in folders} | {"factorial.conf"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an installation that knows nothing of this checkout."""
    source, site = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, source / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    words = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(site), str(source)]
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, *words], check=True, capture_output=True)
    return site


@pytest.mark.slow
def test_every_config_and_template_is_installed(installed: Path) -> None:
    for source, target in (("conf", "conf"), ("src/factorial", "")):
        files = [file for file in (ROOT / source).rglob("*.*") if "__pycache__" not in file.parts]
        assert len(files) > 30
        for file in files:
            place = installed / "factorial" / target / file.relative_to(ROOT / source)
            assert place.read_bytes() == file.read_bytes()


@pytest.mark.slow
def test_an_installation_works_from_any_folder(installed: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(installed)}

    def factorial(*words: str) -> str:
        command = [sys.executable, "-m", "factorial", *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, text=True, capture_output=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = [sys.executable, "-c", "import factorial; print(factorial.__file__)"]
    answer = subprocess.run(where, cwd=tmp_path, env=environment, capture_output=True).stdout
    assert Path(answer.decode().strip()).is_relative_to(installed)
    assert "on digits" in factorial("train", "data=digits", "epochs=1")
    assert [file.name for file in tmp_path.iterdir()] == ["outputs"]
    assert (tmp_path / "outputs" / "mlflow.db").is_file()
    assert "verdict: identical" in factorial("replay")
    assert "the id of a sweep, or how it begins" in factorial("compare", "--help")
    assert "optimizer: adadelta, adagrad, adam" in factorial("train", "--help")
    command = next(installed.glob("bin/factorial"))
    done = subprocess.run(
        [command, "--help"], cwd=tmp_path, env=environment, text=True, capture_output=True
    )
    assert done.stdout == factorial("--help")
