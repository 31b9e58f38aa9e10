"""Which effects the data can tell, and what stands against the others."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from factorial.comparison.nested import Term, applicable, dummies, nesting

FEW = 3  # pairs of factors that each get a line of their own
NAMED = 6  # of many pairs


def why_not(runs: pd.DataFrame, factors: Sequence[str], score: str) -> list[str]:
    """What stands against any analysis of these runs."""
    if not factors:
        return ["no factor varies"]
    if runs[score].nunique() < 2:
        return ["all runs score alike"]
    if is_aliased(runs, [(factor,) for factor in factors]):
        changing = [
            f"{one} and {other}"
            for one, other in itertools.combinations(factors, 2)
            if runs.groupby(one)[other].nunique().max() == 1
            or runs.groupby(other)[one].nunique().max() == 1
        ]
        which = ", ".join(changing) or ", ".join(factors)
        return [f"{which} change together: the data can't tell their effects apart"]
    return []


def is_aliased(runs: pd.DataFrame, terms: Sequence[Term]) -> bool:
    """Whether some effect is a combination of others in these runs."""
    settings = runs[sorted({factor for term in terms for factor in term})].drop_duplicates()
    nests = nesting(settings)
    columns = (dummies(settings, term, nests) for term in terms)
    matrix = np.hstack([np.ones((len(settings), 1)), *columns])
    return bool(np.linalg.matrix_rank(matrix) < matrix.shape[1])


def estimable(
    runs: pd.DataFrame, factors: Sequence[str], replicated: bool
) -> tuple[list[Term], list[str]]:
    """The terms that the data can tell, and why not the others."""
    terms: list[Term] = [(factor,) for factor in factors]
    settings = runs[list(factors)].drop_duplicates()
    nests = nesting(settings)
    pairs: list[Term] = []
    untold: dict[str, str] = {}
    for pair in itertools.combinations(factors, 2):
        both = applicable(settings, pair, nests)
        have, possible = both.groupby(list(pair)).ngroups, int(both[list(pair)].nunique().prod())
        if both[list(pair)].nunique().min() < 2:
            continue  # a factor within one level of the other, or two that none has both of
        if have == possible:
            pairs.append(pair)
        else:
            untold[" x ".join(pair)] = f"{possible - have} of {possible} combinations"
    notes = without_results(untold)
    if pairs and is_aliased(runs, [*terms, *pairs]):
        return terms, [*notes, "too few combinations to tell interactions from each other"]
    wanted = 1 + sum(dummies(settings, term, nests).shape[1] for term in (*terms, *pairs))
    if pairs and not replicated and wanted >= len(runs):
        return terms, [*notes, "one run a setting: interactions can't be told from noise"]
    return terms + pairs, notes


def without_results(untold: Mapping[str, str]) -> list[str]:
    """A line for each pair of factors and how much of it has no result, as long as they are few;
    many are counted, the first of them named."""
    if len(untold) <= FEW:
        return [
            f"{pair}: {part} have no result, so their interaction can't be told"
            for pair, part in untold.items()
        ]
    named, more = [*untold][:NAMED], len(untold) - NAMED
    return [
        f"{len(untold)} pairs of factors have combinations without a result, so their interactions "
        f"can't be told: {', '.join(named)}{f' and {more} more' if more > 0 else ''}"
    ]
