"""What a comparison ranks by: a metric of the validation examples, and which way is better."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from factorial.record.reading import RecordedRun
from factorial.settings.messages import BadInput, shown
from factorial.settings.metrics import ALWAYS, BETTER, VALIDATION


class Ranking(NamedTuple):
    """A metric by its name on record, without the split."""

    name: str
    higher: bool

    @property
    def words(self) -> str:
        return self.name.replace("_", " ")

    @property
    def is_accuracy(self) -> bool:
        """Whether it is a share of images, which has a binomial error."""
        return self.name == "accuracy"

    @property
    def sign(self) -> int:
        """What makes better values higher."""
        return 1 if self.higher else -1

    @property
    def most(self) -> str:
        return "highest" if self.higher else "lowest"

    def is_value(self, value: float) -> bool:
        """Whether a run has a result by it."""
        return 0 <= value <= 1 if self.is_accuracy else math.isfinite(value)


ACCURACY = Ranking("accuracy", higher=True)


def require_accuracy(rank_by: str) -> None:
    """Raises BadInput for anything else, in a search."""
    if rank_by != f"{VALIDATION}{ACCURACY.name}":
        raise BadInput(
            f"rank_by={shown(rank_by)}: allowed for a search is {VALIDATION}{ACCURACY.name}, by "
            f"which its trials are compared"
        )


def ranking(rank_by: str, runs: Sequence[RecordedRun]) -> Ranking:
    """Raises BadInput for a metric that the runs do not have."""
    key = f"rank_by={shown(rank_by)}"
    known = {name for run in runs for name in run.metrics if name.startswith(VALIDATION)}
    known |= {f"{VALIDATION}{ACCURACY.name}"}  # which test accuracy stands in for
    if rank_by not in known:
        raise BadInput(f"{key}: allowed is one of {', '.join(sorted(known))}")
    name = rank_by.removeprefix(VALIDATION)
    if name in ALWAYS:
        return Ranking(name, ALWAYS[name])
    said = {run.params.get(f"metrics.{name}.{BETTER}") for run in runs if rank_by in run.metrics}
    if said not in ({"True"}, {"False"}):
        raise BadInput(f"{key}: allowed is a metric of which all runs say whether higher is better")
    return Ranking(name, said == {"True"})
