"""What all figures share: colours that survive colour blindness and print, sizes, and saving."""

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from factorial.comparison.figures.naming import SHORT, fitted
from factorial.comparison.findings import Findings

# Okabe and Ito, "Color Universal Design" (2008), ordered by contrast on white
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (7, 3)))
GREY = "#8A8A8A"
MAP = "cividis"  # its lightness is monotonous, for any kind of colour vision
SMALLEST, LEAST_TEXT = 8, 9  # points of a figure's smallest words; pixels of these on a page
LETTER = 0.08  # inches of a character
MOST_DECADES = 5  # along x, of which one may be 1e-05
MOST = len(COLORS)  # lines that one set of axes tells apart

SETTINGS: Any = {
    "font.family": "DejaVu Sans",  # ships with matplotlib
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titley": 1.0,  # said, it is not searched for: no ticks stand above any axes
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "text.parse_math": False,  # a level is a level, whatever it is spelled with
    "image.composite_image": False,  # or an SVG's images are one, as coarse as a screen
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "factorial",  # the same record draws the same file
}


@contextmanager
def style() -> Iterator[None]:
    with matplotlib.rc_context(SETTINGS):
        yield


def figure(width: float, height: float) -> Figure:
    """Sizes in inches; the layout keeps labels off each other."""
    return Figure(figsize=(width, height), layout="constrained")


def save(drawn: Figure, folder: Path, name: str) -> None:
    """As NAME.svg and NAME.png, laid out once for both: half of what drawing costs is layout."""
    layout = drawn.get_layout_engine()
    if layout is not None:
        layout.execute(drawn)
        drawn.set_layout_engine(None)
    drawn.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
    quick = {"compress_level": 1}  # a tenth larger than 6, in half the time
    drawn.savefig(folder / f"{name}.png", dpi=150, metadata={"Software": None}, pil_kwargs=quick)


def least_width(drawn: Figure) -> float:
    """In a browser's pixels: so wide, its smallest words (8 points) are still 9 pixels tall."""
    return 96 * drawn.get_figwidth() * LEAST_TEXT / (SMALLEST * 96 / 72)


def look(number: int) -> dict[str, Any]:
    """Colour, marker and dash of the line of that number."""
    turn, place = divmod(number, MOST)
    shifted = (place + turn) % MOST  # another marker and dash where colours come round again
    return {"color": COLORS[place], "marker": MARKERS[shifted], "linestyle": DASHES[shifted]}


def ink(fill: Any) -> str:
    """Black or white, whichever has more contrast to a colour (WCAG 2.2: at least 4.5 to 1)."""
    red, green, blue = (
        one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in to_rgb(fill)
    )
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "white" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "black"


def heading(drawn: Figure, words: str, beside: float = 0.0) -> None:
    """Words above a whole figure, clear of what stands `beside` at its right, in inches."""
    width = int(13 * (drawn.get_figwidth() - beside))
    lines = [textwrap.fill(line, width) for line in words.splitlines()]
    drawn.suptitle("\n".join(lines), fontsize=9, ha="left", x=0.01)


def panel_title(axes: Axes, label: str, inches: float) -> None:
    """A label above a panel of so many inches, on as many lines as it needs."""
    axes.set_title(textwrap.fill(label, max(10, int(13 * inches))))


def ticks(axes: Axes, levels: Sequence[str], inches: float = 3.2) -> None:
    """Levels along x at 0, 1, 2, ... on so many inches; slanted where they would touch."""
    words = fitted(levels, SHORT)
    long = max(map(len, words)) * len(words) * LETTER > inches
    axes.set_xticks(range(len(words)), words)
    axes.tick_params(axis="x", rotation=35 if long else 0)
    if long:
        for tick in axes.get_xticklabels():
            tick.set(ha="right", rotation_mode="anchor")


def whole_ticks(axis: Axis) -> None:
    """Whole numbers only, be it a single one."""
    axis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))


def whole_numbers(low: float, high: float) -> list[int]:
    """The same, of an axis that is drawn in a browser."""
    ticks = MaxNLocator(9, integer=True, min_n_ticks=1).tick_values(low, high)
    return [int(tick) for tick in ticks if low <= tick <= high]


def log_ticks(axis: Axis) -> None:
    """Plain numbers: whole decades or, where there is hardly one, 1, 2 and 5 of each. Of many
    decades along x, where numbers stand beside each other, some."""
    low, high = axis.get_view_interval()
    most = MOST_DECADES if isinstance(axis, XAxis) else "auto"
    decades = LogLocator(subs=(1,), numticks=most)  # type: ignore[arg-type]
    axis.set_major_locator(decades if high / low > 40 else LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_locator(NullLocator())


def many(sizes: pd.Series) -> str:
    """`n = 5`, or `n = 2 to 5` where sizes differ."""
    low, high = sizes.min(), sizes.max()
    return f"n = {low}" if low == high else f"n = {low} to {high}"


def over_seeds(findings: Findings, shown: str) -> str:
    """What a line and the bar or band around it are."""
    sizes = findings.board["n"]
    return f"mean of {many(sizes)} seeds; {shown}" if sizes.max() > 1 else "one seed"


def beside(axes: Axes, title: str | None = None) -> None:
    """The legend, to the right of the axes, where it covers nothing."""
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, title=title)
