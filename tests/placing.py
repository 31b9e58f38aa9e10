"""Where a drawn figure has its marks for a page, and where its axes have a point."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from factorial.comparison.figures import places, style

Box = tuple[float, float, float, float]


def laid_out(drawn: Figure | None, folder: Path) -> Figure:
    assert drawn is not None
    style.save(drawn, folder, "drawn")
    return drawn


def boxes(drawn: Figure, setting: int) -> list[Box]:
    return [tuple(mark["box"]) for mark in places.found(drawn) if setting in mark["of"]]


def at(axes: Axes, x: float, y: float) -> tuple[float, float]:
    """From the left and from the top, as shares of the whole picture."""
    left, bottom = axes.transData.transform((x, y))
    width, height = axes.get_figure(root=True).bbox.size
    return left / width, 1 - bottom / height


def middle(box: Box) -> tuple[float, float]:
    left, top, width, height = box
    return left + width / 2, top + height / 2
