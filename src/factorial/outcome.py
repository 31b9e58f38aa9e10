"""What training gives: a row for every epoch, and what became of a combination."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Evaluation(NamedTuple):
    """Mean cross-entropy per example, in nats, and the share that is classified correctly."""

    loss: float
    accuracy: float


class Epoch(NamedTuple):
    """One row of a learning curve; `validation` is None where a run holds nothing out.

    `gradients` are the norms of the loss's gradient with respect to each layer's weights, first
    layer first: means over the epoch's batches. `weights` is the digest of the model's weights.
    """

    epoch: int
    train_loss: float
    validation: Evaluation | None
    seconds: float
    gradients: tuple[float, ...] = ()
    weights: str = ""


@dataclass
class Outcome:
    """Accuracies are shares; seconds are those of all epochs behind the result."""

    name: str
    status: str = "FAILED"
    reason: str = ""
    run: str = ""
    origin: str = ""
    folder: Path | None = None
    validation: float | None = None
    test: float | None = None
    seconds: float = 0.0
    error: Exception | None = None
