"""What a run is: an id of everything that can change its result, and of nothing else."""

import hashlib
import inspect
import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import hydra.utils

from factorial.config import Config, targets

# The one list of settings that can't change a result
EXCLUDED = (
    "outputs",  # where things are written
    "tracking",
    "allow",  # what may be named, not what is
    "data.root",  # the data's bytes have a digest
    "data.fallback",  # what runs in its place is hashed as what it is
    "device.kind",  # the kind that really runs is hashed
    "device.threads",  # changes low bits on a CPU: recorded, and part of a checkpoint's arithmetic
    "steps",  # follows from epochs and data, and is hashed where a schedule refers to it
    "fresh",  # the rest: how a run comes about
    "plan",
    "cadence",
    "keep",
    "on_failure",
    "report",
    "ledger",
    "retries",
)
# The package's modules whose source can
CODE = ("data", "environment", "instantiate", "models", "trainer")


class Recipe(NamedTuple):
    """`id` names a result, `trunk` the way there whatever its length: SHA-256, in hex."""

    id: str
    trunk: str
    document: dict[str, Any]


def identify(config: Config, data: str, device: str) -> Recipe:
    """The recipe of a config on data of that digest, on a device of that kind.

    On one trunk a longer run passes through the end of a shorter one. A schedule that refers to the
    run's length has a trunk of its own for every length, because its settings differ.
    """
    document = {
        "config": scientific(asdict(config)),
        "data": data,
        "validation": config.data.validation_examples,
        "device": device,
        "code": code(asdict(config)),
        "versions": {name: version(name) for name in ("torch", "torchvision")},
    }
    lengthless = {key: value for key, value in document["config"].items() if key != "epochs"}
    return Recipe(digest(document), digest(document | {"config": lengthless}), document)


def scientific(node: Any, path: str = "") -> Any:
    """A config without what can't change a result, each value spelled in one way."""
    if isinstance(node, dict):
        inner = {key: f"{path}.{key}" if path else str(key) for key in node}
        return {k: scientific(v, inner[k]) for k, v in node.items() if inner[k] not in EXCLUDED}
    if isinstance(node, list | tuple):
        return [scientific(item, path) for item in node]
    if isinstance(node, float) and node.is_integer():
        return int(node)  # 1.0 is 1
    return node


def code(config: dict[str, Any]) -> dict[str, str]:
    """Digests of sources: the package's, and of each class outside torch that a config names."""
    here = Path(__file__).parent
    sources = {f"factorial.{name}": here / f"{name}.py" for name in CODE}
    for _, target in targets(config):
        module = inspect.getmodule(hydra.utils.get_object(target))
        name, file = getattr(module, "__name__", ""), getattr(module, "__file__", None)
        if name.split(".")[0] not in ("torch", "torchvision") and file is not None:
            sources.setdefault(name, Path(file))
    return {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in sources.items()}


def digest(document: Any) -> str:
    """SHA-256 of the canonical JSON: sorted keys, no white space."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
