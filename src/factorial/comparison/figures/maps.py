"""Maps of a grid: one value in each cell, or a small chart of several."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import FuncNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from factorial.comparison.figures import style
from factorial.comparison.findings import Findings
from factorial.comparison.intervals import average
from factorial.comparison.table import Comparison, label
from factorial.comparison.wording import name

FIRST = ("optimizer.lr", "epochs")  # the axes, where both vary
CELL = (0.72, 0.44)  # inches
LOWEST = 1.5  # inches of a panel, or its axis would be shorter than its label
MOST_PANELS = 24
FAILED, ABSENT = "failed", "no run"
# what a chart shows, each from zero up, less being better
BARS = {
    "error": "error (share)",
    "gap": "held-out less training loss (nats)",
    "seconds": "time (s)",
}
CLIPPED = 8  # bars end at so many times their median, or one failure flattens all others


class Grid(NamedTuple):
    """Cells by row and column; `panels` are the combinations of the other factors' levels."""

    rows: str
    columns: str
    levels: tuple[list[str], list[str]]
    others: list[str]
    panels: list[tuple[str, ...]]
    dropped: int


def grid(comparison: Comparison) -> Grid | None:
    """None where fewer than two factors vary."""
    levels = comparison.levels
    varying = [key for key in comparison.settings if len(levels[key]) > 1]
    if len(varying) < 2:
        return None
    by_size = sorted(varying, key=lambda key: (not is_numeric(levels[key]), -len(levels[key])))
    rows, columns = FIRST if set(FIRST) <= set(varying) else by_size[:2]
    others = [key for key in comparison.settings if key not in (rows, columns)]
    seen = pd.concat([comparison.runs, comparison.failures])[others].drop_duplicates()
    order = [[*levels[key]] for key in others]
    known = {tuple(values) for values in seen.to_numpy()}
    panels = [levels for levels in itertools.product(*order) if levels in known]
    kept = panels[:MOST_PANELS]
    return Grid(
        rows, columns, (levels[rows], levels[columns]), others, kept, len(panels) - len(kept)
    )


def is_numeric(levels: list[str]) -> bool:
    return all(level.replace(".", "").replace("e-", "").isdigit() for level in levels)


def is_geometric(levels: list[str]) -> bool:
    """Whether each level is the same multiple of the one before."""
    if len(levels) < 3 or not is_numeric(levels) or any(float(level) <= 0 for level in levels):
        return False
    steps = np.diff(np.log([float(level) for level in levels]))
    return bool(np.allclose(steps, steps[0], rtol=1e-3))


def canvas(plan: Grid, cell: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """Panels of one size, three or fewer beside each other, each with its title."""
    across = min(len(plan.panels), max(1, int(9 / (cell[0] * len(plan.levels[1]) + 0.8))), 3)
    down = math.ceil(len(plan.panels) / across)
    width = across * (cell[0] * len(plan.levels[1]) + 0.8) + 1.2
    height = down * (max(cell[1] * len(plan.levels[0]), LOWEST) + 0.75) + 0.6
    drawn = style.figure(max(width, 4.5), height)
    panels = list(drawn.subplots(down, across, squeeze=False).flat)
    for unused in panels[len(plan.panels) :]:
        unused.set_visible(False)
    return drawn, panels[: len(plan.panels)]


def frame(axes: Axes, plan: Grid, levels: tuple[str, ...]) -> None:
    """The axes of a panel: levels at whole numbers, a log axis where they are geometric."""
    style.ticks(axes, plan.levels[1])
    axes.set_yticks(range(len(plan.levels[0])), style.short(plan.levels[0]))
    axes.set_xlim(-0.5, len(plan.levels[1]) - 0.5)
    axes.set_ylim(len(plan.levels[0]) - 0.5, -0.5)
    words = [f"{name(key)} (log scale)" if is_geometric(shown) else name(key)
             for key, shown in zip(plan[:2], plan.levels, strict=True)]  # fmt: skip
    axes.set_ylabel(words[0])
    axes.set_xlabel(words[1])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    row = pd.DataFrame([levels], columns=plan.others)
    if plan.others:
        width = CELL[0] * len(plan.levels[1])
        style.panel_title(axes, label(row, plan.others).iloc[0], width)


class Cell(NamedTuple):
    """A place in a panel, its runs with a result, and how many have none."""

    row: int
    column: int
    runs: pd.DataFrame
    failed: int


def cells(comparison: Comparison, plan: Grid, levels: tuple[str, ...]) -> Iterator[Cell]:
    def within(table: pd.DataFrame, row: str, column: str) -> pd.DataFrame:
        for key, level in zip((*plan.others, *plan[:2]), (*levels, row, column), strict=True):
            table = table[table[key] == level]
        return table

    for (i, row), (j, column) in itertools.product(*map(enumerate, plan.levels)):
        failed = len(within(comparison.failures, row, column))
        yield Cell(i, j, within(comparison.runs, row, column), failed)


def thematic(findings: Findings) -> Figure | None:
    """The mean score in every cell, by colour and by number, on one scale for all panels."""
    comparison = findings.comparison
    plan = grid(comparison)
    if plan is None:
        return None
    drawn, panels = canvas(plan, CELL)
    shade = scale(findings)
    colors = ScalarMappable(shade, style.MAP)
    for axes, levels in zip(panels, plan.panels, strict=True):
        frame(axes, plan, levels)
        for cell in cells(comparison, plan, levels):
            if len(cell.runs):
                mean = average(cell.runs["score"])
                fill(axes, cell, colors.to_rgba(np.asarray(mean)))
                dark = shade(mean) < 0.55
                few = f"\nn={len(cell.runs)}" if cell.failed else ""
                write(axes, cell, f"{mean:.4f}{few}", "white" if dark else "black")
            else:
                empty(axes, cell)
    bar = drawn.colorbar(colors, ax=panels, shrink=0.9, aspect=30)
    bar.set_ticks([float(shade.inverse(share)) for share in np.linspace(0, 1, 5)])
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:.4f}")
    bar.ax.minorticks_off()
    style.heading(drawn, counted(comparison, plan, comparison.measure))
    return drawn


