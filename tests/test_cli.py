"""The command line as a user meets it."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from processes import NOWHERE, train
from running import recorded

pytestmark = pytest.mark.slow


def run(*words: str, folder: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    """`python train.py ...`"""
    return python(str(ROOT / "train.py"), *words, folder=folder, **env)


def python(*words: str, folder: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=folder, env=os.environ | env, text=True, capture_output=True)


def test_a_run_ends_with_accuracy_id_folder_and_the_command_for_the_page(tmp_path: Path) -> None:
    done = train(tmp_path, "data=digits", "epochs=2")
    assert done.returncode == 0
    (entry,) = recorded(tmp_path)
    said = dict(
        re.findall(r"^(test accuracy|recipe|run|folder|compare) +(.*)$", done.stdout, re.MULTILINE)
    )
    assert said["run"] == entry.info.run_id
    assert entry.data.tags["recipe"].startswith(said["recipe"])
    assert len(entry.data.tags["recipe"]) == 20
    assert (ROOT / said["folder"] / "weights.safetensors").is_file()
    assert said["test accuracy"].startswith(f"{entry.data.metrics['test/accuracy']:.4f} on digits")
    program, *rest = shlex.split(said["compare"])
    assert Path(shutil.which(program) or ROOT / program).is_file()
    assert rest[:2] == ["ui", "--backend-store-uri"]
    assert (ROOT / rest[2].removeprefix("sqlite:///")).samefile(tmp_path / "mlflow.db")


def test_every_epoch_is_a_plain_line_where_there_is_no_terminal(tmp_path: Path) -> None:
    done = train(tmp_path, "data=digits", "epochs=3")
    lines = [line for line in done.stdout.splitlines() if line.startswith("epoch")]
    form = r"epoch \d/3  train [\d.]+  validation [\d.]+  accuracy 0\.\d{4}  [\d.]+ s  \d+ s left"
    assert len(lines) == 3
    assert all(re.fullmatch(form, line) for line in lines)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", done.stdout + done.stderr)
    assert done.stderr == ""


def test_help_shows_groups_options_and_seven_examples() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "optimizer: adadelta, adagrad, adam, adamw, momentum, nadam" in done.stdout
    assert "epochs: article, long, short, smoke" in done.stdout
    assert "hydra/launcher: parallel" in done.stdout
    assert "workers:" not in done.stdout
    examples = done.stdout.partition("Examples")[2]
    assert examples.count("python train.py") == 7


def test_help_keeps_the_comments_of_the_configs() -> None:
    said = python("-m", "factorial", "train", "--help", "data=digits", "model=linear").stdout
    assert "of the weights' initial values and of the order of the examples" in said
    assert "# model=linear" in said
    assert "hidden:" not in said
    assert "    # 1,797 handwritten digits of 8 x 8 pixels that ship inside scikit-learn" in said
    assert "# seconds between checkpoints within a run; where it ends is always kept" in said
    assert "output_subdir" not in said
    assert not [line for line in said.splitlines() if line != line.rstrip()]
    said = python("-m", "factorial", "train", "--help", "hydra/launcher=parallel").stdout
    assert "  hydra.launcher:" in said
    assert "workers: null   # processes; null: as many as cores" in said


@pytest.mark.parametrize(
    ("command", "comment"),
    {
        "claims": "true: put what is measured here into claims.yaml, the README and docs/",
        "clean": "true, or --delete: remove it",
        "compare": "the file that a sweep wrote with ledger=FILE: that sweep",
        "evaluate": "so many of them, which predict together; null: one",
        "fetch": "a file that gets the data set's name, sizes and digest, as JSON",
        "motion": "learning rates; configured: each option's own",
        "predict": "PNG or JPEG files, or folders of them",
        "register": "of the registered model; each registration is a version of it",
        "replay": "CPU threads; null: as recorded",
    }.items(),
)
def test_a_command_s_help_keeps_its_comments_and_imports_nothing_heavy(
    command: str, comment: str
) -> None:
    done = python("-X", "importtime", "-m", "factorial", command, "--help")
    assert done.returncode == 0
    assert comment in done.stdout
    imported = set(re.findall(r"\| +(\w+)$", done.stderr, re.MULTILINE))
    assert "omegaconf" in imported
    assert not imported & {"torch", "mlflow", "pandas", "matplotlib", "hydra"}


def test_the_overview_has_a_line_for_each_command() -> None:
    for words in ([], ["--help"], ["-h"]):
        done = python("-m", "factorial", *words)
        assert done.returncode == 0
        lines = re.findall(r"^  (\w+) +(\w.*\.?)$", done.stdout, re.MULTILINE)
        assert [name for name, _ in lines] == [
            "claims", "clean", "compare", "deliver", "evaluate", "fetch", "list", "motion",
            "predict", "register", "replay", "server", "train",
        ]  # fmt: skip


@pytest.mark.parametrize("words", [["--help"], ["compare", "--help"], ["train", "--help"]])
def test_a_reader_that_goes_away_as_head_does_leaves_no_trace(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as gone:
        command = [sys.executable, "-m", "factorial", *words]
        done = subprocess.run(command, stdout=gone, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "")


def test_an_unknown_command_is_one_line_and_exit_code_1() -> None:
    done = python("-m", "factorial", "compar", "sweep=1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: compar is not a command: allowed are "
        "claims, clean, compare, deliver, evaluate, fetch, list, motion, predict, register, "
        "replay, server, train\n"
    )


@pytest.mark.parametrize("words", [["seed=3"], ["-m", "seed=3,4"]])
def test_what_is_about_to_happen_is_said_before_anything_heavy_is_imported(
    words: list[str], tmp_path: Path
) -> None:
    where = ["data=digits", "epochs=1", "report=false", f"outputs={tmp_path}"]
    command = [sys.executable, "-u", "-X", "importtime", "train.py", *words, *where]
    done = subprocess.run(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    lines = done.stdout.splitlines()
    said = next(n for n, line in enumerate(lines) if not line.startswith("import time:"))
    assert "seed=3" in lines[said] or " s3 " in lines[said]
    for library in ("torch", "mlflow"):
        assert next(n for n, line in enumerate(lines) if line.endswith(f" {library}")) > said


def test_outputs_land_where_the_user_stands(tmp_path: Path) -> None:
    done = run("data=digits", "epochs=1", "tracking=off", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["outputs"]


@pytest.mark.parametrize(
    ("word", "message"),
    {
        "optimizer=adamm": "error: optimizer=adamm: allowed is one of adadelta, adagrad",
        "optimizer.lr=-1": "error: optimizer.lr=-1: allowed is a finite number above 0\n",
        "optimizer.lrr=1": "error: optimizer.lrr is not a setting (did you mean lr?): allowed",
        "epochs=0": "error: epochs.count=0: allowed is a whole number, 1 to 1000000\n",
        "data.batch_size=x": "error: data.batch_size=x: allowed is a whole number, 1 or more\n",
    }.items(),
)
def test_bad_input_is_one_line_and_exit_code_1(word: str, message: str, tmp_path: Path) -> None:
    done = train(tmp_path, "data.root=/nonexistent", word)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_what_a_class_refuses_is_one_line_behind_what_was_to_happen(tmp_path: Path) -> None:
    done = train(tmp_path, "data=digits", "model.hidden=[]")
    assert done.returncode == 1
    assert done.stdout.count("\n") == done.stderr.count("\n") == 1
    form = r"error: model.hidden=\[\]: allowed is a list of one or more whole numbers, 1 or more\n"
    assert re.fullmatch(form, done.stderr)
    assert not list(tmp_path.iterdir())


def test_a_failing_run_says_why_and_exits_with_1(tmp_path: Path) -> None:
    done = train(tmp_path, "data=digits", "optimizer=sgd", "optimizer.lr=1e30", "epochs=1")
    assert done.returncode == 1
    assert done.stderr == "error: the training loss is nan in epoch 1\n"
    assert [entry.info.status for entry in recorded(tmp_path)] == ["FAILED"]


def test_cfg_job_prints_the_composed_config() -> None:
    done = run("--cfg", "job", "--resolve", "data=digits", "epochs=7")
    assert done.returncode == 0
    assert "count: 7" in done.stdout
    assert "steps: 91" in done.stdout


def test_overrides_may_stand_on_both_sides_of_m(tmp_path: Path) -> None:
    done = train(tmp_path, "data=digits", "epochs=1", "-m", "seed=0,1")
    assert done.returncode == 0, done.stderr
    assert "2 combinations, 0 failed" in done.stdout


def test_shell_completion_completes_groups_and_options() -> None:
    script = run("-sc", "install=bash").stdout
    assert "complete" in script
    query = run("-sc", "query=bash", COMP_LINE="python train.py optimizer=ada", COMP_POINT="29")
    assert query.stdout.split() == [
        f"optimizer={name}" for name in ("adadelta", "adagrad", "adam", "adamw")
    ]


def test_without_mnist_the_main_job_falls_back_loudly(tmp_path: Path) -> None:
    done = train(tmp_path, "model=mlp", "epochs=1", f"data.root={tmp_path / 'none'}", env=NOWHERE)
    assert done.returncode == 0, done.stderr
    assert "WARNING: MNIST is not in" in done.stderr
    assert "RUNNING ON DIGITS INSTEAD, in experiment mnist-fallback-digits" in done.stderr
    (entry,) = recorded(tmp_path)
    assert entry.data.params["data"] == "digits"
    assert " on digits" in done.stdout


def test_a_sweep_without_mnist_falls_back_as_one(tmp_path: Path) -> None:
    words = ["-m", "model=linear", "seed=0,1", "epochs=1", f"data.root={tmp_path / 'none'}"]
    done = train(tmp_path, *words, env=NOWHERE)
    assert done.returncode == 0, done.stderr
    assert {entry.data.params.get("data", "digits") for entry in recorded(tmp_path)} == {"digits"}
    assert len({entry.info.experiment_id for entry in recorded(tmp_path)}) == 1
    assert done.stderr.count("RUNNING ON DIGITS") == 1


def test_a_preset_never_falls_back(tmp_path: Path) -> None:
    done = train(tmp_path, "-m", "experiment=article", f"data.root={tmp_path}/none", env=NOWHERE)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no combination can start: MNIST is not in")
    assert done.stderr.count("\n") == 1
