"""Maps of a grid: one value in each cell, or a small chart of several."""

import itertools
import math
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import FuncNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from factorial.comparison.figures import clipping, naming, places, style
from factorial.comparison.figures.plan import Grid, grid, is_geometric
from factorial.comparison.findings import Findings
from factorial.comparison.intervals import average
from factorial.comparison.table import Comparison
from factorial.comparison.wording import name, share

CELL = (0.72, 0.44)  # inches
LOWEST = 1.5  # inches of a panel, or its axis would be shorter than its label
FAILED, ABSENT = "failed", "no run"
ROUNDED = 1 + 1e-9  # means of the same values differ by rounding: no more than 1
# what a chart shows, each from zero up, less being better
BARS = {
    "error": "error (share)",
    "gap": "held-out less training loss (nats)",
    "seconds": "time (s)",
}


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


def frame(axes: Axes, plan: Grid, title: str) -> None:
    """The axes of a panel: levels at whole numbers, a log axis where they are geometric."""
    style.ticks(axes, plan.levels[1], CELL[0] * len(plan.levels[1]))
    axes.set_yticks(range(len(plan.levels[0])), naming.fitted(plan.levels[0], naming.SHORT))
    axes.set_xlim(-0.5, len(plan.levels[1]) - 0.5)
    axes.set_ylim(len(plan.levels[0]) - 0.5, -0.5)
    words = [f"{name(key)} (log scale)" if is_geometric(shown) else name(key)
             for key, shown in zip(plan[:2], plan.levels, strict=True)]  # fmt: skip
    axes.set_ylabel(words[0])
    axes.set_xlabel(words[1])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    style.panel_title(axes, title, CELL[0] * len(plan.levels[1]))


def titled(plan: Grid) -> tuple[list[str], str]:
    """What each panel is called, and what all have in common."""
    if not plan.others:
        return [""], ""
    rows = pd.DataFrame(plan.panels, columns=plan.others)
    names = naming.names(rows.assign(label=range(len(rows))), plan.others)
    return list(names.of.values()), names.said()


class Cell(NamedTuple):
    """A place in a panel, its runs with a result, and how many have none."""

    row: int
    column: int
    runs: pd.DataFrame
    failed: int


def cells(
    comparison: Comparison, plan: Grid, runs: pd.DataFrame
) -> Callable[[tuple[str, ...]], Iterator[Cell]]:
    """What gives the cells of a panel, which has these levels of the other factors."""
    keys = [*plan.others, *plan[:2]]
    known = dict(list(runs.groupby(keys)))
    failed = comparison.failures.groupby(keys).size() if len(comparison.failures) else {}

    def of_panel(levels: tuple[str, ...]) -> Iterator[Cell]:
        for (i, row), (j, column) in itertools.product(*map(enumerate, plan.levels)):
            at = (*levels, row, column)
            yield Cell(i, j, known.get(at, runs[:0]), int(failed.get(at, 0)))

    return of_panel


def thematic(findings: Findings) -> Figure | None:
    """The mean score in every cell, by colour and by number, on one scale for all panels."""
    comparison = findings.comparison
    plan = grid(findings)
    if plan is None:
        return None
    drawn, panels = canvas(plan, CELL)
    window = clipping.window(findings.board["mean"], comparison.ranking)
    shade = scale(findings)
    colors = ScalarMappable(shade, style.MAP)
    titles, common = titled(plan)
    within = cells(comparison, plan, comparison.runs)
    for axes, levels, title in zip(panels, plan.panels, titles, strict=True):
        frame(axes, plan, title)
        for cell in within(levels):
            if len(cell.runs):
                mean = average(cell.runs["score"])
                color = colors.to_rgba(np.asarray(mean))
                fill(axes, cell, color)
                few = f"\nn={len(cell.runs)}" if cell.failed else ""
                write(axes, cell, f"{share(mean)}{few}", style.ink(color))
            else:
                empty(axes, cell)
    beyond = window.cuts(findings.board["mean"])
    side = ("max" if comparison.ranking.sign < 0 else "min") if beyond else "neither"
    thin = 6 * drawn.get_figheight()
    bar = drawn.colorbar(colors, ax=panels, shrink=0.9, aspect=thin, extend=side, extendfrac=0.03)
    bar.set_ticks([float(shade.inverse(share)) for share in np.linspace(0, 1, 5)])
    bar.ax.yaxis.set_major_formatter(lambda value, _: share(value))
    bar.ax.minorticks_off()
    end = "; colours end before the worst" if beyond else ""
    style.heading(drawn, counted(comparison, plan, comparison.measure) + end + common)
    return drawn


