"""Lengths at which trials are compared, and which of them go on: pruning by continuation.

A trial is a chain of runs on one trunk, each going on from the state that the one before it left:
no epoch is trained twice, and the training loop knows nothing of it.
"""

from collections.abc import Mapping

from factorial.settings.messages import BadInput, shown
from factorial.settings.search import Search


def lengths(search: Search, epochs: int) -> list[int]:
    """The rungs in epochs, shortest first; the last is a whole trial. Raises BadInput."""
    if search.pruner is None:
        if search.rungs is not None:
            raise BadInput(
                f"hydra.sweeper.rungs={shown(search.rungs)}: allowed is null without a pruner: "
                f"hydra.sweeper.pruner=halving, or median"
            )
        return [epochs]
    if search.pruner == "halving" and search.at_once < search.reduction:
        raise BadInput(
            f"hydra.sweeper.at_once={search.at_once}: allowed with hydra.sweeper.pruner=halving is "
            f"{search.reduction} or more, of which one in {search.reduction} goes on"
        )
    if search.rungs is not None and search.rungs[-1] > epochs:
        raise BadInput(
            f"hydra.sweeper.rungs={shown(search.rungs)}: allowed are up to {epochs}, the epochs of "
            f"a whole trial"
        )
    rungs = sorted({*(search.rungs or usual(search, epochs)), epochs})
    if len(rungs) < 2:
        raise BadInput(
            f"epochs={epochs}: allowed with hydra.sweeper.pruner={search.pruner} are as many as "
            f"leave a rung before the end"
        )
    return rungs


def usual(search: Search, epochs: int) -> list[int]:
    """Every epoch or, for halving, the whole length divided again and again."""
    if search.pruner == "median":
        return list(range(1, epochs + 1))
    rungs = []
    while epochs >= 1:
        rungs.append(epochs)
        epochs //= search.reduction
    return rungs


def promoted(values: Mapping[int, float], reduction: int) -> set[int]:
    """Of trials by number those that go on: the best one in `reduction`, but one at least.

    Of equals the earlier ones do.
    """
    ranked = sorted(values, key=lambda number: (-values[number], number))
    return set(ranked[: max(1, len(ranked) // reduction)])
