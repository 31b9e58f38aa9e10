"""What every source of images gives: uint8 tensors with a channel axis, and what is wrong named."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from factorial.settings.messages import BadInput, shown
from factorial.training.environment import derive_seed, permutation

WHOLE = (
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
    torch.uint16, torch.uint32, torch.uint64,
)  # fmt: skip


class Examples(NamedTuple):
    """Images uint8 [n, channels, height, width] and labels int64 [n], as they are stored."""

    images: Tensor
    labels: Tensor


class Images(NamedTuple):
    """Training and test examples; the classes' names by label, where a source has them."""

    train: Examples
    test: Examples
    classes: tuple[str, ...] = ()


def hold_out(examples: Examples, size: int, seed: int) -> tuple[Examples, Examples]:
    """All but `size` of them, and those, which are drawn from each class in its share."""
    parts = parted(len(examples.labels), stratified(examples.labels, size, seed))
    kept, held_out = (Examples(examples.images[rows], examples.labels[rows]) for rows in parts)
    return kept, held_out


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


def parted(count: int, held_out: Tensor) -> tuple[Tensor, Tensor]:
    """What of range(count) is not held out, and what is, in order, on the device of `held_out`."""
    kept = torch.ones(count, dtype=torch.bool, device=held_out.device)
    kept[held_out] = False
    return kept.nonzero().flatten(), (~kept).nonzero().flatten()


def tensors(images: Any, labels: Any, what: str) -> tuple[Tensor, Tensor]:
    """Images uint8 [n, height, width] or [n, channels, height, width] and whole labels [n], arrays
    or tensors, in the one form. Raises BadInput.
    """
    x, y = (plain(value, what) for value in (images, labels))
    if y.dtype not in WHOLE:
        raise BadInput(f"{what} labels are {described(y)}: allowed are whole numbers [n]")
    return (x.unsqueeze(1) if x.ndim == 3 else x).contiguous(), y.long()


def plain(value: Any, what: str) -> Tensor:
    """A tensor, or an array as one, on the CPU. Raises BadInput."""
    if isinstance(value, np.ndarray):  # whatever the byte order of the machine that wrote it
        value = value.astype(value.dtype.newbyteorder("="), copy=False)
    try:
        return torch.as_tensor(value).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise BadInput(
            f"{what}: a {type(value).__name__}; allowed are tensors and arrays of numbers"
        ) from error


def check(images: Images, where: str) -> None:
    """Raises BadInput where these are no examples of at least two classes to train and test on."""
    check_part(images.train, f"{where}: training")
    check_part(images.test, f"{where}: test")
    shapes = [list(part.images.shape[1:]) for part in (images.train, images.test)]
    if shapes[0] != shapes[1]:
        raise BadInput(
            f"{where}: training images are {shapes[0]}, test images {shapes[1]}; allowed is one "
            f"shape"
        )
    check_classes(images, where)


def check_part(examples: Examples, what: str) -> None:
    pixels, labels = examples
    if pixels.dtype != torch.uint8 or pixels.ndim != 4 or pixels.shape[1] not in (1, 3):
        raise BadInput(
            f"{what} images are {described(pixels)}: allowed are uint8 [n, height, width], or "
            f"[n, channels, height, width] of 1 or 3 channels"
        )
    if labels.dtype != torch.int64 or labels.shape != pixels.shape[:1]:
        raise BadInput(
            f"{what} labels are {described(labels)}: allowed are int64 [{len(pixels)}], one for "
            f"each image"
        )
    if not len(labels):
        raise BadInput(f"{what} examples: there are none; allowed is one or more")
    if int(labels.min()) < 0:
        raise BadInput(f"{what} labels: {int(labels.min())}; allowed are whole numbers from 0")


def check_classes(images: Images, where: str) -> None:
    """Every class has an example to train on, and the test set no others."""
    counts = torch.bincount(images.train.labels, minlength=len(images.classes))
    if len(counts) < 2:
        raise BadInput(f"{where}: one class alone; allowed are two or more")
    if (empty := (counts == 0).nonzero().flatten().tolist()) != []:
        raise BadInput(f"{where}: class {name(images, empty[0])} has no training example")
    if (most := int(images.test.labels.max())) >= len(counts):
        raise BadInput(f"{where}: class {name(images, most)} has test examples alone")


def name(images: Images, label: int) -> str:
    return shown(images.classes[label]) if images.classes else str(label)


def described(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
