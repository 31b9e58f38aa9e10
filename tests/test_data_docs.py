"""The commands of docs/add-a-data-set.md, executed; one data set is one, however it is given."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from conftest import ROOT
from PIL import Image
from processes import train
from running import artifacts, client, recorded, weights

from factorial.record import predictions
from factorial.training import digits

PAGE = (ROOT / "docs" / "add-a-data-set.md").read_text()
TEXT = "".join(PAGE.split("```")[::2])
COMMANDS = re.findall(r"^    (\w.*)$", TEXT, re.MULTILINE)
NAMES = ["cat", "dog", "eel"]
QUICK = ["device.threads=1"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `photos`, the same in two files, and my_data.py of the page."""
    folder = tmp_path_factory.mktemp("world")
    found = digits.read()
    held: dict[str, np.ndarray] = {}
    for part, examples in (("train", found.train), ("test", found.test)):
        images, labels = [], []
        for label, name in enumerate(NAMES):
            (folder / "photos" / part / name).mkdir(parents=True)
            for number, image in enumerate(examples.images[examples.labels == label][:, 0]):
                pixels = (image.numpy() * 15).astype(np.uint8)
                Image.fromarray(pixels).save(folder / "photos" / part / name / f"{number:03}.png")
                images.append(pixels)
                labels.append(label)
        held |= {f"x_{part}": np.stack(images), f"y_{part}": np.array(labels)}
    np.savez(folder / "photos.npz", **held)  # type: ignore[arg-type]
    safetensors.numpy.save_file(held, folder / "photos.safetensors")
    module = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    (folder / "my_data.py").write_text(module.replace("photos.npz", f"{folder}/photos.npz"))
    return folder


def said(world: Path, command: str, outputs: Path) -> str:
    """What a command of the page says, typed in the world."""
    words = shlex.split(command)
    name, words = ("train", words[2:]) if words[0] == "python" else (words[1], words[2:])
    words = [re.sub(r"(^|=)photos", rf"\g<1>{world}/photos", word) for word in words]
    more = QUICK if name == "train" else []
    done = train(outputs, *words, *more, command=name, env={"PYTHONPATH": str(world)})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_has_the_commands_that_are_tested() -> None:
    assert [command.split()[:3] for command in COMMANDS] == [
        ["python", "train.py", "data=folder"],
        ["python", "train.py", "data=npz"],
        ["python", "train.py", "data=safetensors"],
        ["python", "train.py", "data._target_=my_data.tensors"],
        ["python", "train.py", "data._target_=my_data.MySet"],
        ["factorial", "fetch", "data=cifar10"],  # by test_cifar.py, from a server of its own
        ["python", "train.py", "data=folder"],
        ["factorial", "predict", "run=last"],
        ["factorial", "replay", "run=last"],
    ]
    assert PAGE.count("\n") < 120


@pytest.mark.slow
def test_every_command_of_the_page_does_what_it_says(world: Path, tmp_path: Path) -> None:
    answers = {
        command: said(world, command, tmp_path)
        for command in COMMANDS
        if "fetch" not in command and "_target_" not in command
    }
    *_, predicted, replayed = answers.values()
    assert "verdict: identical" in replayed
    files = list((world / "photos" / "test" / "cat").iterdir())
    lines = [line.split("  ") for line in predicted.splitlines() if ".png" in line]
    assert len(lines) == len(files)
    read = [line[1].split()[0] for line in lines]
    (run,) = [
        run
        for run in recorded(tmp_path)
        if run.data.params.get("data.normalisation") == "standard" and "recipe" in run.data.tags
    ]
    seen = predictions.unpack(artifacts(tmp_path, run.info.run_id) / predictions.FILE)
    assert seen is not None and seen.images.shape[1:] == (1, 16, 16)
    assert read == [NAMES[number] for number in seen.predicted[seen.labels == 0]]


