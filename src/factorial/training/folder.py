"""Images in class folders, which lie below `train` and `test` or have a share of them test."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import PIL
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from factorial.settings.messages import BadInput, Missing
from factorial.training.cached import cached
from factorial.training.examples import Examples, Images, hold_out
from factorial.training.pixels import decode

PAIR = ("train", "test")
AT_ONCE = 256  # images that are decoded in any order
VERSION = 1  # of what is made of the same files: part of a cache's name


class Listed(NamedTuple):
    """A file, with its class and the SHA-256 of its bytes."""

    file: Path
    label: int
    digest: str


def read(
    root: Path, size: Sequence[int] | None, mode: str, test_share: float, test_seed: int, cache: str
) -> Images:
    """Images sorted by class and name. Raises Missing, and BadInput for what is not as it should.

    Nothing is written below `root`. The images are kept in the folder `cache` under the digest of
    all that makes them: the files' places and bytes, and how they are read.
    """
    if not root.is_dir():
        raise Missing(f"data.root={root}: there is no such folder; allowed is one of class folders")
    parts = PAIR if any((root / part).is_dir() for part in PAIR) else (".",)
    classes = [class_names(root / part) for part in parts]
    if unknown := set(classes[-1]) - set(classes[0]):
        raise BadInput(f"{root / parts[-1] / min(unknown)}: no training example is of this class")
    listed = [list(listing(root / part, classes[0])) for part in parts]
    everything = [one for part in listed for one in part]
    made = partial(decoded, everything, mode, size)
    images = cached(Path(cache), key(root, everything, mode, size), made)
    labels = torch.tensor([one.label for one in everything])
    count = len(listed[0])
    train, test = Examples(images[:count], labels[:count]), Examples(images[count:], labels[count:])
    if len(parts) == 1:
        train, test = hold_out(train, round(test_share * count), test_seed)
    return Images(train, test, tuple(classes[0]))


def class_names(folder: Path) -> list[str]:
    """The folders within a folder, in the order of their names. Raises BadInput."""
    if not folder.is_dir():
        raise BadInput(f"{folder}: there is no such folder; allowed are train and test, or neither")
    names = sorted(entry.name for entry in visible(folder) if entry.is_dir())
    if len(names) < 2:
        raise BadInput(
            f"{folder}: {len(names)} class folders are in it; allowed are two or more, each with "
            f"the images of a class"
        )
    return names


def listing(folder: Path, classes: Sequence[str]) -> Iterator[Listed]:
    """The files of each class that is there. Raises BadInput for an empty one."""
    for label, name in enumerate(classes):
        if not (folder / name).is_dir():
            continue
        files = sorted(visible(folder / name))
        if not files:
            raise BadInput(f"{folder / name}: allowed in a class's folder is one image or more")
        for file in files:
            yield Listed(file, label, hashlib.sha256(content(file)).hexdigest())


def visible(folder: Path) -> Iterator[Path]:
    """What systems leave in folders, such as .DS_Store, is none of it."""
    return (entry for entry in folder.iterdir() if not entry.name.startswith("."))


def content(file: Path) -> bytes:
    """Raises BadInput, which names the file."""
    try:
        return file.read_bytes()
    except OSError as error:
        why = "a folder within a class's" if file.is_dir() else error.strerror
        raise BadInput(f"{file}: can't be read ({why}); allowed is an image") from error


def key(root: Path, files: Sequence[Listed], mode: str, size: Sequence[int] | None) -> str:
    """A digest of all that decides which pixels are read."""
    places = [(str(one.file.relative_to(root)), one.digest) for one in files]
    made = {"version": VERSION, "pillow": PIL.__version__, "mode": mode, "size": size}
    return hashlib.sha256(json.dumps([made, places]).encode()).hexdigest()


def decoded(files: Sequence[Listed], mode: str, size: Sequence[int] | None) -> Tensor:
    """uint8 [n, channels, height, width]. Raises BadInput for the first that can't be."""
    shape: torch.Size | None = None
    screen = Console(stderr=True)
    chunks = [files[start : start + AT_ONCE] for start in range(0, len(files), AT_ONCE)]
    read = partial(pixels, mode=mode, size=size)
    images = []
    with ThreadPoolExecutor() as pool:
        for chunk in track(
            chunks, "reading images", console=screen, disable=not screen.is_terminal
        ):
            for one, image in zip(chunk, pool.map(read, chunk), strict=True):
                shape = shape or image.shape
                if image.shape != shape:
                    raise BadInput(
                        f"{one.file}: {list(image.shape[1:])} pixels, where others have "
                        f"{list(shape[1:])}: allowed with data.size=null is one size; "
                        f"data.size=[HEIGHT,WIDTH] makes it one"
                    )
                images.append(image)
    return torch.stack(images)


def pixels(one: Listed, mode: str, size: Sequence[int] | None) -> Tensor:
    """Raises BadInput, for a file too that is not what it was a moment ago."""
    bytes_ = content(one.file)
    if hashlib.sha256(bytes_).hexdigest() != one.digest:
        raise BadInput(f"{one.file}: it changed while it was read; allowed is a folder at rest")
    return decode(bytes_, one.file, mode, size)
