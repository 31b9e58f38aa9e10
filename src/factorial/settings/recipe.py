"""What a run is: an id of everything that can change its result, and of nothing else."""

import hashlib
import inspect
import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import hydra.utils

from factorial.settings.messages import OPEN
from factorial.settings.places import PACKAGE
from factorial.settings.rules import is_number
from factorial.settings.schema import Config, targets
from factorial.settings.sources import of_target

# The one list of settings that can't change a result
EXCLUDED = (
    "outputs",  # where things are written
    "tracking",
    "allow",  # what may be named, not what is
    "data.root",  # the data's bytes have a digest
    "data.fallback",  # what runs in its place is hashed as what it is
    "device.kind",  # the kind that really runs is hashed
    "device.threads",  # changes low bits on a CPU: recorded, and part of a checkpoint's platform
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
# All of the package that can change a result
TRAINING = PACKAGE / "training"
# Whose classes take 1.0 for 1, and whose source their version stands for
LIBRARIES = ("torch", "torchvision")


class Recipe(NamedTuple):
    """`id` names a result, `trunk` the way there whatever its length: SHA-256, in hex."""

    id: str
    trunk: str
    document: dict[str, Any]


def identify(config: Config, data: str, validation: int, device: str) -> Recipe:
    """The recipe of a config on data of that digest, so many of its examples held out, on a device
    of that kind.

    On one trunk a longer run passes through the end of a shorter one. A schedule that refers to the
    run's length has a trunk of its own for every length, because its settings differ.
    """
    document: dict[str, Any] = {
        "config": scientific(config, validation),
        "data": data,
        "validation": validation,
        "device": device,
        "code": code(asdict(config)),
        "versions": {name: version(name) for name in LIBRARIES},
    }
    lengthless = {key: value for key, value in document["config"].items() if key != "epochs"}
    return Recipe(digest(document), digest(document | {"config": lengthless}), document)


def scientific(config: Config, validation: int) -> dict[str, Any]:
    """What can change a result, each value spelled in one way, what is a default left out."""
    settings: dict[str, Any] = included(asdict(config))
    for name in OPEN:
        settings[name] = bound(settings[name])
    evenly = (config.data.examples - validation) % config.data.batch_size == 0
    settings["data"]["drop_last"] = config.data.drop_last and not evenly
    return settings


def included(node: Any, path: str = "") -> Any:
    """A part of a config without what is excluded."""
    if isinstance(node, dict):
        inner = {key: f"{path}.{key}" if path else str(key) for key in node}
        return {k: included(v, inner[k]) for k, v in node.items() if inner[k] not in EXCLUDED}
    return list(node) if isinstance(node, tuple) else node


def bound(part: dict[str, Any]) -> dict[str, Any]:
    """A class's arguments without those that say what its signature says by itself."""
    target = str(part.get("_target_", ""))
    is_library = target.partition(".")[0] in (*LIBRARIES, PACKAGE.name)
    spelled: dict[str, Any] = one_spelling(part) if is_library else part
    defaults = defaults_of(target)
    return {
        key: value
        for key, value in spelled.items()
        if key not in defaults or not alike(value, defaults[key], exactly=not is_library)
    }


def defaults_of(target: str) -> dict[str, Any]:
    try:
        parameters = inspect.signature(hydra.utils.get_object(target)).parameters.values()
    except (ValueError, TypeError):  # no class, or one that does not tell
        return {}
    return {one.name: one.default for one in parameters if one.default is not one.empty}


def alike(value: Any, default: Any, exactly: bool) -> bool:
    """Whether a value from YAML says the same as a default in Python."""
    if isinstance(value, list) and isinstance(default, list | tuple):
        pairs = zip(value, default, strict=False)
        return len(value) == len(default) and all(alike(*pair, exactly) for pair in pairs)
    numbers = is_number(value) and is_number(default) and not exactly
    return (numbers or type(value) is type(default)) and bool(value == default)


def one_spelling(node: Any) -> Any:
    """1.0 as 1, however deep."""
    if isinstance(node, dict):
        return {key: one_spelling(value) for key, value in node.items()}
    if isinstance(node, list):
        return [one_spelling(item) for item in node]
    return int(node) if isinstance(node, float) and node.is_integer() else node


def code(config: dict[str, Any]) -> dict[str, str]:
    """Digests of sources: the package's training code, and that behind the user's own targets."""
    files = sorted(TRAINING.glob("*.py"))
    sources = {f"factorial.training.{file.stem}": file for file in files}
    for _, target in targets(config):
        if str(target).partition(".")[0] not in (*LIBRARIES, PACKAGE.name):
            hydra.utils.get_object(target)  # so that its modules are loaded
            sources |= of_target(str(target))
    return {name: digest_of(file) for name, file in sources.items()}


def digest_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def digest(document: Any) -> str:
    """SHA-256 of the canonical JSON: sorted keys, no white space."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