@pytest.mark.slow
def test_one_data_set_is_one_however_it_is_given(world: Path, tmp_path: Path) -> None:
    """Equal weights and digests; what differs in the recipes is how it was asked for."""
    given = [
        "data=folder data.root=photos",
        "data=npz data.file=photos.npz",
        "data=safetensors data.file=photos.safetensors",
        "data._target_=my_data.tensors",
        "data._target_=my_data.MySet",
    ]
    for words in given:
        said(world, f"python train.py {words} epochs=2 data.normalisation=standard", tmp_path)
    runs = recorded(tmp_path)
    files = [artifacts(tmp_path, run.info.run_id) / "weights.safetensors" for run in runs]
    assert len(files) == 5 and len({file.read_bytes() for file in files}) == 1
    recipes = [json.loads((file.parent / "recipe.json").read_text()) for file in files]
    assert len({recipe["data"] for recipe in recipes}) == 1
    names = {client(tmp_path).get_experiment(run.info.experiment_id).name for run in runs}
    assert names == {
        "folder-photos", "npz-photos", "safetensors-photos", "own-tensors", "own-MySet",
    }  # fmt: skip


@pytest.mark.slow
def test_what_lies_elsewhere_replays_where_the_user_says(world: Path, tmp_path: Path) -> None:
    said(world, "python train.py data=npz data.file=photos.npz epochs=1", tmp_path)
    silent = train(tmp_path, "run=last", command="replay")
    assert silent.returncode == 1
    assert silent.stderr.startswith("error: data=null: allowed is where the images of run ")
    moved = tmp_path / "elsewhere.npz"
    moved.write_bytes((world / "photos.npz").read_bytes())
    assert "verdict: identical" in said(world, f"factorial replay run=last data={moved}", tmp_path)


def accuracies(outputs: Path) -> str:
    """Those of the one run that is on record, as an evaluation says them."""
    (run,) = recorded(outputs)
    scores = [run.data.metrics[f"{name}/accuracy"] for name in ("validation", "test")]
    return "  validation {:.4f}  test {:.4f}\n".format(*scores)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "npz"])
def test_what_lies_elsewhere_is_evaluated_where_the_user_says(
    world: Path, tmp_path: Path, kind: str
) -> None:
    asked = {"folder": "data.root=photos data.size=[8,8]", "npz": "data.file=photos.npz"}
    place = world / {"folder": "photos", "npz": "photos.npz"}[kind]
    said(world, f"python train.py data={kind} {asked[kind]} epochs=1", tmp_path)
    silent = train(tmp_path, command="evaluate")
    assert silent.returncode == 1
    assert silent.stderr.startswith("error: data=null: allowed is where the images of run ")
    assert accuracies(tmp_path) in said(world, f"factorial evaluate data={place}", tmp_path)


@pytest.mark.slow
def test_a_function_on_record_wants_permission_to_be_called_again(
    world: Path, tmp_path: Path
) -> None:
    said(world, "python train.py data._target_=my_data.tensors epochs=1", tmp_path)
    expected = {"replay": "verdict: identical", "evaluate": accuracies(tmp_path)}
    for command, line in expected.items():
        refused = train(tmp_path, command=command, env={"PYTHONPATH": str(world)})
        assert refused.returncode == 1
        assert refused.stderr.startswith("error: data._target_=my_data.tensors: allowed are ")
        assert line in said(world, f"factorial {command} allow=my_data.tensors", tmp_path)


@pytest.mark.slow
def test_a_folder_that_is_not_there_falls_back_where_it_is_told_to(tmp_path: Path) -> None:
    words = ["data=folder", f"data.root={tmp_path}/nowhere", "data.size=[8,8]", "epochs=1", *QUICK]
    done = train(tmp_path, *words)
    assert done.returncode == 1
    assert done.stderr == (
        f"error: data.root={tmp_path}/nowhere: there is no such folder; allowed is one of class "
        f"folders\n"
    )
    done = train(tmp_path, *words, "data.fallback=digits")
    assert done.returncode == 0
    assert "RUNNING ON DIGITS INSTEAD, in experiment folder-nowhere-fallback-digits" in done.stderr


@pytest.mark.slow
def test_a_sweep_over_sizes_in_workers_is_the_same_as_one_after_the_other(
    world: Path, tmp_path: Path
) -> None:
    words = "python train.py -m data=folder data.root=photos data.size=[8,8],[4,4] epochs=1"
    bits = []
    for launcher in ("basic", "parallel"):
        said(world, f"{words} hydra/launcher={launcher}", tmp_path / launcher)
        bits.append(weights(tmp_path / launcher))
    assert len(bits[0]) == 2 and bits[0] == bits[1]
