"""What a run predicted on the test set, and the images that it misread worst."""

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from factorial.data import Split

FILE = "predictions.safetensors"
SHOWN = 24  # misread images that are kept


class Predictions(NamedTuple):
    """Of n test examples: classes as uint8 [n], cross-entropies in nats as float32 [n].

    `hardest` are the indices of the misread examples with the highest loss, worst first, `images`
    their pixels as stored: uint8 [k, *shape].
    """

    labels: Tensor
    predicted: Tensor
    losses: Tensor
    hardest: Tensor
    images: Tensor


def pack(logits: Tensor, test: Split) -> bytes:
    """The predictions that logits float32 [n, classes] make, as a safetensors file."""
    losses = F.cross_entropy(logits, test.labels, reduction="none")
    predicted = logits.argmax(1)
    misread = (predicted != test.labels).nonzero().flatten()
    hardest = misread[losses[misread].argsort(descending=True, stable=True)[:SHOWN]]
    found = Predictions(
        test.labels.byte(), predicted.byte(), losses, hardest, test.images[hardest]
    )
    return save({name: value.cpu().contiguous() for name, value in found._asdict().items()})


def unpack(file: Path) -> Predictions | None:
    """None where the file is not there, or not what it should be."""
    try:
        return Predictions(**load(file.read_bytes()))
    except (OSError, SafetensorError, TypeError):
        return None


def confusion(found: Predictions) -> Tensor:
    """How many examples of each class (row) were read as each class (column): int64 [c, c]."""
    classes = int(max(found.labels.max(), found.predicted.max())) + 1
    pairs = found.labels.long() * classes + found.predicted.long()
    return torch.bincount(pairs, minlength=classes**2).reshape(classes, classes)
