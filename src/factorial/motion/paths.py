"""The way of an optimizer on a surface, step by step, and how it ended."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from factorial import compat
from factorial.motion.asked import Asked, excused
from factorial.motion.surface import Surface, nearest
from factorial.settings.messages import BadInput
from factorial.training.instantiate import instantiate, said

FAR = 1e6  # of a coordinate: beyond it a path has diverged, and ends
BEST = "best"  # chooses of each optimizer the learning rate with which it did best


class Path(NamedTuple):
    """`positions` are [steps + 1, 2], the start first, and fewer where the path `diverged`: at that
    step a coordinate was beyond FAR, or no number. `losses` and `distances`, to the nearest
    minimum, belong to them.

    `left`: the step from which on it is outside of the surface's window. `reached`: the step from
    which on it stays within the tolerance. None: it never was so until the end.
    """

    optimizer: str
    lr: float
    choices: tuple[str, ...]  # words for the learning rate that this path answers to
    positions: Tensor
    losses: Tensor
    distances: Tensor
    diverged: int | None
    left: int | None
    reached: int | None

    @property
    def label(self) -> str:
        return f"{self.optimizer} lr={self.lr:g}"

    @property
    def last(self) -> int:
        """The last step with a position."""
        return len(self.positions) - 1

    @property
    def steps(self) -> Sequence[int]:
        return range(len(self.positions))

    def until(self, step: int) -> int:
        """How many positions it has after so many steps."""
        return min(step, self.last) + 1


def walked(surface: Surface, asked: Asked) -> list[Path]:
    """A path for each optimizer and learning rate that differ. Raises BadInput.

    An option that can't walk is named in a warning where nobody asked for it by its name.
    """
    compat.spare_compiler()
    paths: list[Path] = []
    for name, node in asked.optimizers.items():
        with excused(name, asked.every):
            paths += with_best(of_optimizer(name, node, surface, asked))
    if not paths:
        raise BadInput(f"optimizer={','.join(asked.optimizers)}: none of them can walk")
    return paths


def of_optimizer(name: str, node: dict[str, Any], surface: Surface, asked: Asked) -> list[Path]:
    """One path for each learning rate; one that is asked for by two words is walked once."""
    words: dict[float, list[str]] = {}
    for word, rate in asked.rates.items():
        words.setdefault(learning_rate(with_rate(node, rate)), []).append(word)
    return [
        judged(surface, name, rate, chosen, walk(name, node | {"lr": rate}, surface, asked), asked)
        for rate, chosen in words.items()
    ]


def with_rate(node: dict[str, Any], rate: float | None) -> dict[str, Any]:
    return node if rate is None else node | {"lr": rate}


def learning_rate(node: dict[str, Any]) -> float:
    """The one that the class has in the end, said or not. Raises BadInput."""
    made = make(node, torch.zeros(2, dtype=torch.float64, requires_grad=True))
    return float(made.param_groups[0]["lr"])


def make(node: dict[str, Any], position: Tensor) -> torch.optim.Optimizer:
    """As a run makes it; what an option's own file names is trusted. Raises BadInput."""
    made: torch.optim.Optimizer = instantiate("optimizer", node, [node["_target_"]], [position])
    return made


def walk(name: str, node: dict[str, Any], surface: Surface, asked: Asked) -> list[list[float]]:
    """The position before each step and after the last, or up to where it diverged."""
    position = torch.tensor(surface.start, dtype=torch.float64, requires_grad=True)
    optimizer = make(node, position)
    positions = [position.tolist()]
    for descended in itertools.islice(surface.descended(asked.seed), asked.steps):
        try:
            loss = descended(position)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        except Exception as error:  # a class may raise anything
            raise BadInput(f"optimizer={name}: a step fails ({said(error)})") from error
        positions.append(position.tolist())
        if not all(math.isfinite(value) and abs(value) <= FAR for value in positions[-1]):
            break
    return positions


def judged(
    surface: Surface,
    name: str,
    rate: float,
    words: Sequence[str],
    walked: list[list[float]],
    asked: Asked,
) -> Path:
    """A path with what became of it."""
    ended = torch.tensor(walked, dtype=torch.float64)
    diverged = None if bool((ended[-1].abs() <= FAR).all()) else len(ended) - 1
    positions = ended[:diverged]
    distances = nearest(surface, positions)
    close = distances <= asked.tolerance * distances[0]
    inside = surface.window.holds(ended)
    return Path(
        optimizer=name,
        lr=rate,
        choices=tuple(words),
        positions=positions,
        losses=surface.loss(positions),
        distances=distances,
        diverged=diverged,
        left=from_when_on((~inside).tolist()),
        reached=None if diverged is not None else from_when_on(close.tolist()),
    )


def from_when_on(holds: list[bool]) -> int | None:
    """The first place from which on all hold; None where the last does not."""
    until = len(holds)
    while until and holds[until - 1]:
        until -= 1
    return until if until < len(holds) else None


def with_best(paths: list[Path]) -> list[Path]:
    """Paths of one optimizer, of which the best answers to that word too."""
    best = min(paths, key=merit)
    return [
        path._replace(choices=(*path.choices, BEST)) if path is best else path for path in paths
    ]


def merit(path: Path) -> tuple[bool, float, float]:
    """The smaller the better: not diverged, soonest there for good, lowest in the end."""
    soon = math.inf if path.reached is None else path.reached
    return path.diverged is not None, soon, path.losses[-1].item()


def best_of(paths: Sequence[Path]) -> list[Path]:
    """Of each optimizer the path of its best learning rate."""
    return [path for path in paths if BEST in path.choices]


def moments(steps: int, most: int) -> list[int]:
    """At most so many of the steps 0 to `steps`, both ends among them: the earlier ones, in which
    more happens, closer together. All of them where there are no more."""
    if steps < most:
        return list(range(steps + 1))
    return sorted({round(steps * (place / (most - 1)) ** 2) for place in range(most)})
