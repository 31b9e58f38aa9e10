"""Recorded runs that predict together, against their recorded weights in plain torch."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from composing import configured, digits
from PIL import Image
from processes import train
from running import bring, children, parents
from safetensors.torch import load_file
from torch import Tensor

from factorial.commands.evaluate import main as evaluate
from factorial.training.data import Split

pytestmark = pytest.mark.slow

SEEDS = ["-m", "data=digits", "model=mlp", "model.hidden=[8]", "epochs=3", "seed=0,1,2,3"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    assert train(folder, *SEEDS, "report=false").returncode == 0
    return folder


def probabilities(folder: Path, run: str, split: Split) -> Tensor:
    """By two matrix products of the recorded weights."""
    weights = load_file(folder / "runs" / run / "artifacts" / "weights.safetensors")
    hidden = (split.images.flatten(1).float() / 16) @ weights["1.weight"].T + weights["1.bias"]
    logits: Tensor = hidden.relu() @ weights["3.weight"].T + weights["3.bias"]
    return logits.softmax(1)


def ranked(folder: Path) -> list[str]:
    """The children's ids, the highest validation accuracy first."""
    runs = sorted(
        children(folder),
        key=lambda run: (-run.data.metrics["validation/accuracy"], run.info.run_id),
    )
    return [run.info.run_id for run in runs]


def accuracy(shares: Tensor, split: Split) -> float:
    return float((shares.argmax(1) == split.labels).double().mean())


@pytest.mark.parametrize("best", [1, 3, 4])
def test_the_best_of_a_sweep_predict_by_their_mean_probabilities(made: Path, best: int) -> None:
    done = train(made, "sweep=" + parents(made)[0].data.tags["sweep"][:8], f"best={best}",
                 command="evaluate")  # fmt: skip
    assert done.returncode == 0, done.stderr
    splits, ids = digits(configured()), ranked(made)[:best]
    lines = done.stdout.splitlines()
    assert [re.match(r"run (\w+): ", line)[1] for line in lines[:best]] == ids  # type: ignore[index]
    for line, run in zip(lines, ids, strict=False):
        scores = [
            accuracy(probabilities(made, run, split), split)
            for split in (splits.validation, splits.test)
        ]
        assert line.endswith("  validation {:.4f}  test {:.4f}".format(*scores))
    mean = torch.stack([probabilities(made, run, splits.test) for run in ids]).mean(0)
    right = int((mean.argmax(1) == splits.test.labels).sum())
    assert lines[-1].startswith(f"{right} of 360 test images are right: {right / 360:.4f} (")
    if best > 1:
        held_out = torch.stack([probabilities(made, run, splits.validation) for run in ids]).mean(0)
        assert lines[-2] == (
            f"all {best} together, by their mean probabilities:  "
            f"validation {accuracy(held_out, splits.validation):.4f}  test {right / 360:.4f}"
        )


def test_one_run_is_evaluated_as_it_was_recorded(made: Path) -> None:
    run = children(made)[2]
    done = train(made, f"run={run.info.run_id[:12]}", command="evaluate")
    expected = [run.data.metrics[f"{name}/accuracy"] for name in ("validation", "test")]
    assert "  validation {:.4f}  test {:.4f}\n".format(*expected) in done.stdout


def test_images_are_read_by_several_models_together(made: Path, tmp_path: Path) -> None:
    split = digits(configured()).test
    picture = (split.images[5].squeeze().numpy() * 15.9).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "one.png")
    sweep = parents(made)[0].data.tags["sweep"]
    done = train(made, f"sweep={sweep}", "best=3", str(tmp_path / "one.png"), command="predict")
    assert done.returncode == 0, done.stderr
    ids = ranked(made)[:3]
    assert [line.split()[1][:-1] for line in done.stdout.splitlines()[:3]] == ids
    seen = Split(torch.from_numpy(picture)[None], torch.arange(1), torch.zeros(1), 255)
    shares = []
    for run in ids:
        weights = load_file(made / "runs" / run / "artifacts" / "weights.safetensors")
        pixels = seen.images.flatten(1).float() / 255
        hidden = (pixels @ weights["1.weight"].T + weights["1.bias"]).relu()
        shares.append((hidden @ weights["3.weight"].T + weights["3.bias"]).softmax(1)[0])
    mean = torch.stack(shares).mean(0)
    first = re.search(r"one\.png  (\d) ([\d.]+)", done.stdout)
    assert first is not None and int(first[1]) == mean.argmax()
    assert float(first[2]) == pytest.approx(float(mean.max()), abs=1e-4)


