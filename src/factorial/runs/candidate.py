"""A trial on its way: run for each seed, rung by rung, until it is complete, pruned or failed."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from factorial.results import Outcome
from factorial.runs.space import without_epochs

COMPLETE, PRUNED, FAILED = "COMPLETE", "PRUNED", "FAIL"  # in Optuna's words


@dataclass
class Candidate:
    """`trial` is Optuna's; `state` is empty as long as it goes on; `runs` are those of its rung."""

    trial: Any
    words: list[str]
    state: str = ""
    reason: str = ""
    values: dict[int, float] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)

    @property
    def number(self) -> int:
        return int(self.trial.number)

    @property
    def value(self) -> float | None:
        """The mean over seeds at its last rung."""
        return next(reversed(self.values.values()), None)

    def lengthened(self, epochs: int | None, seed: int) -> list[str]:
        """The overrides of one run of it, so many epochs long; None leaves that as it is."""
        if epochs is None:
            return [*self.words, f"seed={seed}"]
        return [*without_epochs(self.words), f"epochs.count={epochs}", f"seed={seed}"]

    def take(self, outcomes: Sequence[Outcome], epochs: int) -> None:
        """What its runs of this length gave: a value, or an end where one of them failed."""
        self.runs = [one.run_id for one in outcomes]
        accuracies = [one.validation for one in outcomes if one.status == "FINISHED"]
        if len(accuracies) < len(outcomes):
            self.state = FAILED
            self.reason = next(one.reason for one in outcomes if one.status != "FINISHED")
            self.trial.set_user_attr("reason", self.reason)
            return
        self.values[epochs] = statistics.fmean(one for one in accuracies if one is not None)
        self.trial.report(self.values[epochs], epochs)


def described(params: Mapping[str, Any]) -> str:
    """A trial in words that can be typed."""
    return " ".join(f"{key}={value}" for key, value in params.items())
