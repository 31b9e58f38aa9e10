"""What the axis of a figure cuts off, and how it says so: on axes of a test's own."""

import math

import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from factorial.comparison.figures import clipping
from factorial.comparison.figures.clipping import Window
from factorial.comparison.ranking import ACCURACY, Ranking

LOSS = Ranking("loss", higher=False)
SCORE = Ranking("f1", higher=True)


def test_a_fence_stands_seven_times_beyond_the_median_or_what_is_below_it() -> None:
    """The lower one of two in the middle, whatever the others are."""
    assert clipping.fence(pd.Series([1.0, 2.0, 1e9, math.inf])) == 8 * 2
    assert clipping.fence(pd.Series([1.0, 2.0, 3.0]), times=15) == 16 * 2
    spread = pd.Series([-0.2, -0.1, 0.0, 0.05, 0.1, 70.0])
    assert clipping.fence(spread) == pytest.approx(7 * 0.1)


def test_a_window_ends_a_quarter_beyond_the_worst_that_is_near_and_so_far_from_the_best() -> None:
    means = pd.Series([0.2, 0.3, 0.4, 1e10])
    assert clipping.window(means, LOSS) == pytest.approx((-0.05, 0.45))
    assert clipping.window(-means, SCORE) == pytest.approx((-0.45, 0.05))
    assert clipping.window(means, ACCURACY) == (-math.inf, math.inf)


def test_the_better_side_may_have_no_end() -> None:
    assert Window(1, 2).one_sided(LOSS) == (-math.inf, 2)
    assert Window(1, 2).one_sided(SCORE) == (1, math.inf)


@pytest.mark.parametrize(
    ("values", "cut"),
    [
        ([0, 5, 10], ""),
        ([5, 10.1], "; arrow: cut off, 10.1000"),
        ([-0.1, 5], "; arrow: cut off, -0.1000"),
        ([math.nan, 5], ""),
    ],
)
def test_a_caption_says_whether_anything_is_cut_off(values: list[float], cut: str) -> None:
    window = Window(0, 10)
    assert window.cuts(values) == bool(cut)
    assert window.said(values) == cut


def test_a_bar_ends_where_the_window_does_and_what_is_cut_off_has_none() -> None:
    window = Window(0, 10)
    assert window.bar(2, 5, 8) == [2, 5, 8]
    assert window.bar(-3, 5, 12) == [0, 5, 10]
    assert window.bar(9, 50, 90) == [10, 10, 10]
    assert window.bar(-9, -5, 5) == [0, 0, 0]


def ended(window: Window, values: list[float], scale: str = "linear") -> tuple[float, ...]:
    axes = Figure().add_subplot()
    axes.set_yscale(scale)  # type: ignore[arg-type]
    clipping.end(axes, window, pd.Series(values))
    return axes.get_ylim()


def test_an_axis_ends_with_the_window_only_where_something_is_beyond() -> None:
    window = Window(-4, 4)
    assert ended(window, [1, 2, 3]) == pytest.approx((0.9, 3.1))
    assert ended(window, [1, 2, 3, 1e9]) == pytest.approx((0.9, 4))
    assert ended(window, [-1e9, 1, 2, 3]) == pytest.approx((-4, 3.1))
    assert ended(window, [-1e9, 1, 2, 3, 1e9]) == pytest.approx((-4, 4))
    # what is no number on the axis leaves no trace on it
    assert ended(Window(-math.inf, 1e4), [0, 1, 100], "log") == pytest.approx((1 / 1.2, 120))


def arrows(axes: Axes) -> list[tuple[str, list[float], list[float]]]:
    return [(str(line.get_marker()), *(list(map(float, part)) for part in line.get_data()))
            for line in axes.lines]  # type: ignore[misc]  # fmt: skip


def test_what_is_cut_off_has_an_arrow_at_the_end_that_points_to_where_it_lies() -> None:
    values, places = [1, 10, 50, -50, -10, 60], [0, 1, 2, 3, 4, 5]
    up, along = Figure().add_subplot(), Figure().add_subplot()
    clipping.arrows(up, Window(-10, 10), values, places, "black")
    assert arrows(up) == [("^", [2, 5], [10, 10]), ("v", [3], [-10])]
    clipping.arrows(along, Window(-10, 10), values, places, "black", across=True)
    assert arrows(along) == [(">", [10, 10], [2, 5]), ("<", [-10], [3])]
    clipping.arrows(none := Figure().add_subplot(), clipping.WHOLE, values, places, "black")
    assert not none.lines