@pytest.mark.parametrize("command", ["evaluate", "predict"])
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["best=3"], r"best=3: allowed with sweep=ID, for it is of a sweep"),
        (["sweep=SWEEP", "best=5"], r"best=5: allowed is 1 to 4, the runs of sweep \w+ that have a "
                                    r"validation accuracy"),
        (["sweep=SWEEP", "best=0"], r"best=0: allowed is a whole number, 1 or more"),
        (["sweep=SWEEP", "run=abc"], r"run=abc and sweep=\w+: allowed is one of them"),
        (["sweep=nope"], r"sweep=nope: allowed is one on record, the newest are \w+"),
    ],
)  # fmt: skip
def test_what_is_no_choice_of_runs_is_one_line(
    made: Path, command: str, words: list[str], line: str, tmp_path: Path
) -> None:
    sweep = parents(made)[0].data.tags["sweep"][:8]
    Image.new("L", (8, 8)).save(tmp_path / "one.png")
    files = [str(tmp_path / "one.png")] if command == "predict" else []
    done = train(made, *(word.replace("SWEEP", sweep) for word in words), *files, command=command)
    assert done.returncode == 1
    assert re.fullmatch(f"error: {line}\n", done.stderr), done.stderr


@pytest.mark.parametrize("best", [[], ["best=2"]])
def test_a_sweep_of_which_nothing_was_held_out_has_no_best_runs(
    best: list[str], tmp_path: Path
) -> None:
    words = ["-m", "data=digits", "model=linear", "epochs=1", "seed=0,1", "data.validation_share=0"]
    assert train(tmp_path, *words, "report=false", "name=all").returncode == 0
    done = train(tmp_path, "sweep=all", *best, command="evaluate")
    assert (done.returncode, done.stderr) == (
        1,
        "error: sweep=all: none of its runs has a validation accuracy to choose by; allowed is "
        "run=ID\n",
    )


def test_runs_on_other_data_than_lie_here_are_not_evaluated(made: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(made, tmp_path / "copy")
    run = ranked(copy)[0]
    file = copy / "runs" / run / "artifacts" / "recipe.json"
    recipe = json.loads(file.read_text())
    file.write_text(json.dumps(recipe | {"data": "0" * 64}))
    done = train(copy, f"run={run}", command="evaluate")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: run={run}: it learnt from other data than lie here (SHA")


NET = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, shape, classes):
        super().__init__(nn.Flatten(), nn.Linear(64, 8), nn.{}(), nn.Linear(8, classes))
"""


def test_a_class_that_changed_since_is_named_for_its_weights_fit_all_the_same(
    outputs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = outputs.parent / "rewritten_net.py"
    monkeypatch.syspath_prepend(module.parent)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    module.write_text(NET.format("ReLU"))
    run = bring(outputs, "model._target_=rewritten_net.Net", "epochs=1").run_id
    asked = [f"run={run}", "allow=rewritten_net", f"outputs={outputs}"]
    evaluate(asked)
    assert capsys.readouterr().err == ""
    module.write_text(NET.format("Tanh"))
    del sys.modules["rewritten_net"]
    evaluate(asked)
    assert capsys.readouterr().err == (
        f"WARNING: run {run}: rewritten_net changed since it was trained: what its model says may "
        f"be another\n"
    )


@pytest.mark.parametrize(
    ("factor", "code"), [("data.batch_size=50,100", 0), ("data.validation_share=0.1,0.2", 1)]
)
def test_runs_of_other_images_do_not_predict_together(
    factor: str, code: int, tmp_path: Path
) -> None:
    assert train(tmp_path, *SEEDS[:5], factor, "report=false").returncode == 0
    sweep = parents(tmp_path)[0].data.tags["sweep"][:8]
    done = train(tmp_path, f"sweep={sweep}", "best=2", command="evaluate")
    assert done.returncode == code
    line = (
        r"error: best=2: run \w+ has other settings of data than run \w+; allowed are runs on the"
    )
    assert re.match(line, done.stderr) if code else not done.stderr
