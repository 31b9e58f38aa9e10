"""Images as uint8 tensors on the device: a batch is an index, scaled when it is taken."""

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from factorial.settings import schema
from factorial.settings.messages import BadInput
from factorial.training import downloads
from factorial.training.downloads import Examples
from factorial.training.environment import derive_seed, permutation
from factorial.training.sharing import Sealed, is_possible
from factorial.training.sizes import validation_examples

DIGITS = "sklearn/datasets/data/digits.csv.gz"  # within what scikit-learn installs


@dataclass(frozen=True)
class Split:
    """Examples on one device: labels int64 [n], and where their images lie: int64 [n].

    `stored` is uint8 [m, *shape], which splits, and processes, share: no split copies its images.
    """

    stored: Tensor
    rows: Tensor
    labels: Tensor
    white: int

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """A batch: images float32, divided by `white`, and labels."""
        batch = self.at(index)
        return batch.images.float().div_(self.white), batch.labels

    @property
    def images(self) -> Tensor:
        """uint8 [n, *shape], copied together."""
        # index_select copies whole images; indexing with a tensor would go pixel by pixel
        return self.stored.index_select(0, self.rows)

    def at(self, index: Tensor) -> "Split":
        """The examples at these places, in their order."""
        rows, labels = self.rows.index_select(0, index), self.labels.index_select(0, index)
        return replace(self, rows=rows, labels=labels)

    def unscaled(self) -> "Split":
        """The same examples with pixels as they are stored, 0 to `white`."""
        return replace(self, white=1)


def whole(examples: Examples, white: int) -> Split:
    """All of these examples, as they lie."""
    images, labels = examples
    return Split(images, torch.arange(len(labels), device=labels.device), labels, white)


@dataclass(frozen=True)
class Data:
    """The splits of one run on its device; without a validation split that one is empty."""

    name: str
    digest: str
    train: Split
    validation: Split
    test: Split


class Stored(NamedTuple):
    """A data set on the CPU, not split yet, and the SHA-256 of all its bytes."""

    train: Examples
    test: Examples
    digest: str

    def map(self, change: Callable[[Tensor], Any]) -> "Stored":
        """With each of its four tensors changed."""
        train, test = (Examples(*map(change, part)) for part in (self.train, self.test))
        return self._replace(train=train, test=test)


KEPT = 4  # data sets
# What this process has read, or was given; the latest last
HELD: dict[tuple[str, Path | None], Stored] = {}


def load(settings: schema.Data, device: torch.device) -> Data:
    """Read, check, split. Raises downloads.Missing or BadInput, never trains on damaged files."""
    train = read(settings.name, source(settings)).train
    facts = (len(train.labels), list(train.images.shape[1:]), int(train.labels.max()) + 1)
    stated = (settings.examples, settings.shape, settings.classes)
    if facts != stated:
        raise BadInput(
            f"data: {settings.name} holds (examples, shape, classes) {facts}, not {stated}"
        )
    held_out = validation_examples(settings)
    return divided(settings.name, source(settings), settings.white, held_out, settings.seed, device)


@functools.lru_cache(maxsize=1)  # the runs of a sweep share their splits
def divided(
    name: str, source: Path | None, white: int, held_out: int, seed: int, device: torch.device
) -> Data:
    """The data set on its device, so many of its training examples held out for validation."""
    stored = read(name, source)
    drawn = stratified(stored.train.labels, held_out, seed).to(device)
    here = stored.map(lambda tensor: tensor.to(device))
    train, validation = divide(whole(here.train, white), drawn)
    return Data(name, stored.digest, train, validation, whole(here.test, white))


def require(settings: schema.Data) -> None:
    """Have the files on disk, by download if need be. Raises downloads.Missing, or BadInput."""
    root = source(settings)
    if root is not None:
        downloads.require(settings.name, root)


def source(settings: schema.Data) -> Path | None:
    """The folder of the files; None for data that ship inside a library."""
    if settings.name == "digits":
        return None
    if settings.root is None:
        raise BadInput(f"data.root=null: allowed is the folder that holds {settings.name}")
    return Path(settings.root)


def digest(settings: schema.Data) -> str:
    """SHA-256 of all bytes of the data set, whatever its splits."""
    return read(settings.name, source(settings)).digest


def test_examples(settings: schema.Data) -> int:
    return len(read(settings.name, source(settings)).test.labels)


def read(name: str, source: Path | None) -> Stored:
    """A data set as it is on disk, checked; once by each process, or by the one that started it."""
    if (name, source) not in HELD:
        train, test = read_digits() if source is None else downloads.open_dataset(name, source)
        digest = hashlib.sha256()
        for part in (*train, *test):
            digest.update(part.contiguous().numpy().data)
        HELD[name, source] = Stored(train, test, digest.hexdigest())
        while len(HELD) > KEPT:
            del HELD[next(iter(HELD))]
    return HELD[name, source]


def sealed() -> dict[tuple[str, Path | None], Stored]:
    """What this process holds, for processes that it starts: they map it and copy nothing."""
    return {key: held.map(Sealed) for key, held in HELD.items()} if is_possible() else {}


def read_digits() -> tuple[Examples, Examples]:
    """scikit-learn's digits, of which a fixed, stratified fifth is the test set."""
    table = torch.from_numpy(digits_table())
    images, labels = table[:, :-1].reshape(-1, 8, 8).to(torch.uint8), table[:, -1].long()
    parts = divide(whole(Examples(images, labels), white=1), stratified(labels, size=360, seed=0))
    train, test = (Examples(part.images, part.labels) for part in parts)
    return train, test


def digits_table() -> np.ndarray:
    """For each image its 64 pixels and its label: float64 [1797, 65]."""
    file = Path(str(distribution("scikit-learn").locate_file(DIGITS)))
    if file.is_file():  # what load_digits reads; to import scikit-learn takes a second
        return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.column_stack([digits.data, digits.target])


def divide(split: Split, held_out: Tensor) -> tuple[Split, Split]:
    """What is not held out, and what is, each in the order in which it is stored."""
    kept = torch.ones(len(split), dtype=torch.bool, device=held_out.device)
    kept[held_out] = False
    return split.at(kept.nonzero().flatten()), split.at((~kept).nonzero().flatten())


def stratified(labels: Tensor, size: int, seed: int) -> Tensor:
    """`size` indices drawn without replacement, each class in its share (largest remainders)."""
    counts = torch.bincount(labels)
    ideal = counts.double() * size / len(labels)
    sizes = ideal.floor().long()
    sizes[(ideal - sizes).argsort(descending=True, stable=True)[: size - int(sizes.sum())]] += 1
    drawn = []
    for label, count in enumerate(sizes.tolist()):
        members = (labels == label).nonzero().flatten()
        order = permutation(len(members), derive_seed(seed, "stratified", label))
        drawn.append(members[order[:count]])
    return torch.cat(drawn)
