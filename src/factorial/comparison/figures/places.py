"""Where a drawn figure shows each setting: marks that nobody sees, for a page to lay rings on.

A setting is named by its place on the leaderboard, from 0.
"""

from collections.abc import Iterable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle
from matplotlib.transforms import ScaledTranslation, Transform

Box = tuple[float, float, float, float]
AROUND = 0.17  # inches, of what goes around a marker


def point(axes: Axes, of: Iterable[int], x: float, y: float) -> None:
    """Around a marker at x and y of the axes."""
    there = ScaledTranslation(x, y, axes.transData)  # type: ignore[arg-type]  # log scales too
    inches = axes.figure.dpi_scale_trans + there
    mark(axes.figure, of, (-AROUND / 2, -AROUND / 2, AROUND, AROUND), inches)


def cell(axes: Axes, of: Iterable[int], column: int, row: int) -> None:
    """Around a cell, whose sides are 1."""
    box = (column - 0.48, row - 0.47, 0.96, 0.94)
    mark(axes.figure, of, box, axes.transData)


def panel(axes: Axes, of: Iterable[int]) -> None:
    """Around the whole of the axes."""
    mark(axes.figure, of, (0, 0, 1, 1), axes.transAxes)


def whole(drawn: Figure, of: Iterable[int]) -> None:
    """Around the whole figure."""
    mark(drawn, of, (0.005, 0.005, 0.99, 0.99), drawn.transFigure)


def mark(drawn: Figure | SubFigure, of: Iterable[int], box: Box, within: Transform) -> None:
    left, low, width, height = box
    words = " ".join(map(str, of))
    around = Rectangle((left, low), width, height, transform=within, gid=words, visible=False)
    drawn.add_artist(around)


def found(drawn: Figure) -> list[dict[str, Any]]:
    """The marks of a figure that is laid out: which settings each is `of`, and its `box`: left,
    top, width and height, as shares of the figure's."""
    marks = []
    for artist in drawn.artists:
        box = artist.get_window_extent().transformed(drawn.transFigure.inverted())
        sides = (box.x0, 1 - box.y1, box.width, box.height)
        of = [int(one) for one in str(artist.get_gid()).split()]
        marks.append({"of": of, "box": [round(side, 4) for side in sides]})
    return marks
