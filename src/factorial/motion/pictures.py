"""Surfaces and paths as pictures: the ground of contours, stills, losses, animations."""

import io
from collections.abc import Sequence
from pathlib import Path as File
from typing import Any, Protocol

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from factorial.comparison.figures import style
from factorial.motion.paths import Path
from factorial.motion.surface import Surface

GRID = 241  # places along each side, of which contours are made
LEVELS = 12  # contours, evenly spaced in the logarithm of the loss, over
DECADES = 4  # powers of ten
SHADE = (0.30, 0.38, 0.50)  # of the ground, which white as well as black shine through
FLOOR = 1e-10  # losses below it are drawn on it
FRAMES = 61  # of an animation, at most
WAIT, REST = 90, 2500  # milliseconds of a frame, and of the last one
SIZE = (7.2, 4.6)  # inches of a picture with its legend
ENTRY = 0.19  # inches of the legend's height
ABOVE = "loss above the minimum, log scale"


class Trail(Protocol):
    """What can be drawn: an optimizer's path, or a run's."""

    @property
    def optimizer(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def steps(self) -> Sequence[int]: ...
    @property
    def positions(self) -> Tensor: ...
    @property
    def losses(self) -> Tensor: ...
    @property
    def last(self) -> int: ...
    @property
    def left(self) -> int | None: ...
    def until(self, step: int) -> int: ...


def contours(axes: Axes, surface: Surface) -> None:
    """The surface as its window shows it, darker where the loss is greater."""
    window = surface.window
    x, y = np.linspace(*window[:2], GRID), np.linspace(*window[2:], GRID)
    grid = torch.from_numpy(np.stack(np.meshgrid(x, y), axis=-1))
    losses = surface.loss(grid).numpy()
    axes.set(xlim=window[:2], ylim=window[2:])
    lowest = max(losses.max() / 10**DECADES, surface.floor)
    levels = np.geomspace(lowest, losses.max(), LEVELS)
    if not (np.diff(levels) > 0).all():  # as good as flat
        return
    shades = [(*SHADE, 0.03 + 0.33 * level / LEVELS) for level in range(LEVELS)]
    axes.contourf(x, y, losses, [0, *levels], colors=shades)
    axes.contour(x, y, losses, levels, colors=style.GREY, linewidths=0.5)


def ground(surface: Surface) -> bytes:
    """Contours alone, edge to edge, as a transparent PNG of 800 x 600 pixels."""
    drawn = Figure(figsize=(8, 6), dpi=100, facecolor="none")
    axes = drawn.add_axes((0, 0, 1, 1))
    axes.axis("off")
    contours(axes, surface)
    canvas: Any = FigureCanvasAgg(drawn)  # parts of it have no types
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba()))
    return png(image.quantize(64, method=Image.Quantize.FASTOCTREE))


def png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def scene(axes: Axes, surface: Surface) -> None:
    """Contours with their axes, the start and the minima."""
    contours(axes, surface)
    axes.set(xlabel=surface.axes[0], ylabel=surface.axes[1])
    mark: dict[str, Any] = {
        "linestyle": "none",
        "markerfacecolor": "white",
        "markeredgecolor": "black",
    }
    axes.plot(*zip(*surface.starts, strict=True), marker="o", markersize=7, label="start", **mark)
    if surface.minima:
        axes.plot(
            *zip(*surface.minima, strict=True), marker="*", markersize=12, label="minimum", **mark
        )


def tall(least: float, paths: Sequence[Trail]) -> float:
    """Inches of height, so that the legend has room, its starts and minima too."""
    return max(least, ENTRY * (len(paths) + 2) + 0.6)


def look(number: int) -> dict[str, Any]:
    return style.look(number) | {"linewidth": 1.6, "markersize": 6, "markeredgecolor": "white"}


def still(surface: Surface, paths: Sequence[Trail], numbers: dict[str, int]) -> Figure:
    """Whole paths, each with a marker where it ends."""
    drawn = style.figure(SIZE[0], tall(SIZE[1], paths))
    axes = drawn.add_subplot()
    scene(axes, surface)
    for path in paths:
        axes.plot(
            *path.positions.T.numpy(),
            **look(numbers[path.optimizer]),
            markevery=[-1],
            label=fate(path, path.last + 1),
        )
    style.beside(axes)
    return drawn