def scale(findings: Findings) -> Normalize:
    """Of an accuracy equal steps of colour are equal ratios of error, or 0.97 could not be told
    from 0.98; of anything else equal differences."""
    means = findings.board["mean"]
    means = clipping.window(means, findings.comparison.ranking).inside(means)
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
    plan = grid(findings)
    if plan is None:
        return None
    runs, shown = comparison.runs, [bar for bar in BARS if bar != "error"]
    if comparison.ranking.is_accuracy:
        runs, shown = runs.assign(error=1 - runs["score"]), [*BARS]
    values = runs.groupby(comparison.settings)[shown].mean()
    full = {bar: ceiling(values[bar]) for bar in shown if values[bar].notna().any()}
    drawn, panels = canvas(plan, (CELL[0], CELL[1] * 1.5))
    titles, common = titled(plan)
    within = cells(comparison, plan, runs)
    settings = findings.board[comparison.settings].itertuples(index=False, name=None)
    at = {levels: place for place, levels in enumerate(settings)}
    for axes, levels, title in zip(panels, plan.panels, titles, strict=True):
        frame(axes, plan, title)
        for cell in within(levels):
            if len(cell.runs):
                bars(axes, cell, full)
                setting = tuple(cell.runs[comparison.settings].iloc[0])
                places.cell(axes, [at[setting]], cell.column, cell.row)
            else:
                empty(axes, cell)
    words = [f"{BARS[bar]}, {heights(values[bar], most)}" for bar, most in full.items()]
    room = int(13 * (drawn.get_figwidth() - 0.6))  # characters beside a patch
    keys = [
        Patch(color=style.COLORS[number], label=textwrap.fill(said, room))
        for number, said in enumerate(words)
    ]
    drawn.legend(handles=keys, loc="outside lower left", ncols=1)
    what = "error, gap and time" if comparison.ranking.is_accuracy else "gap and time"
    style.heading(drawn, counted(comparison, plan, what) + common)
    return drawn


def ceiling(values: pd.Series) -> float:
    """What a bar of full height is: the largest value, but for those beyond the fence."""
    fence = clipping.fence(values)
    most = max(values[values <= fence].max(), 0.0)
    return float(most or max(min(values.max(), fence), 0.0) or 1.0)


def heights(values: pd.Series, most: float) -> str:
    """What bars of values are drawn on: those beyond have an arrow, those below 0 no height."""
    beyond = f", arrow: up to {values.max():.3g}" if values.max() > most * ROUNDED else ""
    below = f", none: below 0, down to {values.min():.3g}" if values.min() < 0 else ""
    return f"full height {most:.3g}{beyond}{below}"


def bars(axes: Axes, cell: Cell, full: dict[str, float]) -> None:
    fill(axes, cell, "#F4F4F4")
    width = 0.8 / len(full)
    bottom = cell.row + 0.44
    for number, (bar, most) in enumerate(full.items()):
        part = max(cell.runs[bar].mean(), 0.0) / most
        left = cell.column - 0.4 + number * width
        height = min(part, 1.0) * 0.86
        color = style.COLORS[number]
        axes.add_patch(Rectangle((left, bottom - height), width * 0.86, height, facecolor=color))
        if part > ROUNDED:  # cut off: an arrow says so
            axes.plot(left + width * 0.43, bottom - height, "^", color=color, markersize=4)
