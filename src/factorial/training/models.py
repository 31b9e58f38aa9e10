"""The models: each takes the images' shape and the number of classes, then its own settings.

Images are float32, logits as the precision has them.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from math import prod

from torch import nn

from factorial.settings.messages import BadInput
from factorial.settings.rules import is_number

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
        if not isinstance(hidden, Sequence) or not hidden or not all(map(is_width, hidden)):
            raise BadInput(
                f"model.hidden={hidden}: allowed is a list of one or more whole numbers, 1 or more"
            )
        if activation not in [*ACTIVATIONS]:  # a list's items need no hash
            raise BadInput(
                f"model.activation={activation}: allowed is one of {', '.join(ACTIVATIONS)}"
            )
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise([prod(shape), *hidden]):
            layers += [nn.Linear(inputs, outputs), ACTIVATIONS[activation]()]
        super().__init__(*layers, nn.Linear(hidden[-1], classes))


def is_width(value: object) -> bool:
    return isinstance(value, int) and is_number(value) and value >= 1
