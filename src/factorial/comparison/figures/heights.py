"""Levels of a search's settings as heights from 0 to 1, along an axis."""

from typing import Any

import numpy as np
import pandas as pd

from factorial.comparison.trials import Trials

NAMED = 12  # choices, on an axis


class Scale:
    """Levels of a setting as heights from 0 to 1."""

    def __init__(self, low: float, high: float, is_log: bool, choices: list[Any] | None) -> None:
        self.low, self.high, self.is_log, self.choices = low, high, is_log, choices

    @property
    def size(self) -> int:
        return len(self.choices or ())

    def __call__(self, levels: pd.Series) -> Any:
        if self.choices is not None:
            return np.array([self.choices.index(one) for one in levels]) / max(1, self.size - 1)
        low, high, at = self.low, self.high, levels.to_numpy(dtype=float)
        if self.is_log:
            low, high, at = np.log(low), np.log(high), np.log(at)
        return (at - low) / ((high - low) or 1)

    def ticks(self) -> list[tuple[float, str]]:
        """(height, words) of what is named: the ends, or every choice."""
        if self.choices is not None:
            return [
                (place / max(1, self.size - 1), str(one))
                for place, one in enumerate(self.choices[:NAMED])
            ]
        low, high = self.low, self.high
        middle = np.sqrt(low * high) if self.is_log else (low + high) / 2
        return [(0.0, f"{low:.4g}"), (0.5, f"{middle:.3g}"), (1.0, f"{high:.4g}")]


def scale(trials: Trials, key: str) -> Scale:
    space = trials.spaces[key]
    if not trials.is_numeric(key):
        return Scale(0, 1, False, list(space["choices"]))
    return Scale(float(space["low"]), float(space["high"]), trials.is_log(key), None)


def numbers(values: pd.Series) -> Scale:
    return Scale(float(values.min()), float(values.max()), False, None)