def scale(findings: Findings) -> Normalize:
    """Of an accuracy equal steps of colour are equal ratios of error, or 0.97 could not be told
    from 0.98; of anything else equal differences."""
    means = findings.board["mean"]
    if not findings.comparison.ranking.is_accuracy:
        return Normalize(means.min(), means.max() if means.max() > means.min() else None)
    means = means.clip(upper=1 - 1e-5)
    low, high = means.min(), means.max()
    if np.isclose(low, high, rtol=0, atol=1e-9):  # means of the same scores differ by rounding
        return Normalize(low - 1e-6, high + 1e-6)

    return FuncNorm((log_error, accuracy), low, high)


def log_error(accuracy: Any) -> Any:
    return -np.log10(np.clip(1 - np.asarray(accuracy, dtype=float), 1e-6, None))


def accuracy(log_error: Any) -> Any:
    return 1 - 10 ** -np.asarray(log_error, dtype=float)


def counted(comparison: Comparison, plan: Grid, what: str) -> str:
    sizes = comparison.runs.groupby(comparison.settings).size()
    more = f"; {plan.dropped} more panels are in runs.csv" if plan.dropped else ""
    return f"{what}, {style.many(sizes)} a cell{more}"


def fill(axes: Axes, cell: Cell, color: Any, **more: Any) -> None:
    corner = (cell.column - 0.48, cell.row - 0.47)
    axes.add_patch(Rectangle(corner, 0.96, 0.94, facecolor=color, linewidth=0, **more))


def write(axes: Axes, cell: Cell, words: str, color: str) -> None:
    axes.text(cell.column, cell.row, words, ha="center", va="center", color=color, fontsize=8)


def empty(axes: Axes, cell: Cell) -> None:
    """A cell whose runs failed is hatched, one without a run is blank: each says so."""
    if cell.failed:
        fill(axes, cell, "white", hatch="////", edgecolor="#C0C0C0")
        box = {"facecolor": "white", "linewidth": 0, "pad": 1}
        axes.text(cell.column, cell.row, FAILED, ha="center", va="center", fontsize=8, bbox=box)
    else:
        write(axes, cell, ABSENT, style.GREY)


def charts(findings: Findings) -> Figure | None:
    """In every cell the error (of an accuracy), the gap and the time as bars, each on one scale for
    all panels."""
    comparison = findings.comparison
    plan = grid(comparison)
    if plan is None:
        return None
    runs, shown = comparison.runs, [bar for bar in BARS if bar != "error"]
    if comparison.ranking.is_accuracy:
        runs, shown = runs.assign(error=1 - runs["score"]), [*BARS]
    values = runs.groupby(comparison.settings)[shown].mean()
    full = {bar: ceiling(values[bar]) for bar in shown if values[bar].notna().any()}
    drawn, panels = canvas(plan, (CELL[0], CELL[1] * 1.5))
    for axes, levels in zip(panels, plan.panels, strict=True):
        frame(axes, plan, levels)
        for cell in cells(replace(comparison, runs=runs), plan, levels):
            if len(cell.runs):
                bars(axes, cell, full)
            else:
                empty(axes, cell)
    keys = [
        Patch(color=style.COLORS[number], label=f"{BARS[bar]}, full height {most:.3g}")
        for number, (bar, most) in enumerate(full.items())
    ]
    drawn.legend(handles=keys, loc="outside lower left", ncols=1)
    words = "error, gap and time" if comparison.ranking.is_accuracy else "gap and time"
    style.heading(drawn, counted(comparison, plan, words))
    return drawn


def ceiling(values: pd.Series) -> float:
    values = values.clip(lower=0)
    return float(min(values.max(), CLIPPED * values.median()) or values.max() or 1.0)


def bars(axes: Axes, cell: Cell, full: dict[str, float]) -> None:
    fill(axes, cell, "#F4F4F4")
    width = 0.8 / len(full)
    bottom = cell.row + 0.44
    for number, (bar, most) in enumerate(full.items()):
        share = max(cell.runs[bar].mean(), 0.0) / most
        left = cell.column - 0.4 + number * width
        height = min(share, 1.0) * 0.86
        color = style.COLORS[number]
        axes.add_patch(Rectangle((left, bottom - height), width * 0.86, height, facecolor=color))
        if share > 1:  # cut off: an arrow says so
            axes.plot(left + width * 0.43, bottom - height, "^", color=color, markersize=4)
