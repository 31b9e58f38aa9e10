"""The typed schema: what may be set, of which type, within which range."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from factorial.settings.messages import BadInput, explain


def setting(allowed: str, holds: Callable[[Any], bool] = lambda _: True) -> Any:
    """A mandatory field whose value satisfies `holds`. Its default stands in conf/."""
    return field(default=MISSING, metadata={"allowed": allowed, "holds": holds})


def one_of(*options: str) -> Any:
    return setting("one of " + ", ".join(options), options.__contains__)


def at_least(least: int) -> Any:
    return setting(f"a whole number, {least} or more", lambda value: value >= least)


def part(schema: type) -> Any:
    return field(default_factory=schema)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True)
class Device:
    kind: str = one_of("auto", "cpu", "cuda", "mps")
    threads: int | None = setting(
        "a whole number, 1 or more, or null", lambda n: n is None or n >= 1
    )
    precision: str = one_of("float32", "bfloat16")


@dataclass(frozen=True)
class Epochs:
    count: int = at_least(1)


@dataclass(frozen=True)
class Data:
    name: str = one_of("mnist", "fashion_mnist", "kmnist", "digits")
    root: str | None = setting("a folder")
    batch_size: int = at_least(1)
    drop_last: bool = setting("true or false")
    validation_share: float = setting("a number in [0, 1)", lambda share: 0 <= share < 1)
    seed: int = at_least(0)
    test_unscaled: bool = setting("true or false")
    fallback: str | None = setting("digits or null", lambda name: name in ("digits", None))
    examples: int = at_least(1)
    shape: list[int] = setting("a list of whole numbers")
    classes: int = at_least(2)
    white: int = at_least(1)


@dataclass(frozen=True)
class Tracking:
    kind: str = one_of("local", "server", "off")
    uri: str | None = setting("an address, or null")
    experiment: str = setting("a name", lambda name: bool(name.strip()))
    parent: str | None = setting("a run's id, or null")
    sweep: str | None = setting("a sweep's id, or null")


@dataclass(frozen=True)
class Config:
    """One run. `model`, `optimizer` and `schedule` name a class, `_target_`, and its arguments."""

    model: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=dict)
    device: Device = part(Device)
    epochs: Epochs = part(Epochs)
    data: Data = part(Data)
    tracking: Tracking = part(Tracking)
    seed: int = at_least(0)
    steps: int = setting("what epochs and data make it")
    allow: list[str] = setting("a list of full names of classes, or of packages")
    outputs: str = setting("a folder")
    fresh: bool = setting("true or false")
    plan: bool = setting("true or false")
    cadence: float = setting("seconds, 0 or more", lambda seconds: seconds >= 0)
    keep: list[int] = setting("a list of whole numbers")
    on_failure: str = one_of("continue", "stop")
    report: bool = setting("true or false")
    ledger: str | None = setting("a file, or null")
    retries: int = at_least(0)


LEARNING_RATE = {
    "allowed": "a finite number above 0",
    "holds": lambda rate: rate is None or (is_number(rate) and 0 < rate < math.inf),
}


def rules(schema: type = Config, prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key of the schema that has a rule, dotted, with the rule."""
    for entry in fields(schema):
        if isinstance(entry.type, type) and is_dataclass(entry.type):
            yield from rules(entry.type, f"{prefix}{entry.name}.")
        elif entry.metadata:
            yield prefix + entry.name, dict(entry.metadata)
    if schema is Config:
        yield "optimizer.lr", LEARNING_RATE


def parse(composed: DictConfig) -> Config:
    """The typed form of a composed config, with its interpolations resolved. Raises BadInput."""
    try:
        typed = OmegaConf.merge(blank(), composed)
        for key, rule in rules():
            value = OmegaConf.select(typed, key, throw_on_missing=True)
            if not rule["holds"](value):
                raise BadInput(f"{key}={value}: allowed is {rule['allowed']}")
        config: Config = OmegaConf.to_object(typed)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        raise BadInput(of_type(error, composed) or explain(error)) from error
    return config


def blank() -> DictConfig:
    """The schema to be filled in; OmegaConf would make that of a frozen class read-only."""
    typed: DictConfig = OmegaConf.structured(Config)
    OmegaConf.set_readonly(typed, False)
    for entry in fields(Config):
        if isinstance(entry.type, type) and is_dataclass(entry.type):
            OmegaConf.set_readonly(typed[entry.name], False)
    return typed


def of_type(error: OmegaConfBaseException, composed: DictConfig) -> str | None:
    """One line for a value of another type than its key's; None for any other error."""
    key = error.full_key or ""
    allowed = dict(rules()).get(key, {}).get("allowed")
    if allowed is None or isinstance(error, ConfigKeyError):
        return None
    return f"{key}={OmegaConf.select(composed, key)}: allowed is {allowed}"


def targets(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every `_target_` within a part of a config, however deep, with where it stands."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield f"{key}._target_", node["_target_"]
        for name, value in node.items():
            yield from targets(value, f"{key}.{name}")
    if isinstance(node, list | tuple):
        for number, item in enumerate(node):
            yield from targets(item, f"{key}[{number}]")
