"""What a fresh machine installs: pinned, hashed, from whatever index it has."""

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
PINS = re.findall(r"^([\w.-]+)==(\S+?)(?: ; (.*?))? \\$", LOCK, re.MULTILINE)


def test_every_pin_carries_hashes() -> None:
    entries = re.split(r"^(?=\w)", LOCK, flags=re.MULTILINE)
    for entry in entries:
        if re.match(r"\w", entry):
            assert "--hash=sha256:" in entry


def test_the_lock_names_no_host() -> None:
    assert "://" not in LOCK
    assert not re.search(
        r"^\s*-(i|-index-url|-extra-index-url|-find-links|f)\b", LOCK, re.MULTILINE
    )


def test_the_lock_meets_every_stated_requirement() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions: dict[str, list[str]] = {}
    for name, version, _ in PINS:
        versions.setdefault(name, []).append(version)
    for line in project["dependencies"] + project["optional-dependencies"]["dev"]:
        requirement = Requirement(line)
        assert all(requirement.specifier.contains(pin) for pin in versions[requirement.name])


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_an_unsuitable_python_is_named_in_one_line(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    old = tmp_path / "python3"  # this Python, claiming another version
    old.write_text(
        f"#!{sys.executable}\nimport sys\nsys.version_info = (3, 9, 1)\nsys.version = '3.9.1'\n"
        f"exec(sys.argv[2])\n"
    )
    old.chmod(0o755)
    done = subprocess.run(
        ["make", "train", f"PYTHON={old}"], cwd=tmp_path, text=True, capture_output=True,
        env=os.environ | {"MAKEFLAGS": ""},
    )  # fmt: skip
    assert done.returncode != 0
    assert "Factorial needs Python 3.11 or newer" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / ".venv").exists()
