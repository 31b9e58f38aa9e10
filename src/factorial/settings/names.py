"""What the record calls a setting."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

# Data of one's own, by where they come from
OWN = ("folder", "npz", "safetensors", "own")
ABSENT = "-"  # the level of a setting that a run does not have
# Groups whose option is on record; its own settings stand beside it
GROUPS = ("model", "optimizer", "schedule", "augmentation", "data")
# The record's word, where the config's own says more than a reader needs
SHORT = {
    "epochs.count": "epochs",
    "device.kind": "device",
    "device.threads": "threads",
    "device.precision": "precision",
}
# Settings for a reader, by which a run is found again
LABELS = ("name", "note", "tags")


def experiment(data: DictConfig) -> str:
    """The resolver of `tracking.experiment` in conf/config.yaml: accuracies on different data never
    share a table. Data of one's own are told apart by their file, their folder or their function.
    """
    target, file, root = (data.get(key) for key in ("_target_", "file", "root"))
    if data.name not in OWN or not (target or file or root):
        return str(data.name)
    last = Path(str(file)).stem if file else Path(str(root)).absolute().name
    return f"{data.name}-{str(target).rpartition('.')[2] if target else last}"[:200]


OmegaConf.register_new_resolver("experiment_on", experiment, replace=True)


def is_within(key: str, parts: Iterable[str]) -> bool:
    """Whether a dotted key is one of `parts`, or lies below one."""
    return any(key == part or key.startswith(f"{part}.") for part in parts)


def flatten(node: Any, prefix: str = "") -> dict[str, Any]:
    """The leaves of nested dicts under dotted keys; a list, or an empty dict, is a leaf."""
    if not isinstance(node, dict) or (prefix and not node):
        return {prefix: node}
    leaves: dict[str, Any] = {}
    for key, value in node.items():
        leaves |= flatten(value, f"{prefix}.{key}" if prefix else key)
    return leaves
