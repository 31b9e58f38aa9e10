"""What training gives: where it stands, a row for every epoch, and what became of a combination."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple


class Position(NamedTuple):
    """How far training is: whole epochs, then batches of the next one."""

    epoch: int
    batch: int


class Diverged(ArithmeticError):
    """The training loss is not finite any more."""


class Evaluation(NamedTuple):
    """Mean cross-entropy per example, in nats, the share that is classified correctly, and the
    metrics that were asked for, by name."""

    loss: float
    accuracy: float
    metrics: Mapping[str, float] = MappingProxyType({})

    @property
    def named(self) -> dict[str, float]:
        """Every value under its name."""
        return {"loss": self.loss, "accuracy": self.accuracy, **self.metrics}

    @classmethod
    def of(cls, named: Mapping[str, float]) -> "Evaluation":
        """From what `named` gave."""
        metrics = {k: v for k, v in named.items() if k not in ("loss", "accuracy")}
        return cls(named["loss"], named["accuracy"], metrics)


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
        validation = None if self.validation is None else self.validation.named
        return self._asdict() | {"validation": validation, "gradients": list(self.gradients)}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Epoch":
        """From what `document` gave."""
        validation = document["validation"]
        evaluation = None if validation is None else Evaluation.of(validation)
        gradients = tuple(document["gradients"])
        return cls(**{**document, "validation": evaluation, "gradients": gradients})


Status = Literal["FINISHED", "FAILED", "LOST"]  # lost: its process died
Origin = Literal["", "new", "cached", "resumed", "continued"]


@dataclass
class Outcome:
    """Accuracies are shares; seconds are those of all epochs behind the result.

    `run_id` is empty where nothing could be recorded; `retriable` where another try may end better;
    `stopped` says why training ended early, where it did.
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
    stopped: str = ""
