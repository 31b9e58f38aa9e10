"""Writes of a run, as a spool has them on disk, and as MLflow has them in the end."""

import json
from pathlib import Path
from typing import Any

from running import client

from factorial.record.entries import Place
from factorial.record.reading import owner


def leave(place: Place, *lines: str, name: str = "1", whose: dict[str, str] | None = None) -> Path:
    """A file that a process of this run has left behind."""
    file = place.folder.parent / "spool" / f"{name}.jsonl"
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join([json.dumps(whose or owner()) + "\n", *lines]))
    return file


def line(entry: dict[str, Any]) -> str:
    return json.dumps(entry) + "\n"


def point(epoch: int) -> dict[str, Any]:
    return {"points": [["train/loss", epoch, 1 / epoch, epoch]]}


def points(outputs: Path, run: str) -> list[tuple[int, float, int]]:
    history = client(outputs).get_metric_history(run, "train/loss")
    return [(one.step, one.value, one.timestamp) for one in history]
