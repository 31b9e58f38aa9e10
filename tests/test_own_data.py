"""Images in npz and safetensors, from functions and Datasets: the same tensors, or one line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from composing import CPU, put
from PIL import Image

from factorial.runs.facts import stated
from factorial.settings.combination import Combination
from factorial.settings.messages import BadInput, Missing
from factorial.settings.overrides import for_hydra
from factorial.settings.recipe import identify
from factorial.settings.schema import Config
from factorial.training import arrays, data, sources
from factorial.training.examples import Examples, Images
from factorial.training.sources import Source

DRAWN = np.random.default_rng(0)
GREY = {
    "x_train": DRAWN.integers(0, 256, (40, 5, 6), dtype=np.uint8),
    "y_train": np.arange(40) % 4,
    "x_test": DRAWN.integers(0, 256, (12, 5, 6), dtype=np.uint8),
    "y_test": np.arange(12) % 4,
}


def written(place: Path, kind: str, **changes: Any) -> Path:
    file, held = place / f"set.{kind}", {k: v for k, v in (GREY | changes).items() if v is not None}
    if kind == "npz":
        np.savez(file, **held)
    else:
        safetensors.numpy.save_file(held, file)
    return file


def read(file: Path, kind: str) -> Images:
    return sources.read(Source(kind, None, json.dumps({"file": str(file)})))


def equal(found: Examples, images: np.ndarray, labels: np.ndarray) -> bool:
    grey = images[:, None] if images.ndim == 3 else images
    return (
        found.labels.dtype == torch.int64
        and np.array_equal(found.images.numpy(), grey)
        and found.labels.tolist() == labels.tolist()
    )


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
@pytest.mark.parametrize("shape", [(5, 6), (1, 5, 6), (3, 5, 6)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint16, np.uint32, np.uint64])
def test_a_file_gives_what_was_written(
    tmp_path: Path, kind: str, shape: tuple[int, ...], dtype: type
) -> None:
    x, y = (np.resize(GREY[key], (n, *shape)) for key, n in (("x_train", 40), ("x_test", 12)))
    labels = {key: GREY[key].astype(dtype) for key in ("y_train", "y_test")}
    found = read(written(tmp_path, kind, x_train=x, x_test=y, **labels), kind)
    assert equal(found.train, x, GREY["y_train"]) and equal(found.test, y, GREY["y_test"])


@pytest.mark.parametrize("dtype", [">i8", ">u2", "<i4"])
def test_labels_may_be_in_any_byte_order(tmp_path: Path, dtype: str) -> None:
    labels = {key: GREY[key].astype(dtype) for key in ("y_train", "y_test")}
    found = read(written(tmp_path, "npz", **labels), "npz")
    assert equal(found.train, GREY["x_train"], GREY["y_train"])


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "floats": ({"x_train": GREY["x_train"] / 255.0}, r"training images are float64 \[40, 1, 5, 6\]"
               r": allowed are uint8 \[n, height, width\], or \[n, channels, height, width\]"),
    "channels last": ({"x_train": np.zeros((40, 5, 6, 3), np.uint8)},
                      r"training images are uint8 \[40, 5, 6, 3\]: allowed are"),
    "few labels": ({"y_test": np.zeros(3, int)}, r"test labels are int64 \[3\]: allowed are int64"),
    "column": ({"y_test": np.zeros((12, 1), int)}, r"test labels are int64 \[12, 1\]: allowed"),
    "float labels": ({"y_train": np.zeros(40)}, r"training labels are float64 \[40\]: allowed are"),
    "beyond": ({"y_train": np.full(40, 2**64 - 1, np.uint64)}, "training labels: -1; allowed are"),
    "negative": ({"y_train": np.arange(40) % 4 - 1}, "training labels: -1; allowed are whole"),
    "gap": ({"y_train": np.arange(40) % 4 * 2}, "class 1 has no training example"),
    "unseen": ({"y_test": np.full(12, 4)}, "class 4 has test examples alone"),
    "one class": ({"y_train": np.zeros(40, int)}, "one class alone; allowed are two or more"),
    "none": ({"x_test": np.zeros((0, 5, 6), np.uint8), "y_test": np.zeros(0, int)},
             "test examples: there are none; allowed is one or more"),
    "shapes": ({"x_test": np.zeros((12, 6, 6), np.uint8)},
               r"training images are \[1, 5, 6\], test images \[1, 6, 6\]; allowed is one shape"),
    "missing": ({"y_test": None}, "holds x_test, x_train, y_train; allowed are x_train, y_train, "),
    "more": ({"z": np.zeros(1)}, "holds .*, z; allowed are x_train, y_train, x_test, y_test"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_images_and_labels_is_one_line(tmp_path: Path, kind: str, name: str) -> None:
    changes, why = WRONG[name]
    file = written(tmp_path, kind, **changes)
    with pytest.raises(BadInput, match=f"^{file}: {why}"):
        read(file, kind)


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04" + bytes(50)])
def test_a_file_of_another_kind_is_named(tmp_path: Path, kind: str, content: bytes) -> None:
    (file := tmp_path / "set").write_bytes(content)
    with pytest.raises(BadInput, match=f"^{file}: can't be read as {kind}"):
        read(file, kind)
    with pytest.raises(Missing, match="there is no such file"):
        arrays.read(tmp_path / "nowhere", kind)


def test_no_pickle_is_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", **(GREY | {"x_train": np.array([print, None])}))  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"can't be read as npz .*allow_pickle"):
        read(tmp_path / "set.npz", "npz")


# Functions and Datasets


class Numbered(torch.utils.data.Dataset[Any]):
    """Grey images as tensors, labels as numbers; coloured ones as Pillow has them."""

    def __init__(self, part: str, colour: bool = False) -> None:
        self.images, self.labels = GREY[f"x_{part}"], GREY[f"y_{part}"]
        self.classes = ["a", "b", "c", "d"]
        self.colour = colour

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image = torch.from_numpy(self.images[index])
        colours = Image.fromarray(self.images[index]).convert("RGB")
        return (colours if self.colour else image), self.labels[index]


class Torchvisions(Numbered):
    """Called for each of its parts, as torchvision's are."""

    def __init__(self, train: bool = True, root: str = "", colour: bool = False) -> None:
        super().__init__("train" if train else "test", colour)
        self.root = root


