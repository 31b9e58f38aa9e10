"""Where the images of a data set come from: a reader for each name, all giving the same."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from factorial.settings import schema
from factorial.settings.messages import BadInput
from factorial.training import arrays, cifar, digits, downloads, examples, folder, own
from factorial.training.examples import Images
from factorial.training.instantiate import vet


class Source(NamedTuple):
    """All that decides which images are read; `own` are a source's own settings, as JSON."""

    name: str
    root: Path | None = None
    own: str = "{}"

    @property
    def folder(self) -> Path:
        assert self.root is not None
        return self.root

    @property
    def settings(self) -> dict[str, Any]:
        return dict(json.loads(self.own))


def of(settings: schema.Data) -> Source:
    """Raises BadInput where no place is named for what needs one."""
    name, root = settings.name, settings.root
    source = Source(name, None, json.dumps(settings.own, sort_keys=True))
    if "file" in settings.own and settings.own["file"] is None:
        raise BadInput(f"data.file=null: allowed is the {name} file that holds the images")
    if name in ROOTED and root is None:
        raise BadInput(f"data.root=null: allowed is the folder that holds {ROOTED[name]}")
    return source._replace(root=Path(root)) if root and name in (*ROOTED, "own") else source


def require(source: Source, allow: Sequence[str]) -> None:
    """Have a source's files on disk, by download if need be. Raises Missing, and BadInput for a
    name in `_target_` that may not be called.
    """
    for place, target in schema.targets(source.settings, "data"):
        vet(place, target, allow)
    if source.name in downloads.CLASSES:
        downloads.require(source.name, source.folder)
    if source.name == "cifar10":
        cifar.require(source.folder)


def read(source: Source) -> Images:
    """Raises Missing, or BadInput for what is damaged, or is no images of classes."""
    images = READERS[source.name](source)
    examples.check(images, place(source))
    return images


def place(source: Source) -> str:
    """What a message names."""
    said = source.settings.get("file") or source.settings.get("_target_") or source.root
    return str(said or source.name)


def read_download(source: Source) -> Images:
    return Images(*downloads.open_dataset(source.name, source.folder))


def read_arrays(source: Source) -> Images:
    return arrays.read(Path(source.settings["file"]), source.name)


def read_own(source: Source) -> Images:
    named = ("_target_", "test_share", "test_seed")
    target, share, seed = (source.settings[name] for name in named)
    rest = {name: value for name, value in source.settings.items() if name not in named}
    return own.read(target, source.root, share, seed, rest)


READERS: dict[str, Callable[[Source], Images]] = {
    "mnist": read_download,
    "fashion_mnist": read_download,
    "kmnist": read_download,
    "digits": lambda _: digits.read(),
    "cifar10": lambda source: cifar.read(source.folder),
    "folder": lambda source: folder.read(source.folder, **source.settings),
    "npz": read_arrays,
    "safetensors": read_arrays,
    "own": read_own,
}
# What lies in the folder that data.root names
ROOTED = {
    "mnist": "mnist",
    "fashion_mnist": "fashion_mnist",
    "kmnist": "kmnist",
    "cifar10": "cifar10",
    "folder": "the class folders",
}
