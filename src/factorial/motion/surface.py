"""A surface of two dimensions, whichever it is.

A position is a float64 tensor whose last dimension is (x, y), so that one formula gives the loss of
one place, of a path and of a grid. Double precision: how far a loss falls is the method's doing.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

Loss = Callable[[Tensor], Tensor]  # positions [..., 2] to losses [...]
Point = tuple[float, float]


class Window(NamedTuple):
    """The part of a surface that pictures show, whatever leaves it."""

    left: float
    right: float
    bottom: float
    top: float

    def holds(self, positions: Tensor) -> Tensor:
        """Which of the positions [..., 2] lie within, as booleans [...]."""
        x, y = positions.unbind(-1)
        return (x >= self.left) & (x <= self.right) & (y >= self.bottom) & (y <= self.top)


class Surface(NamedTuple):
    """`loss` is 0 at its `minima` and nowhere below; `axes` are the names of x and y.

    `descended` gives for a seed, step by step, the loss whose gradient an optimizer is told.
    Where nobody knows the minima, there are none, and `floor` is the lowest loss in the window.
    """

    title: str
    formula: str
    lesson: str  # what is to be seen on it
    axes: tuple[str, str]
    start: Point
    minima: tuple[Point, ...]
    window: Window
    loss: Loss
    descended: Callable[[int], Iterator[Loss]]
    apart: tuple[Point, ...] = ()  # where others start than at `start`
    unit: str = "step"  # that paths are counted in
    floor: float = 0.0

    @property
    def starts(self) -> tuple[Point, ...]:
        return self.start, *self.apart


def exactly(loss: Loss) -> Callable[[int], Iterator[Loss]]:
    """Every step is told the gradient of the loss itself, whatever the seed."""
    return lambda _: itertools.repeat(loss)


def nearest(surface: Surface, positions: Tensor) -> Tensor:
    """The distances [...] of positions [..., 2] to the nearest minimum."""
    minima = torch.tensor(surface.minima, dtype=torch.float64)
    distances: Tensor = (positions.unsqueeze(-2) - minima).norm(dim=-1)
    return distances.amin(-1)
