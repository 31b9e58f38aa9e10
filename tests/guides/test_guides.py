"""The guides: their commands run as they stand, in a fresh checkout, with files they tell of."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

# Guides whose every block of bash is run, from the first to the last
GUIDES = [
    "quickstart.md", "add-a-model.md", "add-a-metric.md", "add-an-optimizer.md", "sweeps.md",
    "reading-the-report.md", "reproduce-a-run.md", "motion.md",
]  # fmt: skip
LINES = 120  # two pages
# Of what the commands say, what a guide tells its reader of
SAID = {
    "quickstart.md": [
        "recorded earlier; fresh=true trains again",
        "12 combinations, 0 failed",
        "all 3 together, by their mean probabilities:",
        "verdict: identical",
    ],
    "reading-the-report.md": ["12 combinations, 0 failed"],
    "motion.md": ["All start from the same weights."],
    "reproduce-a-run.md": ["verdict: identical", "4 combinations, 0 failed"],
    "add-a-model.md": [
        "note: model.hidden is dropped: SmallCNN has none",
        "note: model.width does not apply to linear: 1 combination runs once without it",
        "verdict: identical",
        "recorded earlier; fresh=true trains again",
        "1 cached, 1 new",
    ],
    "add-an-optimizer.md": [
        "note: optimizer.fused is dropped: Adamax has none",
        "note: optimizer.decay does not apply to adam: 1 combination runs once without it",
        "verdict: identical",
    ],
    "sweeps.md": [
        "note: model.activation does not apply to linear: 2 combinations run once without it",
        "note: optimizer.momentum does not apply to adam: 1 combination runs once without it",
        "note: model.hidden does not apply to linear: 1 combination runs once without it",
        "6 combinations, 0 failed",
        "6 cached, 3 new",
    ],
}


def blocks(guide: str) -> list[tuple[str, str]]:
    """Each fenced block: its language and its text, in order."""
    text = (ROOT / "docs" / guide).read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def checkout(folder: Path) -> Path:
    """What a fresh checkout has of what a command needs."""
    shutil.copy(ROOT / "train.py", folder)
    for name in ("conf", "src"):
        left_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, folder / name, ignore=left_out)
    return folder


def run(folder: Path, commands: str) -> str:
    """What a block of commands says; each has to end well."""
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-c", commands],
        cwd=folder,
        env=os.environ | {"PATH": here, "PYTHONPATH": str(folder / "src"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, commands + done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("guide", GUIDES)
def test_the_commands_of_a_guide_do_what_it_says(guide: str, tmp_path: Path) -> None:
    folder, said = checkout(tmp_path), ""
    for language, text in blocks(guide):
        name = re.match(r"(?:# @package \w+\n)?# ([\w/.]+\.(?:py|yaml))\n", text)
        if language == "bash":
            said += run(folder, text)
        elif name is not None:
            (folder / name[1]).write_text(text, encoding="utf-8")
    for line in SAID.get(guide, []):
        assert line in said, said


MINE = """
from factorial.training.models import Linear

class Mine(Linear):
    pass
"""


def test_what_stands_in_a_file_of_conf_is_trusted_here_and_in_no_record(tmp_path: Path) -> None:
    """It needs no `allow` to train, with either command and in other processes; to replay it does,
    wherever the record comes from."""
    folder = checkout(tmp_path)
    (folder / "my_models.py").write_text(MINE)
    (folder / "conf/model/mine.yaml").write_text("_target_: my_models.Mine\n")
    words = "data=digits epochs=1 report=false"
    said = run(folder, f"factorial train {words} model=mine && python train.py {words} model=mine")
    assert "recorded earlier" in said
    launcher = "hydra/launcher=parallel hydra.launcher.workers=2"
    said = run(folder, f"factorial train -m {words} model=linear,mlp,mine seed=1,2 {launcher}")
    assert "6 combinations, 0 failed" in said
    run(folder, f"python train.py {words} model=mine seed=3")
    said = run(folder, "! factorial replay run=last")
    assert "model._target_=my_models.Mine: allowed are" in said
    assert "verdict: identical" in run(folder, "factorial replay run=last allow=my_models.Mine")
    (folder / "conf/model/mine.yaml").unlink()
    assert "error: model=mine: allowed is one of" in run(
        folder, f"! python train.py {words} model=mine"
    )


@pytest.mark.parametrize("guide", [*GUIDES, "add-a-data-set.md", "how-it-works.md"])
def test_a_guide_is_short(guide: str) -> None:
    assert len((ROOT / "docs" / guide).read_text().splitlines()) <= LINES


@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_has_commands(guide: str) -> None:
    languages = [language for language, _ in blocks(guide)]
    assert "bash" in languages
    assert set(languages) <= {"bash", "python", "yaml", "text"}
