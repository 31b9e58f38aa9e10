"""What is to be seen in each figure of a search, in words: for whoever can't see it."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from factorial.comparison.alt import some
from factorial.comparison.opening import listed
from factorial.comparison.trial_rows import STATES, level
from factorial.comparison.trials import COMPLETE, Trials
from factorial.comparison.wording import share

Shares = Mapping[str, float]


def history(trials: Trials, shares: Shares) -> str:  # noqa: ARG001
    """How the best so far rose, and what has no point of its own."""
    complete = trials.table[trials.table["state"] == COMPLETE]
    rises = complete[complete["value"] > complete["value"].cummax().shift(fill_value=-1.0)]
    steps = [f"{share(row.value)} at trial {row.number}" for row in rises.itertuples()]
    rose = f"best so far {', then '.join(few(steps))}" if steps else "no trial is complete"
    others = trials.table["state"].value_counts().drop(COMPLETE, errors="ignore")
    counted = "".join(f"; {others[state]} {STATES[state]}" for state in STATES if state in others)
    return f"{rose}{counted}"


def few(steps: list[str]) -> list[str]:
    """The first, the second and the last of many."""
    return steps if len(steps) <= 3 else [*steps[:2], steps[-1]]


def rungs(trials: Trials, shares: Shares) -> str:  # noqa: ARG001
    """How many trials came to each rung, and how well the best of them did there."""
    said = []
    for rung in trials.rungs:
        there = [curve[rung] for curve in trials.curves if rung in curve]
        if there:
            count = "1 trial" if len(there) == 1 else f"{len(there)} trials"
            said.append(f"{count} reached epoch {rung}, the best {share(max(there))}")
    return some(said)


def importances(trials: Trials, shares: Shares) -> str:  # noqa: ARG001
    return some([f"{key} {part:.1%}" for key, part in shares.items()])


def parallel(trials: Trials, shares: Shares) -> str:  # noqa: ARG001
    """Where the lines of the best and of the worst trial run."""
    ranked = trials.ranked
    ends = ranked.iloc[[0, -1]] if len(ranked) > 1 else ranked
    words = zip(("best", "worst"), ends.to_dict("records"), strict=False)
    return "; ".join(f"{word}: {trial(trials, row)}" for word, row in words)


def trial(trials: Trials, row: Mapping[Any, Any]) -> str:
    settings = listed([f"{key}={level(row[key])}" for key in trials.keys])
    return f"trial {row['number']}, {share(row['value'])}, with {settings}"


def contour(trials: Trials, shares: Shares) -> str:
    """Where accuracy is highest and lowest, of the two settings that mattered most."""
    table = trials.table[trials.table["first"].notna()].sort_values("first", kind="stable")
    keys = sorted(trials.keys, key=lambda key: -shares.get(key, 0.0))
    numeric = [key for key in keys if trials.is_numeric(key)][:2]
    ends = zip(("lowest", "highest"), table.iloc[[0, -1]].to_dict("records"), strict=True)
    said = [f"{word}, {share(row['first'])}, at "
            f"{listed([f'{key}={level(row[key])}' for key in numeric])}"
            for word, row in ends]  # fmt: skip
    return "; ".join(reversed(said))


def slices(trials: Trials, shares: Shares) -> str:
    """For each setting, between which levels the best quarter of the trials lies."""
    table = trials.table[trials.table["value"].notna()]
    best = table.nlargest(max(1, round(len(table) / 4)), "value")
    keys = sorted(trials.keys, key=lambda key: -shares.get(key, 0.0))
    return some([f"{key}: the best quarter at {span(trials, best[key], key)}" for key in keys])


def span(trials: Trials, levels: pd.Series, key: str) -> str:
    if not trials.is_numeric(key):
        return ", ".join(dict.fromkeys(map(level, levels)))
    low, high = level(levels.min()), level(levels.max())
    return low if low == high else f"{low} to {high}"


TEXTS: Mapping[str, Callable[[Trials, Shares], str]] = {
    "history": history,
    "rungs": rungs,
    "importances": importances,
    "parallel": parallel,
    "contour": contour,
    "slices": slices,
}


def text(figure: str, trials: Trials, shares: Shares) -> str:
    """Of a figure of that name which was drawn."""
    return TEXTS[figure](trials, shares)