def four(scale: int = 1) -> list[Any]:
    return [GREY["x_train"] * scale, *(torch.from_numpy(GREY[key]) for key in list(GREY)[1:])]


def pair(colour: bool = False) -> tuple[Numbered, Numbered]:
    return Numbered("train", colour), Numbered("test", colour)


def one() -> Numbered:
    return Numbered("train")


def words() -> str:
    return "words"


def rows() -> list[Any]:
    """No Datasets, whatever they hold."""
    return [[(0, 0)], [(0, 0)]]


def floats() -> list[Any]:
    return [GREY["x_train"] / 255.0, *four()[1:]]


def broken() -> None:
    raise RuntimeError("no\nway")


class Ragged(Numbered):
    def __init__(self) -> None:
        super().__init__("train")

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, label = super().__getitem__(index)
        return (image[:-1] if index == 7 else image), label


class Scaled(Ragged):
    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, label = super().__getitem__(index)
        return image / 255, label


class Measured(Numbered):
    """Labels that are no classes: cut off they would be some."""

    def __init__(self) -> None:
        super().__init__("train")

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, label = super().__getitem__(index)
        return image, float(label) + 0.7


class Tensors(Numbered):
    """Labels as tensors."""

    def __init__(self, train: bool) -> None:
        super().__init__("train" if train else "test")

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, label = super().__getitem__(index)
        return image, torch.tensor(label)


def given(target: str, **settings: Any) -> Images:
    own = {"_target_": f"test_own_data.{target}", "test_share": 0.25, "test_seed": 0} | settings
    return sources.read(Source("own", None, json.dumps(own)))


@pytest.mark.parametrize("target", ["four", "pair", "Torchvisions", "Tensors"])
def test_whatever_gives_the_images_they_are_the_same(target: str) -> None:
    found = given(target)
    assert equal(found.train, GREY["x_train"], GREY["y_train"])
    assert equal(found.test, GREY["x_test"], GREY["y_test"])
    assert found.classes == (() if target == "four" else ("a", "b", "c", "d"))


def test_settings_are_its_arguments() -> None:
    assert equal(given("four", scale=3).train, GREY["x_train"] * 3, GREY["y_train"])
    for target in ("pair", "Torchvisions"):
        coloured = np.repeat(GREY["x_train"][:, None], 3, axis=1)
        assert equal(given(target, colour=True).train, coloured, GREY["y_train"])


def test_of_one_dataset_a_stratified_share_tests() -> None:
    found = given("one")
    assert torch.bincount(found.train.labels).tolist() == [7, 7, 8, 8]  # 10 of each
    assert torch.bincount(found.test.labels).tolist() == [3, 3, 2, 2]


