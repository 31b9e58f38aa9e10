"""The plane in which the ways of networks' weights are seen best, and its losses."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from factorial.motion.surface import Surface, Window, exactly
from factorial.settings.messages import BadInput

COLUMNS = 65_536  # weights at once, so that no copy of all in double precision is made
FLAT = 1e-12  # of the first variance: a second below it is rounding
MARGIN = 0.25  # around what is to be seen, of its extent


class Plane(NamedTuple):
    """Through `origin` [parameters], the mean of all snapshots, along `axes` [2, parameters], which
    are orthonormal; float64. `shares` of the snapshots' variance lie along the two.
    """

    origin: Tensor
    axes: Tensor
    shares: tuple[float, float]

    def project(self, weights: Tensor) -> Tensor:
        """The nearest places in the plane to weights [n, parameters]: [n, 2]."""
        found = torch.zeros(len(weights), 2, dtype=torch.float64)
        for part, origin, axes in self.parts(weights):
            found += (part - origin) @ axes.T
        return found

    def parts(self, weights: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Weights with the origin and axes, some columns at a time, in double precision."""
        cut = [tensor.split(COLUMNS, dim=-1) for tensor in (weights, self.origin, self.axes)]
        for part, origin, axes in zip(*cut, strict=True):
            yield part.double(), origin, axes

    def at(self, x: float, y: float) -> Tensor:
        """The weights [parameters] of a place in the plane."""
        return self.origin + x * self.axes[0] + y * self.axes[1]

    def shown(self, weights: Tensor) -> float:
        """Which share of the variance of weights [n, parameters] around their own mean is in the
        plane; 1 where they stand still."""
        whole = sum(((part - part.mean(0)) ** 2).sum().item() for part, *_ in self.parts(weights))
        places = self.project(weights)
        seen = ((places - places.mean(0)) ** 2).sum().item()
        return seen / whole if whole else 1.0


def principal(snapshots: Tensor) -> Plane:
    """The plane of the two leading principal directions of snapshots [n, parameters].

    From the eigenvectors of their n x n Gram matrix. Signs are such that the first snapshot lies
    left of the origin, and below. Raises BadInput where the snapshots span no plane.
    """
    gram = torch.zeros(len(snapshots), len(snapshots), dtype=torch.float64)
    for centred in columns(snapshots):
        gram += centred @ centred.T
    values, vectors = torch.linalg.eigh(gram)  # ascending
    if len(snapshots) < 3 or values[-2] <= FLAT * values[-1]:
        raise BadInput(
            f"run: {len(snapshots)} snapshots on one line span no plane; allowed are more of them, "
            f"by another run or a smaller every"
        )
    values, vectors = values.flip(0)[:2], vectors.flip(1)[:, :2]
    signed = torch.where(vectors[0] > 0, -vectors, vectors)
    weighed = (signed / values.sqrt()).T
    axes = torch.cat([weighed @ centred for centred in columns(snapshots)], dim=1)
    origin = torch.cat([part.double().mean(0) for part in snapshots.split(COLUMNS, dim=1)])
    first, second = (values / gram.trace()).tolist()
    return Plane(origin, axes, (first, second))


def columns(snapshots: Tensor) -> Iterator[Tensor]:
    """Some columns at a time, less their means, in double precision."""
    for part in snapshots.split(COLUMNS, dim=1):
        double = part.double()
        yield double - double.mean(0)


def window_of(places: Tensor) -> Window:
    """All places [n, 2], with a margin."""
    low, high = places.amin(0), places.amax(0)
    margin = MARGIN * (high - low)
    (left, bottom), (right, top) = (low - margin).tolist(), (high + margin).tolist()
    return Window(left, right, bottom, top)


def losses_of(plane: Plane, window: Window, side: int, loss: Callable[[Tensor], float]) -> Tensor:
    """The losses of a grid over the window: float64 [side along y, side along x]."""
    x = torch.linspace(window.left, window.right, side, dtype=torch.float64).tolist()
    y = torch.linspace(window.bottom, window.top, side, dtype=torch.float64).tolist()
    rows = [[loss(plane.at(across, up)) for across in x] for up in y]
    return torch.tensor(rows, dtype=torch.float64)


def surface_of(
    plane: Plane, window: Window, losses: Tensor, starts: Sequence[tuple[float, float]], unit: str
) -> Surface:
    """The plane as a surface whose loss is the grid's, and linear between its places. Where the
    grid's is no finite number, it is the highest that is one. Raises BadInput where none is."""
    known = losses[losses.isfinite()]
    if not len(known):
        raise BadInput("run: their plane has no place of a finite loss; allowed are other runs")
    losses = losses.where(losses.isfinite(), known.max())

    def loss(positions: Tensor) -> Tensor:
        low = torch.tensor([window.left, window.bottom], dtype=torch.float64)
        high = torch.tensor([window.right, window.top], dtype=torch.float64)
        places = 2 * (positions - low) / (high - low) - 1
        found = F.grid_sample(losses[None, None], places.reshape(1, 1, -1, 2), align_corners=True)
        return found.reshape(positions.shape[:-1])

    first, second = plane.shares
    return Surface(
        title="The plane of the runs",
        formula="",
        lesson="",
        axes=(f"first direction ({first:.1%})", f"second direction ({second:.1%})"),
        start=starts[0],
        apart=tuple(starts[1:]),
        minima=(),
        window=window,
        loss=loss,
        descended=exactly(loss),
        unit=unit,
        floor=losses.min().item(),
    )
