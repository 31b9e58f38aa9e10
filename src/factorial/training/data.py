"""Images as uint8 tensors on the device: a batch is an index, scaled when it is taken."""

import functools
import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from factorial.settings import schema
from factorial.settings.messages import BadInput
from factorial.training import sources
from factorial.training.examples import Examples, parted, stratified
from factorial.training.sharing import Sealed, is_possible
from factorial.training.sizes import validation_examples
from factorial.training.sources import Source


class Scale(NamedTuple):
    """What is taken from pixels in 0 to 1, and what the rest is divided by: [channels, 1, 1]."""

    mean: Tensor
    std: Tensor


@dataclass(frozen=True)
class Split:
    """Examples on one device: labels int64 [n], and where their images lie: int64 [n].

    `stored` is uint8 [m, *shape], which splits, and processes, share: no split copies its images.
    """

    stored: Tensor
    rows: Tensor
    labels: Tensor
    white: int
    scale: Scale | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """A batch: images float32, divided by `white`, scaled where they are, and labels."""
        batch = self.at(index)
        images = batch.images.float().div_(self.white)
        if self.scale is not None:
            images.sub_(self.scale.mean).div_(self.scale.std)
        return images, batch.labels

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
        return replace(self, white=1, scale=None)


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
    classes: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """What a model has to be told of them to read other images, as JSON."""
        scale = {} if self.train.scale is None else self.train.scale._asdict()
        sides = {name: column.flatten().tolist() for name, column in scale.items()}
        return {"classes": list(self.classes), **sides}


class Stored(NamedTuple):
    """A data set on the CPU, not split yet, and the SHA-256 of all its bytes."""

    train: Examples
    test: Examples
    digest: str
    classes: tuple[str, ...] = ()

    def map(self, change: Callable[[Tensor], Any]) -> "Stored":
        """With each of its four tensors changed."""
        train, test = (Examples(*map(change, part)) for part in (self.train, self.test))
        return self._replace(train=train, test=test)


class Facts(NamedTuple):
    """What a data set is, whatever its splits; `test` is a number of examples."""

    digest: str
    test: int
    examples: int
    shape: list[int]
    classes: int


KEPT = 4  # data sets
# What this process has read, or was given; the latest last
HELD: dict[Source, Stored] = {}


def load(settings: schema.Data, device: torch.device) -> Data:
    """Read, check, split. Raises Missing or BadInput, never trains on damaged files."""
    source = sources.of(settings)
    held = read(source).train
    found = (len(held.labels), list(held.images.shape[1:]), int(held.labels.max()) + 1)
    stated = (settings.examples, settings.shape, settings.classes)
    if found != stated:
        raise BadInput(
            f"data: {settings.name} holds (examples, shape, classes) {found}, not {stated}"
        )
    held_out, standard = validation_examples(settings), settings.normalisation == "standard"
    return divided(source, settings.white, held_out, settings.seed, standard, device)


@functools.lru_cache(maxsize=1)  # the runs of a sweep share their splits
def divided(
    source: Source, white: int, held_out: int, seed: int, standard: bool, device: torch.device
) -> Data:
    """The data set on its device, so many of its training examples held out for validation.

    `standard` scales all of it by the examples that are trained on, and by no others.
    """
    stored = read(source)
    drawn = stratified(stored.train.labels, held_out, seed).to(device)
    here = stored.map(lambda tensor: tensor.to(device))
    train, validation = divide(whole(here.train, white), drawn)
    scale = statistics(train) if standard else None
    parts = (train, validation, whole(here.test, white))
    train, validation, test = (replace(part, scale=scale) for part in parts)
    return Data(source.name, stored.digest, train, validation, test, stored.classes)


def statistics(split: Split) -> Scale:
    """Each channel's mean and standard deviation, 1 for one that is the same everywhere.

    From whole numbers, so that they are the same on every device and in every order.
    """
    pixels = split.images.cpu()
    means, deviations = [], []
    for channel in range(pixels.shape[1]):
        counts = torch.bincount(pixels[:, channel].flatten(), minlength=256).tolist()
        n = sum(counts)
        first, second = (sum(v**power * c for v, c in enumerate(counts)) for power in (1, 2))
        means.append(first / n / split.white)
        deviations.append(math.sqrt(n * second - first**2) / n / split.white or 1.0)
    column = torch.tensor([means, deviations], device=split.labels.device).reshape(2, -1, 1, 1)
    return Scale(column[0], column[1])


def require(settings: schema.Data, allow: Sequence[str]) -> None:
    """Have what is read, by download if need be. Raises Missing, or BadInput for what may not be
    called, too.
    """
    sources.require(sources.of(settings), allow)


def facts(settings: schema.Data) -> Facts:
    """What the data set is, of which every process reads the bytes once. Raises as `read`."""
    return described(sources.of(settings))


@functools.cache
def described(source: Source) -> Facts:
    train, test, digest, _ = read(source)
    shape, classes = list(train.images.shape[1:]), int(train.labels.max()) + 1
    return Facts(digest, len(test.labels), len(train.labels), shape, classes)


def digest(settings: schema.Data) -> str:
    """SHA-256 of all bytes of the data set, whatever its splits."""
    return facts(settings).digest


def test_examples(settings: schema.Data) -> int:
    return facts(settings).test


def read(source: Source) -> Stored:
    """A data set as it is on disk, checked; once by each process, or by the one that started it."""
    if source not in HELD:
        train, test, classes = sources.read(source)
        digest = hashlib.sha256()
        for part in (*train, *test):
            digest.update(part.contiguous().numpy().data)
        HELD[source] = Stored(train, test, digest.hexdigest(), classes)
        while len(HELD) > KEPT:
            del HELD[next(iter(HELD))]
    return HELD[source]


def sealed() -> dict[Source, Stored]:
    """What this process holds, for processes that it starts: they map it and copy nothing."""
    return {key: held.map(Sealed) for key, held in HELD.items()} if is_possible() else {}


def divide(split: Split, held_out: Tensor) -> tuple[Split, Split]:
    """What is not held out, and what is, each in the order in which it is stored."""
    kept, drawn = parted(len(split), held_out)
    return split.at(kept), split.at(drawn)
