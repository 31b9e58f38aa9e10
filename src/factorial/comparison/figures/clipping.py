"""Axes that no diverged run stretches: what lies far beyond is cut off, with an arrow."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from factorial.comparison.ranking import Ranking
from factorial.comparison.wording import share

TIMES, FAR = 7, 15
FLAT, APART = 1 / 6, 0.1  # of an axis of accuracies, and of accuracy


def fence(values: pd.Series, times: int = TIMES) -> float:
    """The median and so many times its size beyond it: eight times the median of what is positive.
    Where that is near nothing, so many times what the lower quartile is below it.

    Up to half of the values can be as large as they like, and the fence stays.
    """
    low, middle = values.quantile([0.25, 0.5], interpolation="lower")
    return float(middle + times * max(abs(middle), middle - low))


class Window(NamedTuple):
    """What an axis shows of scores; infinite where nothing is cut off."""

    low: float
    high: float

    def inside(self, values: Any) -> Any:
        return np.clip(values, self.low, self.high)

    def one_sided(self, ranking: Ranking) -> "Window":
        """Without an end on the better side."""
        side = {"low": -math.inf} if ranking.sign < 0 else {"high": math.inf}
        return self._replace(**side)

    def cuts(self, values: Any) -> bool:
        """Whether any of them lies outside."""
        known = np.asarray(values, dtype=float)
        return bool(((known < self.low) | (known > self.high)).any())

    def marked(self, values: Any) -> list[int]:
        """The places of those that have a marker: an arrow stands for each of the others."""
        return [place for place, value in enumerate(values) if not self.cuts(value)]

    def said(self, values: Any, how: str = "arrow: cut off") -> str:
        """What a caption says of that, with the least and the largest of what is cut off."""
        known = np.asarray(values, dtype=float)
        out = known[(known < self.low) | (known > self.high)]
        return f"; {how}, {span(out)}" if len(out) else ""

    def bar(self, low: float, value: float, high: float) -> list[float]:
        """A value between the ends of its bar, as far as they are inside; no bar around a value
        that is cut off."""
        ends = [value] * 3 if self.cuts(value) else [low, value, high]
        return [float(self.inside(one)) for one in ends]


WHOLE = Window(-math.inf, math.inf)


def span(values: Any) -> str:
    """`0.1000`, or `0.0900 to 0.1100`, of numbers."""
    ends = list(dict.fromkeys(share(value) for value in (np.min(values), np.max(values))))
    return " to ".join(ends)


def window(means: pd.Series, ranking: Ranking) -> Window:
    """Of mean scores: to sixteen times the median loss or, where any lie beyond, a little farther
    than the largest of the others; and as far from the best the other way. Of accuracies, which
    end at 0 and 1 by themselves, see below.
    """
    if ranking.is_accuracy:
        return of_accuracies(means)
    worse = -ranking.sign * means
    end, best = fence(worse, FAR), worse.min()
    if not end > best:
        return WHOLE
    if worse.max() > end:
        most = worse[worse <= end].max()
        end = min(end, most + max(0.25 * (most - best), 0.1 * abs(most)))
    ends = -ranking.sign * end, -ranking.sign * (best - (end - best))
    return Window(min(ends), max(ends))


def of_accuracies(means: pd.Series) -> Window:
    """Without those that lie far below all others, which these would be flattened by: fewer than
    half, more than `APART` below, and on an axis of which the others had less than `FLAT`.
    """
    ordered = np.sort(means.dropna().to_numpy(dtype=float))[::-1]
    for kept in range(len(ordered) // 2 + 1, len(ordered)):
        least, below = ordered[kept - 1 : kept + 1]
        spread = ordered[0] - least
        if least - below > APART and spread < FLAT * (ordered[0] - ordered[-1]):
            return Window(float(least - max(0.25 * spread, 0.1 * APART)), math.inf)
    return WHOLE


def ends(window: Window, values: pd.Series, is_log: bool) -> Window:
    """Of an axis that ends where the window does, if any value lies beyond that end, and otherwise
    a little beyond its values."""
    kept = values[values.between(window.low, window.high) & (values.gt(0) | (not is_log))]
    low, high = kept.min(), kept.max()
    margin = 1.2 if is_log else 0.05 * (high - low)
    wide = (low / margin, high * margin) if is_log else (low - margin, high + margin)
    over, under = (values > window.high).any(), (values < window.low).any()
    return Window(window.low if under else wide[0], window.high if over else wide[1])


def end(axes: Axes, window: Window, values: pd.Series) -> None:
    """Let the axis of y end there."""
    axes.set_ylim(*ends(window, values, axes.get_yscale() == "log"))


def arrows(
    axes: Axes, window: Window, values: Sequence[float], places: Sequence[float], color: str,
    across: bool = False,
) -> None:  # fmt: skip
    """At the end of the window, for each value beyond it: values run up or, `across`, along x."""
    sides = ((window.high, "^", ">", 1), (window.low, "v", "<", -1))
    for end, up, right, sign in sides:
        out = [place for value, place in zip(values, places, strict=True)
               if sign * value > sign * end]  # fmt: skip
        if out:
            at = ([end] * len(out), out) if across else (out, [end] * len(out))
            axes.plot(*at, right if across else up, color=color, markersize=6, clip_on=False,
                      zorder=5)  # fmt: skip


def write(axes: Axes, window: Window, value: float, place: float) -> None:
    """Beside its arrow, within the axes, where values run along x."""
    under = value < window.low
    axes.annotate(share(value), (window.low if under else window.high, place),
                  (7 if under else -7, 0), textcoords="offset points", va="center", fontsize=8,
                  ha="left" if under else "right")  # fmt: skip
