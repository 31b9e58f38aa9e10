"""Axes that no diverged run stretches: what lies far beyond is cut off, with an arrow."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from factorial.comparison.ranking import Ranking

TIMES, FAR = 7, 15


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

    def said(self, values: Any) -> str:
        """What a caption says of that."""
        return "; arrow: cut off" if self.cuts(values) else ""

    def bar(self, low: float, value: float, high: float) -> list[float]:
        """A value between the ends of its bar, as far as they are inside; no bar around a value
        that is cut off."""
        ends = [value] * 3 if self.cuts(value) else [low, value, high]
        return [float(self.inside(one)) for one in ends]


WHOLE = Window(-math.inf, math.inf)


def window(means: pd.Series, ranking: Ranking) -> Window:
    """Of mean scores: to sixteen times the median loss or, where any lie beyond, a little farther
    than the largest of the others; and as far from the best the other way.

    Whole for an accuracy, which ends at 0 and 1 by itself.
    """
    worse = -ranking.sign * means
    end, best = fence(worse, FAR), worse.min()
    if ranking.is_accuracy or not end > best:
        return WHOLE
    if worse.max() > end:
        most = worse[worse <= end].max()
        end = min(end, most + max(0.25 * (most - best), 0.1 * abs(most)))
    ends = -ranking.sign * end, -ranking.sign * (best - (end - best))
    return Window(min(ends), max(ends))


def end(axes: Axes, window: Window, values: pd.Series) -> None:
    """Let the axis of y end where the window does, if any value lies beyond that end."""
    is_log = axes.get_yscale() == "log"
    kept = values[values.between(window.low, window.high) & (values.gt(0) | (not is_log))]
    low, high = kept.min(), kept.max()
    margin = 1.2 if is_log else 0.05 * (high - low)
    ends = (low / margin, high * margin) if is_log else (low - margin, high + margin)
    over, under = (values > window.high).any(), (values < window.low).any()
    axes.set_ylim(window.low if under else ends[0], window.high if over else ends[1])


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
