"""What a run is: an id of everything that can change its result, and of nothing else."""

import hashlib
import inspect
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, NamedTuple

from factorial.settings.messages import OPEN
from factorial.settings.places import PACKAGE
from factorial.settings.schema import Config, targets
from factorial.settings.sources import Sources, behind, distributions, locate

# The one list of settings that can't change a result
EXCLUDED = (
    "outputs",  # where things are written
    "tracking",
    "allow",  # what may be named, not what is
    "data.root",  # the data's bytes have a digest
    "data.file",
    "data.cache",
    "data.fallback",  # what runs in its place is hashed as what it is
    "device.kind",  # the kind that really runs is hashed
    "device.threads",  # changes low bits on a CPU: recorded, and part of a checkpoint's platform
    "steps",  # follows from epochs and data, and is hashed where a schedule refers to it
    "fresh",  # the rest: how a run comes about
    "plan",
    "cadence",
    "keep",
    "recipe",
    "on_failure",
    "report",
    "rank_by",
    "ledger",
    "retries",
    "name",  # how it is found again
    "note",
    "tags",
)
# Of an id, 4 bits each: that any two of a million recipes share one has a chance of 4e-13
SIGNS = 20
# All of the package that can change a result
TRAINING = PACKAGE / "training"
# Whose classes take 1.0 for 1, and whose source their version stands for
LIBRARIES = ("torch", "torchvision")


class Recipe(NamedTuple):
    """`id` names a result, `trunk` the way there whatever its length: each a digest."""

    id: str
    trunk: str
    document: dict[str, Any]

    @property
    def parts(self) -> list[str]:
        """Each part of the document with the head of its digest: who differs can say in what."""
        return [f"{name}-{digest(part)[:16]}" for name, part in sorted(self.document.items())]


def identify(config: Config, data: str, validation: int, device: str) -> Recipe:
    """The recipe of a config on data of that digest, so many of its examples held out, on a device
    of that kind. What its targets name is imported: they have to be vetted.

    On one trunk a longer run passes through the end of a shorter one. A schedule that refers to the
    run's length has a trunk of its own for every length, because its settings differ.
    """
    names = sorted({str(name) for _, name in targets(asdict(config)) if is_own(str(name))})
    own = [behind(name) for name in names]
    document: dict[str, Any] = {
        "config": scientific(config, validation),
        "data": data,
        "validation": validation,
        "device": device,
        "code": code(own),
        "versions": versions(own),
    }
    lengthless = {key: value for key, value in document["config"].items() if key != "epochs"}
    return Recipe(digest(document), digest(document | {"config": lengthless}), document)


def is_own(target: str) -> bool:
    """Whether a class is neither this package's nor of a library whose version is hashed."""
    return target.partition(".")[0] not in (*LIBRARIES, PACKAGE.name)


def scientific(config: Config, validation: int) -> dict[str, Any]:
    """What can change a result, each value spelled in one way, what is a default left out."""
    whole = asdict(config)
    whole["data"] |= whole["data"].pop("own")
    settings: dict[str, Any] = included(whole)
    for name in OPEN:
        settings[name] = without_defaults(settings[name])
    measured = settings.pop("metrics")
    if measured:  # each epoch's weights are gone: what was not measured then can't be later
        settings["metrics"] = {name: without_defaults(node) for name, node in measured.items()}
    if config.stopping.metric is None:
        settings.pop("stopping")
    evenly = (config.data.examples - validation) % config.data.batch_size == 0
    settings["data"]["drop_last"] = config.data.drop_last and not evenly
    return settings


def included(node: Any, path: str = "") -> Any:
    """A part of a config without what is excluded."""
    if not isinstance(node, dict):
        return node
    inner = {key: f"{path}.{key}" if path else str(key) for key in node}
    return {k: included(v, inner[k]) for k, v in node.items() if inner[k] not in EXCLUDED}


def without_defaults(part: dict[str, Any]) -> dict[str, Any]:
    """A class and its arguments, but for those that say what its signature says by itself.

    Only a class of the user's own may tell 1.0 from 1, or a tuple from a list.
    """
    exact = any(is_own(str(name)) for _, name in targets(part))
    spelled = part if exact else one_spelling(part)
    usual = defaults(str(part.get("_target_")))
    usual = usual if exact else one_spelling(usual)
    return {
        key: value
        for key, value in spelled.items()
        if key not in usual or repr(value) != repr(usual[key])  # by ==, 1 would be True
    }


def defaults(target: str) -> dict[str, Any]:
    try:
        parameters = inspect.signature(locate(target)).parameters.values()
    except (ValueError, TypeError):  # not called, or it doesn't tell how
        return {}
    return {one.name: one.default for one in parameters}


def one_spelling(node: Any) -> Any:
    """1.0 as 1 and a tuple as a list, however deep."""
    if isinstance(node, dict):
        return {key: one_spelling(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [one_spelling(item) for item in node]
    return int(node) if isinstance(node, float) and node.is_integer() else node


def code(own: Sequence[Sources]) -> dict[str, str]:
    """Digests of sources: the package's training code, and that behind the user's own targets."""
    files = {f"factorial.training.{file.stem}": file for file in sorted(TRAINING.glob("*.py"))}
    for sources in own:
        files |= sources.files
    return {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()}


def versions(own: Sequence[Sources]) -> dict[str, str]:
    """Of torch, torchvision, and the libraries that the user's own modules import."""
    imported = {library for sources in own for library in sources.libraries}
    names = {name for library in imported for name in distributions()[library]}
    return {name: version(name) for name in sorted({*LIBRARIES, *names})}


def digest(document: Any) -> str:
    """The beginning of the SHA-256 of the canonical JSON (sorted keys, no white space), in hex."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:SIGNS]