def losses(
    paths: Sequence[Trail],
    numbers: dict[str, int],
    steps: int,
    span: tuple[float, float],
    words: tuple[str, str] = ("step", ABOVE),
) -> Figure:
    """Loss against steps, within a span; what is below FLOOR, or above the axis, is cut."""
    drawn = style.figure(SIZE[0], tall(3.6, paths))
    axes = drawn.add_subplot()
    for path in paths:
        number = numbers[path.optimizer]
        every = (number * max(1, steps // 60), max(1, steps // 6))  # markers off each other
        fallen = path.losses.clamp_min(FLOOR).numpy()
        axes.semilogy(path.steps, fallen, **look(number), markevery=every, label=path.label)
    axes.set(xlim=(0, steps), ylim=span, xlabel=words[0], ylabel=words[1])
    axes.grid(axis="y")
    style.whole_ticks(axes.xaxis)
    style.log_ticks(axes.yaxis)
    style.beside(axes)
    return drawn


def loss_range(paths: Sequence[Path]) -> tuple[float, float]:
    """From the lowest loss of any, or FLOOR, to ten times that of the start."""
    lowest = min(path.losses.min().item() for path in paths)
    first = paths[0].losses[0].item()
    return max(min(lowest, first / 100), FLOOR), 10 * first


def fate(path: Trail, step: int) -> str:
    """A path's label after so many steps, with what has become of it."""
    if path.left is not None and step >= path.left:
        return f"{path.label} (left at step {path.left})"
    return path.label


def save(drawn: Figure, file: File) -> None:
    """As a PNG of at most 256 colours: a third of what it else takes."""
    stream = io.BytesIO()
    drawn.savefig(stream, dpi=120, metadata={"Software": None}, pil_kwargs={"compress_level": 1})
    image = Image.open(stream).convert("RGB")
    file.write_bytes(png(image.quantize(256, dither=Image.Dither.NONE)))


def animate(
    surface: Surface,
    paths: Sequence[Trail],
    numbers: dict[str, int],
    shown: Sequence[int],
    file: File,
) -> None:
    """A GIF: a trail and a marker for each path, the step, and a legend. It goes round for ever.

    The ground is drawn once, and each frame on a copy of it.
    """
    frames = stages(surface, paths, numbers, shown)
    palette = frames[-1].quantize(128, dither=Image.Dither.NONE)
    first, *others = (frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
    times = [WAIT] * (len(frames) - 1) + [REST]
    first.save(file, save_all=True, append_images=others, duration=times, loop=0)


def stages(
    surface: Surface, paths: Sequence[Trail], numbers: dict[str, int], shown: Sequence[int]
) -> list[Image.Image]:
    """The frames, in RGB, after so many steps each."""
    drawn = Figure(figsize=(SIZE[0], tall(SIZE[1], paths)), dpi=100)
    canvas: Any = FigureCanvasAgg(drawn)  # parts of it have no types
    axes = drawn.add_axes((0.08, 0.11, 0.57, 0.8))
    scene(axes, surface)
    trails = [
        axes.plot([], [], **look(numbers[path.optimizer]), label=path.label, animated=True)[0]
        for path in paths
    ]
    style.beside(axes)
    legend: Any = axes.get_legend()
    legend.set_animated(True)
    counter = axes.set_title("", loc="left", animated=True)
    canvas.draw()
    still = canvas.copy_from_bbox(drawn.bbox)
    entries = legend.get_texts()[-len(paths) :]
    frames = []
    for step in shown:
        canvas.restore_region(still)
        counter.set_text(f"{surface.title}: {surface.unit} {step}")
        for path, trail, entry in zip(paths, trails, entries, strict=True):
            behind = path.until(step)
            trail.set_data(*path.positions[:behind].T.numpy())
            trail.set_markevery([behind - 1])
            entry.set_text(fate(path, step))
        for artist in (*trails, counter, legend):
            axes.draw_artist(artist)
        frames.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))
    return frames