@pytest.mark.parametrize(
    ("target", "why"),
    {
        "rows": "gives a list; allowed are x_train",
        "words": "gives a str; allowed are x_train, y_train, x_test, y_test, a pair of Datasets",
        "floats": r"training images are float64 \[40, 1, 5, 6\]: allowed are uint8",
        "broken": r"called with {} it fails \(RuntimeError: no way\)",
        "Ragged": r"item 7 is \[4, 6\], others \[5, 6\]; allowed is one shape",
        "Measured": r"item 0 is no pair of image and label \(TypeError: 'float' object cannot be",
        "Scaled": "item 0 is no pair of image and label .*the image is torch.float32; allowed are",
    }.items(),
)
def test_what_gives_no_images_is_one_line(target: str, why: str) -> None:
    with pytest.raises(BadInput, match=f"test_own_data.{target}: {why}") as caught:
        given(target)
    assert "\n" not in str(caught.value)


def test_an_argument_that_it_does_not_take_is_named() -> None:
    with pytest.raises(BadInput, match=r"^data.speed is not a setting: allowed of data are scale$"):
        given("four", speed=1)


# As settings of a run


def composed(*typed: str) -> Combination:
    return stated(Combination.compose(for_hydra([*typed, "data.batch_size=8"])))


def configured(*typed: str) -> Config:
    return composed(*typed).parse()


@pytest.mark.slow
def test_facts_are_the_datas_own_and_wrong_ones_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "npz")
    config = configured("data=npz", f"data.file={file}", "epochs=2")
    assert (config.data.examples, config.data.shape, config.data.classes) == (40, [1, 5, 6], 4)
    assert config.steps == 2 * 5  # 36 examples by 8
    for word in ("examples=41", "shape=[1,6,5]", "classes=5"):
        wrong = configured("data=npz", f"data.file={file}", f"data.{word}")
        with pytest.raises(BadInput, match=r"^data: npz holds \(examples, shape, classes\)"):
            data.load(wrong.data, CPU)
    splits = data.load(config.data, CPU)
    assert [*map(len, (splits.train, splits.validation, splits.test))] == [36, 4, 12]


@pytest.mark.slow
def test_a_process_reads_the_data_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, asked, opened = written(tmp_path, "npz"), [], arrays.opened

    def counted(file: Path, kind: str) -> Any:
        asked.append(file)
        return opened(file, kind)

    monkeypatch.setattr(arrays, "opened", counted)
    for lr in ("0.1", "0.01", "0.001"):
        data.load(configured("data=npz", f"data.file={file}", f"optimizer.lr={lr}").data, CPU)
    assert len(asked) == 1


@pytest.mark.slow
def test_the_same_bytes_are_the_same_data_wherever_they_lie(tmp_path: Path) -> None:
    digests = set()
    for kind in ("npz", "safetensors"):
        for place in ("a", "b"):
            (tmp_path / kind / place).mkdir(parents=True)
            file = written(tmp_path / kind / place, kind)
            digests.add(data.digest(configured(f"data={kind}", f"data.file={file}").data))
    digests.add(data.digest(configured("data._target_=test_own_data.four").data))
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("word", "experiment"),
    [
        ("data._target_=test_own_data.four", "own-four"),
        ("data=npz", "npz-set"),
        ("data=digits", "digits"),
    ],
)
def test_data_of_ones_own_have_an_experiment_of_their_own(
    tmp_path: Path, word: str, experiment: str
) -> None:
    more = [f"data.file={written(tmp_path, 'npz')}"] if word == "data=npz" else []
    assert configured(word, *more).tracking.experiment == experiment


@pytest.mark.slow
def test_a_place_is_no_part_of_a_recipe_and_the_sources_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = configured("data=npz", f"data.file={written(tmp_path, 'npz')}")
    other = put(one, "data.own", {"file": "elsewhere"})
    assert identify(one, "data", 4, "cpu") == identify(other, "data", 4, "cpu")
    module = tmp_path / "given_data.py"
    module.write_text("from test_own_data import four\n\ndef mine():\n    return four()\n")
    monkeypatch.syspath_prepend(tmp_path)
    ids = []
    for text in ("", "# changed\n"):
        module.write_text(module.read_text() + text)
        made = identify(configured("data._target_=given_data.mine"), "data", 4, "cpu")
        assert {"given_data", "test_own_data"} <= made.document["code"].keys()
        ids.append(made.id)
    assert len(set(ids)) == 2


def test_what_was_not_typed_is_not_called() -> None:
    """A target in a file of conf/, or in a record, needs permission."""
    combination = Combination.compose(["data=own", "data._target_=test_own_data.four"])
    hidden = combination._replace(typed=[])
    with pytest.raises(BadInput, match=r"^data\._target_=test_own_data\.four: allowed are"):
        stated(hidden)
    hidden.composed.allow = ["test_own_data"]
    assert stated(hidden).parse().data.examples == 40
    for name in ("torch.optim.Adam", "factorial.cli.main"):
        hidden.composed.data._target_ = name
        with pytest.raises(BadInput, match="allowed are"):
            stated(hidden)
