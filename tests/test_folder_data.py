"""Class folders of images: what a plain loop with Pillow reads; whatever is wrong is named."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from processes import SERVER

from factorial.settings.messages import BadInput, Missing
from factorial.training import cached, folder, sources
from factorial.training.examples import Images
from factorial.training.sources import Source

SIZES = [(5, 7), (12, 4), (9, 9)]  # height, width


def picture(number: int, mode: str = "RGB") -> Image.Image:
    drawn = np.random.default_rng(number)
    pixels = drawn.integers(0, 256, (*SIZES[number % 3], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """cat, dog and eel, with 12, 8 and 4 images to train on and half of that to test on."""
    number = 0
    for part, most in (("train", 12), ("test", 6)):
        for name, share in (("eel", 3), ("cat", 1), ("dog", 1.5)):
            place = tmp_path / "images" / part / name
            place.mkdir(parents=True)
            for _ in range(int(most / share)):
                number += 1
                mode = ("L", "RGB", "P", "RGBA")[number % 4]
                picture(number, mode).save(place / f"{number:03}.png")
    (tmp_path / "images" / "train" / "cat" / ".DS_Store").write_text("a file manager's own")
    return tmp_path / "images"


def read(root: Path, **changes: Any) -> Images:
    settings = {"size": [6, 8], "mode": "L", "test_share": 0.25, "test_seed": 0}
    own = settings | {"cache": str(root.parent / "cache")} | changes
    return folder.read(root, **own)


def plainly(place: Path, mode: str) -> tuple[list[np.ndarray], list[int]]:
    """The same by Pillow alone."""
    images, labels = [], []
    for label, name in enumerate(["cat", "dog", "eel"]):
        for file in sorted((place / name).glob("*.png")):
            image = Image.open(file).convert("RGB").convert(mode).resize((8, 6), Image.BILINEAR)
            images.append(np.asarray(image).reshape(6, 8, -1).transpose(2, 0, 1))
            labels.append(label)
    return images, labels


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_images_are_those_of_a_plain_loop(root: Path, mode: str) -> None:
    found = read(root, mode=mode)
    assert found.classes == ("cat", "dog", "eel")
    for part, examples in (("train", found.train), ("test", found.test)):
        images, labels = plainly(root / part, mode)
        assert np.array_equal(examples.images.numpy(), np.stack(images))
        assert examples.labels.tolist() == labels
    assert torch.bincount(found.train.labels).tolist() == [12, 8, 4]


def test_without_a_test_set_a_stratified_share_of_each_class_is_one(root: Path) -> None:
    one, other = (read(root / "train", test_seed=seed) for seed in (0, 1))
    everything = read(root).train
    for found in (one, other):
        assert torch.bincount(found.train.labels).tolist() == [9, 6, 3]
        assert torch.bincount(found.test.labels).tolist() == [3, 2, 1]
        parts = [*found.train.images.numpy(), *found.test.images.numpy()]
        rows = sorted(image.tobytes() for image in parts)
        assert rows == sorted(image.tobytes() for image in everything.images.numpy())
    assert not torch.equal(one.test.images, other.test.images)


def test_a_photograph_is_upright_and_16_bits_keep_their_upper_ones(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "images" / name).mkdir(parents=True)
    lying = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(4, 6) * 10)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    lying.save(tmp_path / "images" / "a" / "1.png", exif=exif)
    deep = (np.arange(24).reshape(6, 4) * 2800).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "images" / "b" / "1.png")
    images = folder.decoded(list(folder.listing(tmp_path / "images", ["a", "b"])), "L", None)
    assert images[0, 0].tolist() == np.rot90(np.asarray(lying), -1).tolist()
    assert images[1, 0].tolist() == np.round(deep / 257).astype(int).tolist()


def spoil(root: Path, how: str) -> Path:
    """The file or folder that a message has to name."""
    place = root / "train" / "dog"
    named = place / "spoiled.png"
    if how == "text":
        named.write_text("no image")
    elif how == "cut":
        picture(0).save(named)
        named.write_bytes(named.read_bytes()[:-30])
    elif how == "gif":
        picture(0).save(named, format="GIF")
    elif how == "dangling":
        named.symlink_to(root / "nowhere")
    elif how == "nested":
        named.mkdir()
    elif how == "empty":
        (named := root / "train" / "fox").mkdir()
    elif how == "unseen":
        (named := root / "test" / "fox").mkdir()
        picture(0).save(named / "1.png")
    elif how == "alone":
        (root / "test").rename(root.parent / "elsewhere")
        named = root / "test"
    elif how == "flat":
        for name in ("cat", "dog", "eel"):
            (root / "train" / name).rename(root.parent / name)
        named = root / "train"
    return named


@pytest.mark.parametrize(
    ("how", "why"),
    {
        "text": "no image that can be read; allowed are PNG, JPEG, BMP, PPM, WEBP",
        "cut": "no image that can be read; allowed are PNG",
        "gif": "no image that can be read; allowed are PNG",
        "dangling": r"can't be read \(No such file or directory\); allowed is an image",
        "nested": r"can't be read \(a folder within a class's\); allowed is an image",
        "empty": "allowed in a class's folder is one image or more",
        "unseen": "no training example is of this class",
        "alone": "there is no such folder; allowed are train and test, or neither",
        "flat": "0 class folders are in it; allowed are two or more",
    }.items(),
)
def test_what_is_wrong_is_named_and_nothing_is_written(root: Path, how: str, why: str) -> None:
    named = spoil(root, how)
    with pytest.raises(BadInput, match=f"^{named}: {why}"):
        read(root)
    assert not (root.parent / "cache").exists()


def test_sizes_that_differ_are_named_with_what_to_do(root: Path) -> None:
    with pytest.raises(BadInput, match=r"^.*\.png: \[5, 7\] pixels, where others have \[9, 9\]:.*"
                                       r"data\.size=\[HEIGHT,WIDTH\] makes it one$"):  # fmt: skip
        read(root, size=None)


def test_a_class_of_which_none_is_left_to_train_on_is_named(root: Path) -> None:
    own = {"size": [2, 2], "mode": "L", "test_share": 0.95, "test_seed": 0}
    text = json.dumps(own | {"cache": str(root.parent / "cache")})
    with pytest.raises(BadInput, match="images/train: class dog has no training example"):
        sources.read(Source("folder", root / "train", text))


def test_a_folder_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="there is no such folder; allowed is one of class folders"):
        read(tmp_path / "nowhere")


# The cache


def files(root: Path) -> list[Path]:
    return sorted((root.parent / "cache").glob("images-*.safetensors"))


def never(*_: Any) -> Any:
    raise AssertionError("decoded again")


def test_images_are_decoded_once_and_the_folder_is_left_alone(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {file: file.stat().st_mtime_ns for file in root.rglob("*")}
    first = read(root)
    monkeypatch.setattr(folder, "decode", never)
    again = read(root, test_share=0.5)
    assert torch.equal(first.train.images, again.train.images)
    assert {file: file.stat().st_mtime_ns for file in root.rglob("*")} == before


@pytest.mark.parametrize("change", ["bytes", "name", "size", "mode", "gone"])
def test_whatever_changes_the_pixels_is_another_cache(root: Path, change: str) -> None:
    """A file's bytes too, where its size and its time are as before."""
    read(root)
    file = root / "train" / "dog" / min(os.listdir(root / "train" / "dog"))
    asked: dict[str, Any] = {}
    if change == "bytes":
        stat, content = file.stat(), bytearray(file.read_bytes())
        picture(99, "L").save(file)
        file.write_bytes(file.read_bytes().ljust(len(content), b"\0"))
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    elif change == "name":
        file.rename(file.with_name("zzz.png"))
    elif change == "gone":
        file.unlink()
    else:
        asked = {"size": [3, 3]} if change == "size" else {"mode": "RGB"}
    found = read(root, **asked)
    assert len(files(root)) == 2
    if not asked:
        images, _ = plainly(root / "train", "L")
        assert np.array_equal(found.train.images.numpy(), np.stack(images))


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "other"])
def test_a_damaged_cache_is_made_again(root: Path, damage: str) -> None:
    first = read(root)
    (file,) = files(root)
    whole = bytearray(file.read_bytes())
    if damage == "flipped":
        file.write_bytes(whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:])
    else:
        file.write_bytes({"cut": whole[:-9], "emptied": b"", "other": b"no cache" * 9}[damage])
    assert torch.equal(read(root).train.images, first.train.images)
    assert file.read_bytes() == whole


def make(root: Path) -> None:
    read(root)


@pytest.mark.slow
def test_processes_that_read_at_once_and_one_that_is_killed_leave_a_whole_cache(
    root: Path,
) -> None:
    several = [SERVER.Process(target=make, args=(root,)) for _ in range(4)]
    for one in several:
        one.start()
    for one in several:
        one.join()
    assert [one.exitcode for one in several] == [0] * 4
    (file,) = files(root)
    whole = file.read_bytes()
    file.unlink()
    victim = SERVER.Process(target=killed_while_writing, args=(root,))
    victim.start()
    victim.join()
    assert victim.exitcode == -signal.SIGKILL
    assert not files(root)
    read(root)
    assert file.read_bytes() == whole
    assert sorted(os.listdir(file.parent)) == [".images.lock", file.name]


def killed_while_writing(root: Path) -> None:
    cached.os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
    read(root)
    time.sleep(60)


def test_a_file_that_changes_while_it_is_read_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = folder.listing

    def late(*arguments: Any) -> Any:
        found = list(listing(*arguments))
        picture(50, "L").save(found[0].file)
        return found

    monkeypatch.setattr(folder, "listing", late)
    with pytest.raises(BadInput, match=r"^.*\.png: it changed while it was read"):
        read(root)
