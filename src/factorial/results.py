"""What training gives: where it stands, a row for every epoch, and what became of a combination."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple


class Position(NamedTuple):
    """How far training is: whole epochs, then batches of the next one."""

    epoch: int
    batch: int


class Diverged(ArithmeticError):
    """The training loss is not finite any more."""


class Evaluation(NamedTuple):
    """Mean cross-entropy per example, in nats, and the share that is classified correctly."""

    loss: float
    accuracy: float


class Epoch(NamedTuple):
    """One row of a learning curve; `validation` is None where a run holds nothing out.

    `gradients` are the norms of the loss's gradient with respect to each layer's weights, first
    layer first: means over the epoch's batches. `weights` is the digest of the model's weights,
    empty where a record does not have it.
    """

    epoch: int
    train_loss: float
    validation: Evaluation | None
    seconds: float
    gradients: tuple[float, ...]
    weights: str

    def document(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        validation = None if self.validation is None else self.validation._asdict()
        return self._asdict() | {"validation": validation, "gradients": list(self.gradients)}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Epoch":
        """From what `document` gave."""
        validation = document["validation"]
        evaluation = None if validation is None else Evaluation(**validation)
        gradients = tuple(document["gradients"])
        return cls(**{**document, "validation": evaluation, "gradients": gradients})


Status = Literal["FINISHED", "FAILED", "LOST"]  # lost: its process died
Origin = Literal["", "new", "cached", "resumed", "continued"]


@dataclass
class Outcome:
    """Accuracies are shares; seconds are those of all epochs behind the result.

    `run_id` is empty where nothing could be recorded; `retriable` where another try may end better.
    """

    name: str
    status: Status = "FAILED"
    reason: str = ""
    run_id: str = ""
    origin: Origin = ""
    folder: Path | None = None
    validation: float | None = None
    test: float | None = None
    seconds: float = 0.0
    error: Exception | None = None
    retriable: bool = False
