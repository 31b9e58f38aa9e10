"""What a run predicted on the test set, and the images that it misread worst."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

FILE = "predictions.safetensors"
SHOWN = 24  # misread images that are kept
Array = NDArray[Any]


class Predictions(NamedTuple):
    """Of n test examples: classes as uint8 [n], cross-entropies in nats as float32 [n].

    Above 256 classes they are uint16. `hardest` are the indices of the misread examples with the
    highest loss, worst first, `images` their pixels as stored: uint8 [k, channels, height, width],
    in older records [k, height, width].
    """

    labels: Array
    predicted: Array
    losses: Array
    hardest: Array
    images: Array


def pack(logits: Array, labels: Array, images: Array) -> bytes:
    """What logits float32 [n, classes] make of a test set, as a safetensors file."""
    highest = logits.max(axis=1)
    normalizer = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
    losses = normalizer - logits[np.arange(len(labels)), labels]
    predicted = logits.argmax(axis=1)
    misread = np.flatnonzero(predicted != labels)
    hardest = misread[np.argsort(-losses[misread], kind="stable")[:SHOWN]]
    numbers = np.min_scalar_type(logits.shape[1] - 1)
    small = labels.astype(numbers), predicted.astype(numbers), losses.astype(np.float32)
    return save(Predictions(*small, hardest, images[hardest])._asdict())


def unpack(file: Path) -> Predictions | None:
    """None where the file is not there, or not what it should be."""
    try:
        stored = Predictions(**load(file.read_bytes()))
    except (OSError, SafetensorError, TypeError):
        return None
    n, k = stored.labels.size, stored.hardest.size
    alike = stored.labels.shape == stored.predicted.shape == stored.losses.shape == (n,)
    inside = k == 0 or bool(stored.hardest.min() >= 0 and stored.hardest.max() < n)
    return stored if n and alike and inside and len(stored.images) == k else None


def confusion(predictions: Predictions) -> Array:
    """How many examples of each class (row) were read as each class (column): int64 [c, c]."""
    classes = int(max(predictions.labels.max(), predictions.predicted.max())) + 1
    pairs = predictions.labels.astype(np.int64) * classes + predictions.predicted
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
