"""What each level of a factor does, against the factor's first."""

from collections.abc import Mapping, Sequence

import pandas as pd

from factorial.comparison.intervals import Array, contrast
from factorial.comparison.nested import nesting
from factorial.settings.names import ABSENT


def cells(runs: pd.DataFrame, factors: Sequence[str], score: str) -> dict[tuple[str, ...], Array]:
    """The scores of each combination of levels."""
    grouped = runs.groupby(list(factors), sort=False)[score]
    return {key: group.to_numpy(dtype=float) for key, group in grouped}


def level_effects(
    runs: pd.DataFrame, factors: Sequence[str], levels: Mapping[str, Sequence[str]], score: str
) -> pd.DataFrame:
    """Each level against its factor's first: `factor`, `level`, `against`, `estimate`, `over`.

    The difference of means over those `over` settings of the other factors that have both. Of a
    factor within this one, which only one of the two has, the mean counts.
    """
    table = cells(runs, factors, score) if factors else {}
    nests = nesting(runs[list(factors)])
    rows = []
    for factor in factors:
        present = [level for level in levels[factor] if level in set(runs[factor])]
        first, *others = [one for one in present if one != ABSENT or factor not in nests]
        for level in others:
            sides = [matched(table, factors, factor, (level, first), nests, at) for at in (0, 1)]
            both = [rest for rest in sides[0] if rest in sides[1]]
            if not both:
                continue
            groups, weights = [], []
            for side, sign in zip(sides, (1, -1), strict=True):
                for rest in both:
                    groups += side[rest]
                    weights += [sign / len(both) / len(side[rest])] * len(side[rest])
            rows.append((factor, level, first, contrast(groups, weights), len(both)))
    return pd.DataFrame(rows, columns=["factor", "level", "against", "estimate", "over"])


def matched(
    table: Mapping[tuple[str, ...], Array],
    factors: Sequence[str],
    factor: str,
    pair: tuple[str, str],
    nests: Mapping[str, str],
    at: int,
) -> dict[tuple[str, ...], list[Array]]:
    """The scores at one of two levels, by the levels of the other factors that both have."""
    position = factors.index(factor)
    averaged = {position} | {
        place
        for place, other in enumerate(factors)
        if nests.get(other) == factor
        and any(key[place] == ABSENT for key in table if key[position] in pair)
    }
    groups: dict[tuple[str, ...], list[Array]] = {}
    for key, scores in table.items():
        if key[position] == pair[at]:
            rest = tuple(level for place, level in enumerate(key) if place not in averaged)
            groups.setdefault(rest, []).append(scores)
    return groups
