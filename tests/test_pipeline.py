"""data -> sweep -> report as DVC runs it, on the digits, in a repository of its own."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from processes import NOWHERE

pytestmark = pytest.mark.slow

PACKAGE = ROOT / "src" / "factorial"
DVC = ROOT / ".venv-dvc" / "bin" / "dvc"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not DVC.is_file() and "CI" not in os.environ:
        pytest.skip("DVC is not here: `make .venv-dvc/complete`")
    folder = tmp_path_factory.mktemp("pipeline") / "factorial"
    left_out = shutil.ignore_patterns(".git", ".venv*", "outputs", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, folder, ignore=left_out)
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "as it is"]):
        subprocess.run(["git", *identity, *words], cwd=folder, check=True)
    return folder


def dvc(checkout: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    settings = {"PATH": here, "PYTHONPATH": str(checkout / "src"), "DVC_NO_ANALYTICS": "1"}
    environment = os.environ | settings | env
    return subprocess.run(
        [DVC, *words], cwd=checkout, env=environment, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def ran(checkout: Path) -> Path:
    words = ["exp", "run", "-S", "data=digits", "-S", "sweep='model=linear,mlp seed=0,1 epochs=2'"]
    done = dvc(checkout, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return checkout


def test_an_experiment_composes_through_hydra(ran: Path) -> None:
    ledger = json.loads((ran / "outputs/pipeline/sweep.json").read_text())
    assert [(run["model"], run["seed"]) for run in ledger["runs"]] == [
        ("linear", "0"), ("linear", "1"), ("mlp", "0"), ("mlp", "1")
    ]  # fmt: skip
    assert {run["status"] for run in ledger["runs"]} == {"FINISHED"}


def test_a_second_repro_does_nothing(ran: Path) -> None:
    done = dvc(ran, "repro")
    assert done.stdout.count("didn't change, skipping") == 3
    assert "Data and pipelines are up to date." in done.stdout


def test_metrics_and_plots_show(ran: Path) -> None:
    shown = json.loads(dvc(ran, "metrics", "show", "--json").stdout)
    (metrics,) = (entry["data"] for entry in shown[""]["data"].values())
    assert metrics["winner"] == "mlp"
    assert metrics["runs"] == 4
    assert dvc(ran, "plots", "show").returncode == 0
    pictures = {file.name for file in (ran / "dvc_plots" / "static").iterdir()}
    assert len(pictures) == 3
    assert all(name.endswith(".png") for name in pictures)


def test_what_a_stage_does_not_depend_on_does_not_run_it_again(ran: Path) -> None:
    """A figure's code is the report's alone; the training code is the sweep's too."""
    figure = ran / "src/factorial/comparison/figures/leaderboard.py"
    figure.write_text(figure.read_text() + "\n")
    assert dvc(ran, "status").stdout.split(":")[0] == "report"
    figure.write_text(figure.read_text()[:-1])
    trainer = ran / "src/factorial/training/trainer.py"
    trainer.write_text(trainer.read_text() + "\n")
    assert {"data:", "sweep:"} == {line for line in dvc(ran, "status").stdout.splitlines()
                                   if line[:1].strip()}  # fmt: skip
    trainer.write_text(trainer.read_text()[:-1])


def test_the_data_stage_is_strict(checkout: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "factorial", "fetch", "data=mnist", f"outputs={tmp_path}"]
    env = os.environ | NOWHERE | {"FACTORIAL_DATA": str(tmp_path / "nothing")}
    done = subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: MNIST is not in")
    assert done.stderr.count("\n") == 1


STAGES = {  # the module that each stage runs, and the rooms that its way leads through
    "data": ("commands/fetch.py", {"settings", "training", "record"}),
    "sweep": ("commands/train.py", {"settings", "training", "record", "runs"}),
    "report": ("commands/compare.py", {"settings", "record", "comparison", "pages"}),
}


def rooms_behind(module: str, seen: set[str]) -> set[str]:
    """The folders that a module's imports lead to, those of what it imports included."""
    if module in seen:
        return set()
    seen.add(module)
    rooms = set()
    for node in ast.walk(ast.parse((PACKAGE / module).read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("factorial."):
            parts = (node.module or "").split(".")[1:]
            names = [[*parts, alias.name] for alias in node.names] + [parts]
            for file in ("/".join(name) + ".py" for name in names):
                if (PACKAGE / file).is_file():
                    rooms |= {file.split("/")[0]} if "/" in file else set()
                    rooms |= rooms_behind(file, seen)
    return rooms


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_every_room_that_its_command_leads_to(stage: str) -> None:
    command, literal = STAGES[stage]
    deps = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]["deps"]
    behind = rooms_behind(command, set()) - {"commands"}
    # a sweep's report is off in the pipeline, and has a stage of its own
    behind -= {"comparison"} if stage == "sweep" else set()
    assert behind == literal
    assert {f"src/factorial/{room}" for room in behind} <= set(deps)
    assert f"src/factorial/{command}" in deps
