"""What the record calls a setting."""

from collections.abc import Iterable
from typing import Any

# Groups whose option is on record; its own settings stand beside it
GROUPS = ("model", "optimizer", "schedule", "data")
# The record's word, where the config's own says more than a reader needs
SHORT = {
    "epochs.count": "epochs",
    "device.kind": "device",
    "device.threads": "threads",
    "device.precision": "precision",
}


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
