"""The commands of docs/search.md are commands."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from processes import train
from searched import trials

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "search.md").read_text()
COMMANDS = re.findall(r"^python train.py (.+)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_can_start(command: str, outputs: Path) -> None:
    done = train(outputs, *shlex.split(command), "plan=true")
    assert done.returncode == 0, done.stderr
    assert re.search(r"search \w{8}: 0 of \d+ trials are on record", done.stdout)


def test_spaces_in_a_file_of_ones_own_are_searched(tmp_path: Path) -> None:
    for name in ("conf", "src"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "train.py", tmp_path)
    (yaml,) = re.findall(r"^```yaml\n(.+?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "conf" / "hydra" / "sweeper" / "rates.yaml").write_text(yaml)
    words = ["-m", "hydra/sweeper=rates", "data=digits", "model=linear", "epochs=1"]
    words += ["hydra.sweeper.trials=2", "report=false", "hydra/launcher=parallel"]
    done = subprocess.run(
        [sys.executable, "train.py", *words],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = trials(tmp_path / "outputs")
    assert [sorted(trial["params"]) for trial in found] == [["optimizer", "optimizer.lr"]] * 2
