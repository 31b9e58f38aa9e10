"""What became of a combination."""

from dataclasses import dataclass
from pathlib import Path


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
