"""How the cells of a grid are laid out: which factors are the axes, and which panels are shown."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from factorial.comparison.findings import Findings

FIRST = ("optimizer.lr", "epochs")  # the axes, where both vary
MOST_PANELS = 24


class Grid(NamedTuple):
    """Cells by row and column; `panels` are the combinations of the other factors' levels."""

    rows: str
    columns: str
    levels: tuple[list[str], list[str]]
    others: list[str]
    panels: list[tuple[str, ...]]
    dropped: int


def grid(findings: Findings) -> Grid | None:
    """The winner's panel first, then by their best cells; None with fewer than two factors."""
    comparison = findings.comparison
    levels = comparison.levels
    varying = [key for key in comparison.settings if len(levels[key]) > 1]
    if len(varying) < 2:
        return None
    by_size = sorted(varying, key=lambda key: (not is_numeric(levels[key]), -len(levels[key])))
    rows, columns = FIRST if set(FIRST) <= set(varying) else by_size[:2]
    others = [key for key in comparison.settings if key not in (rows, columns)]
    runs = pd.concat([findings.board, comparison.failures])[others]
    panels = list(dict.fromkeys(runs.itertuples(index=False, name=None)))  # as the board has them
    panels.sort(key=lambda panel: panel != tuple(findings.winner[others]))
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
