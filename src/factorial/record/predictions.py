"""What a run predicted on the test set, and on what was held out, and the images that it misread
worst."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

FILE = "predictions.safetensors"
HELD_OUT = "held-out.safetensors"  # which older records, and runs that hold nothing out, have not
KINDS = {FILE: "predictions", HELD_OUT: "held-out predictions"}
SHOWN = 24  # misread images that are kept of the test set,
PIXELS = 200_000  # and bytes of those of what was held out: 255 of MNIST's
DIGEST = "digest"  # of the held-out images, in their order: two runs of equal ones saw the same
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


class Read(NamedTuple):
    """Of n examples: classes [n]; `kept` are the indices of those whose pixels a file holds.

    Runs with equal `images` predicted the same ones in the same order, and as many: their digest
    or, of a test set, that of their classes alone.
    """

    labels: Array
    predicted: Array
    kept: Array
    images: str


def pack(logits: Array, labels: Array, images: Array) -> bytes:
    """What logits float32 [n, classes] make of a test set, as a safetensors file."""
    return save(judged(logits, labels, images, SHOWN)._asdict())


def pack_held_out(logits: Array, labels: Array, images: Array) -> bytes:
    """The same of examples that were held out: more of those misread, and all images' digest."""
    room = PIXELS // images[0].nbytes
    digest = hashlib.sha256(np.ascontiguousarray(images).data).digest()
    said = {DIGEST: np.frombuffer(digest, dtype=np.uint8)}
    return save(judged(logits, labels, images, room)._asdict() | said)


def judged(logits: Array, labels: Array, images: Array, room: int) -> Predictions:
    """With the pixels of `room` misread examples."""
    highest = logits.max(axis=1)
    normalizer = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
    losses = normalizer - logits[np.arange(len(labels)), labels]
    predicted = logits.argmax(axis=1)
    misread = np.flatnonzero(predicted != labels)
    hardest = misread[np.argsort(-losses[misread], kind="stable")[:room]]
    numbers = np.min_scalar_type(logits.shape[1] - 1)
    small = labels.astype(numbers), predicted.astype(numbers), losses.astype(np.float32)
    return Predictions(*small, hardest, images[hardest])


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


def read(file: Path) -> Read | None:
    """Of either file, without what is large; None where it is not there, or not what it should
    be."""
    try:
        with safe_open(file, framework="numpy") as stored:
            names = set(stored.keys())
            labels, predicted, kept = map(stored.get_tensor, ("labels", "predicted", "hardest"))
            said = stored.get_tensor(DIGEST) if DIGEST in names else labels
            images = stored.get_slice("images")
            pixels, are_bytes = images.get_shape(), images.get_dtype() == "U8"
    except (OSError, SafetensorError):
        return None
    numbers = all(array.dtype.kind in "iu" for array in (labels, predicted, kept))
    alike = labels.shape == predicted.shape == (labels.size,) and labels.size > 0
    drawn = are_bytes and len(pixels) in (3, 4) and kept.shape == (pixels[0],)
    if not (numbers and alike and drawn and ((kept >= 0) & (kept < labels.size)).all()):
        return None
    digest = hashlib.sha256(said.tobytes()).hexdigest()
    return Read(labels, predicted, kept, f"{labels.size}-{digest}")


def pixels(file: Path) -> Array:
    """Of the examples that `read` says are kept: uint8 [k, channels, height, width]."""
    with safe_open(file, framework="numpy") as stored:
        images: Array = stored.get_tensor("images")
    return images if images.ndim == 4 else images[:, None]
