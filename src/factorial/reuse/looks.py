"""How a recorded run has seen its data: the names of the classes, and what scaled the pixels."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from factorial.record import untrusted
from factorial.record.reading import RecordedRun
from factorial.record.store import Store, artifact
from factorial.settings.messages import BadInput, shown
from factorial.settings.rules import is_finite
from factorial.settings.schema import Data
from factorial.training.data import Scale

FILE = "data.json"


class Looks(NamedTuple):
    """Without names a class is called by its label; without a scale pixels are 0 to 1."""

    names: Sequence[str]
    scale: Scale | None


def of(store: Store, run: RecordedRun, data: Data) -> Looks:
    """Raises BadInput where the record does not have what its model needs."""
    file = artifact(store, run.source, FILE)
    if file is None and data.normalisation != "none":
        raise BadInput(f"run={run.source}: {FILE}, by which its pixels are scaled, is not there")
    if file is None:  # older than the file
        return Looks([str(label) for label in range(data.classes)], None)
    document = untrusted.read_json(file, f"run={run.source}: {FILE}")
    names = document.get("classes") or [str(label) for label in range(data.classes)]
    if not isinstance(names, list) or len(names) != data.classes:
        raise BadInput(f"run={run.source}: {FILE} has not {data.classes} names of classes")
    scale = None
    if data.normalisation == "standard":
        scale = Scale(*(column(document.get(key), key, run, data) for key in ("mean", "std")))
    return Looks([shown(name) for name in names], scale)


def column(values: Any, key: str, run: RecordedRun, data: Data) -> torch.Tensor:
    if (
        not isinstance(values, list)
        or len(values) != data.shape[0]
        or not all(map(is_finite, values))
    ):
        raise BadInput(f"run={run.source}: {FILE}: {key} is not a number for each channel")
    return torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1)
