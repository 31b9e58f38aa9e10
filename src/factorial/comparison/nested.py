"""Factors that only some levels of another have: the MLP's activation, in a table of two models."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from factorial.comparison.intervals import Array
from factorial.settings.names import ABSENT

Term = tuple[str, ...]  # one factor, or two that interact


def nesting(settings: pd.DataFrame) -> dict[str, str]:
    """Factors that only some levels of another have, each with that one: it is nested within.

    It has two levels or more where it applies; with one it says no more than the other does.
    """
    partial = [key for key in settings if settings[key].eq(ABSENT).any()]
    whole = [key for key in settings if key not in partial]
    nests = {}
    for inner in (key for key in partial if settings[key].nunique() > 2):
        own_group_first = sorted(whole, key=lambda key: key != inner.partition(".")[0])
        for outer in own_group_first:
            if settings[inner].eq(ABSENT).groupby(settings[outer]).nunique().max() == 1:
                nests[inner] = outer
                break
    return nests


def words(runs: pd.DataFrame, nests: Mapping[str, str]) -> list[str]:
    """What the sums of squares of nested factors are of."""
    said = []
    for inner, outer in nests.items():
        lacking = ", ".join(dict.fromkeys(runs.loc[runs[inner].eq(ABSENT), outer]))
        said.append(
            f"{inner} does not apply to {lacking}: its effects are told within {outer}, among the "
            f"others, and {outer} compares means over its levels"
        )
    return said


def applicable(
    settings: pd.DataFrame, term: Sequence[str], nests: Mapping[str, str]
) -> pd.DataFrame:
    """Those settings that have every nested factor of a term."""
    for factor in term:
        if factor in nests:
            settings = settings[settings[factor] != ABSENT]
    return settings


def contains(other: Term, term: Term, nests: Mapping[str, str]) -> bool:
    """Whether a term has all factors of another; a nested one has that which it lies within."""
    return set(term) <= {*other, *(nests[f] for f in other if f in nests and f not in term)}


def dummies(settings: pd.DataFrame, term: Term, nests: Mapping[str, str]) -> Array:
    """Indicators of the levels of a factor but the first; products of them for two factors.

    Levels are those of the settings to which the term applies; all others have zeros.
    """
    having = applicable(settings, term, nests)
    first: Array
    first, *others = (
        pd.get_dummies(having[factor], drop_first=True).to_numpy(dtype=float) for factor in term
    )
    for other in others:
        first = (first[:, :, None] * other[:, None, :]).reshape(len(having), -1)
    columns = np.zeros((len(settings), first.shape[1]))
    columns[settings.index.isin(having.index)] = first
    return columns
