"""The way of a run's weights, in full and as it is seen in a plane."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor


class Trajectory(NamedTuple):
    """`weights` [snapshots, parameters] are a run's parameters, its first ones in front, and
    `batches` and `epochs` what lies behind each snapshot.

    `parted`: the epoch after which they are first others than on record; None: in none that is.
    `held`: after how many epochs they could be held against the record. `data`: their digest.
    """

    run: str
    name: str
    weights: Tensor
    batches: list[int]
    epochs: list[float]
    parted: int | None
    held: int
    data: str


class Track(NamedTuple):
    """A trajectory in the plane, to be drawn: `positions` [snapshots, 2], the `losses` of the
    weights themselves, not of the places, and the numbers of `steps` (epochs or batches).

    `optimizer` is the word that tells it from the others.
    """

    run: str
    optimizer: str
    steps: list[int]
    epochs: list[float]
    positions: Tensor
    losses: Tensor
    left: int | None = None  # as of other paths: it never leaves the picture

    @property
    def label(self) -> str:
        return self.optimizer

    @property
    def last(self) -> int:
        return self.steps[-1]

    def until(self, step: int) -> int:
        """How many positions it has come by after so many steps."""
        return bisect_right(self.steps, step)


def labels(trajectories: Sequence[Trajectory]) -> list[str]:
    """What of each run's name not all have, and how its id begins."""
    common = set(shared(trajectories))
    return [
        " ".join([*(word for word in one.name.split() if word not in common), one.run[:8]])
        for one in trajectories
    ]


def shared(trajectories: Sequence[Trajectory]) -> list[str]:
    """The words that all names have, in the order of the first."""
    first, *others = [one.name.split() for one in trajectories]
    return [word for word in first if all(word in words for words in others)]
