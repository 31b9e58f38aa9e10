"""The models: each takes the images' shape and the number of classes, then its own settings.

Images are float32, logits as the precision has them.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from math import prod
from typing import Any

import torch
from torch import nn

from factorial.settings.messages import BadInput
from factorial.settings.rules import is_number

WIDTHS = "allowed is a list of one or more whole numbers, 1 or more"
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": partial(nn.ReLU, inplace=True),  # one pass over memory less, the same result
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


class Linear(nn.Sequential):
    """Softmax regression: images [n, *shape] -> logits [n, classes]."""

    def __init__(self, shape: Sequence[int], classes: int) -> None:
        super().__init__(nn.Flatten(), nn.Linear(prod(shape), classes))


class MLP(nn.Sequential):
    """Fully connected layers of `hidden` widths: images [n, *shape] -> logits [n, classes]."""

    def __init__(
        self, shape: Sequence[int], classes: int, hidden: Sequence[int], activation: str
    ) -> None:
        if not is_list_of_widths(hidden):
            raise BadInput(f"model.hidden={hidden}: {WIDTHS}")
        if activation not in [*ACTIVATIONS]:  # a list's items need no hash
            raise BadInput(
                f"model.activation={activation}: allowed is one of {', '.join(ACTIVATIONS)}"
            )
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise([prod(shape), *hidden]):
            layers += [nn.Linear(inputs, outputs), ACTIVATIONS[activation]()]
        super().__init__(*layers, nn.Linear(hidden[-1], classes))


class CNN(nn.Sequential):
    """Convolutions of `channels` widths: images [n, c, h, w] -> logits [n, classes].

    Each is `kernel` pixels wide and keeps the resolution, with batch norm where asked for, and
    ReLU; behind every `depth` of them, max pooling halves h and w, and dropout of whole channels
    follows (Tompson et al. 2015). A fully connected layer makes logits of the channels * (h / 2**k)
    * (w / 2**k) numbers that are left after k halvings. Weights lie channels last, which nearly
    halves a step's time on a CPU.
    """

    def __init__(
        self,
        shape: Sequence[int],
        classes: int,
        channels: Sequence[int],
        depth: int,
        kernel: int,
        batch_norm: bool,
        dropout: float,
    ) -> None:
        check_cnn(shape, channels, depth, kernel, batch_norm, dropout)
        layers: list[nn.Module] = [ChannelsLast()]
        height, width = shape[1:]
        for place, (inputs, outputs) in enumerate(pairwise([shape[0], *channels]), start=1):
            layers.append(nn.Conv2d(inputs, outputs, kernel, padding="same", bias=not batch_norm))
            layers += [nn.BatchNorm2d(outputs)] if batch_norm else []
            layers.append(nn.ReLU(inplace=True))
            if place % depth == 0:
                layers += [nn.MaxPool2d(2), nn.Dropout2d(dropout)]
                height, width = height // 2, width // 2
        features = channels[-1] * height * width
        super().__init__(*layers, nn.Flatten(), nn.Linear(features, classes))
        self.to(memory_format=torch.channels_last)


class ChannelsLast(nn.Module):
    """The same images, in memory pixel by pixel."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.contiguous(memory_format=torch.channels_last)


def check_cnn(
    shape: Sequence[int], channels: Any, depth: Any, kernel: Any, batch_norm: Any, dropout: Any
) -> None:
    """Raises BadInput."""
    if not is_list_of_widths(channels):
        raise BadInput(f"model.channels={channels}: {WIDTHS}")
    if not is_width(depth):
        raise BadInput(f"model.depth={depth}: allowed is a whole number, 1 or more")
    if not is_width(kernel) or kernel % 2 == 0:
        raise BadInput(f"model.kernel={kernel}: allowed is an odd whole number, 1 or more")
    if not isinstance(batch_norm, bool):
        raise BadInput(f"model.batch_norm={batch_norm}: allowed is true or false")
    if not (is_number(dropout) and 0 <= dropout < 1):
        raise BadInput(f"model.dropout={dropout}: allowed is a number in [0, 1)")
    halvings = len(channels) // depth
    if min(shape[1:]) < 2**halvings:
        raise BadInput(
            f"model.channels={channels}: {halvings} halvings of {shape[1]} x {shape[2]} pixels "
            f"leave none; allowed are fewer than {depth * min(shape[1:]).bit_length()} convolutions"
        )


def is_list_of_widths(value: object) -> bool:
    return isinstance(value, Sequence) and len(value) > 0 and all(map(is_width, value))


def is_width(value: object) -> bool:
    return isinstance(value, int) and is_number(value) and value >= 1
