"""The typed schema: what may be set, of which type, within which range."""

from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields
from typing import Any, Literal, get_args

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from factorial.settings.messages import OPEN, BadInput, first_line, shown, unknown
from factorial.settings.names import flatten
from factorial.settings.rules import (
    ADDRESS,
    BOOLEAN,
    CLASS,
    DIGEST,
    FILE,
    FOLDER,
    NAME,
    PART,
    POSITIVE,
    RUN,
    SECONDS,
    SEED,
    SHARE,
    SWEEP,
    TRUSTED,
    Rule,
    many,
    one_of,
    or_null,
    whole,
)

DeviceKind = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["float32", "bfloat16"]
DataName = Literal["mnist", "fashion_mnist", "kmnist", "digits"]
TrackingKind = Literal["local", "server", "off"]
OnFailure = Literal["continue", "stop"]


def setting(rule: Rule) -> Any:
    """A mandatory field whose values the rule holds for. Its default stands in conf/."""
    return field(metadata={"rule": rule})


def literal(options: Any) -> Any:
    """A field for one of the values of a Literal."""
    return setting(one_of(*get_args(options)))


@dataclass(frozen=True)
class Device:
    kind: DeviceKind = literal(DeviceKind)
    threads: int | None = setting(or_null(whole(1, 1024)))
    precision: Precision = literal(Precision)


@dataclass(frozen=True)
class Epochs:
    count: int = setting(whole(1, 1_000_000))


@dataclass(frozen=True)
class Data:
    name: DataName = literal(DataName)
    root: str | None = setting(or_null(FOLDER))
    batch_size: int = setting(whole(1))
    drop_last: bool = setting(BOOLEAN)
    validation_share: float = setting(SHARE)
    seed: int = setting(SEED)
    test_unscaled: bool = setting(BOOLEAN)
    fallback: str | None = setting(or_null(one_of("digits")))
    examples: int = setting(whole(1))
    shape: list[int] = setting(many(whole(1), "whole numbers, 1 or more"))
    classes: int = setting(whole(2))
    white: int = setting(whole(1))


@dataclass(frozen=True)
class Tracking:
    kind: TrackingKind = literal(TrackingKind)
    uri: str | None = setting(or_null(ADDRESS))
    experiment: str = setting(NAME)
    parent: str | None = setting(or_null(RUN))
    sweep: str | None = setting(or_null(SWEEP))


@dataclass(frozen=True)
class Config:
    """One run. `model`, `optimizer` and `schedule` name a class, `_target_`, and its arguments.

    A value may refer to those above it: they are checked in this order.
    """

    device: Device
    epochs: Epochs
    data: Data
    tracking: Tracking
    seed: int = setting(SEED)
    steps: int = setting(whole(0))
    model: dict[str, Any] = setting(PART)
    optimizer: dict[str, Any] = setting(PART)
    schedule: dict[str, Any] = setting(PART)
    allow: list[str] = setting(many(TRUSTED, "full names of classes, or of packages"))
    outputs: str = setting(FOLDER)
    fresh: bool = setting(BOOLEAN)
    plan: bool = setting(BOOLEAN)
    cadence: float = setting(SECONDS)
    keep: list[int] = setting(many(whole(1), "whole numbers, 1 or more"))
    recipe: list[str] = setting(many(DIGEST, "the parts of a recipe, each PART-DIGEST"))
    on_failure: OnFailure = literal(OnFailure)
    report: bool = setting(BOOLEAN)
    ledger: str | None = setting(or_null(FILE))
    retries: int = setting(whole(0))


# Arguments of classes, where they are set, which mean one thing whatever the class
ARGUMENTS = {"optimizer.lr": POSITIVE, "optimizer.fused": or_null(BOOLEAN)}


def parse(composed: DictConfig) -> Config:
    """The typed form of a composed config, with its interpolations resolved. Raises BadInput."""
    try:
        config: Config = build(Config, composed)
    except OmegaConfBaseException as error:
        raise BadInput(unresolved(error, composed)) from error
    for part in OPEN:
        CLASS.check(f"{part}._target_", getattr(config, part).get("_target_"))
    for key, rule in ARGUMENTS.items():
        part, _, name = key.partition(".")
        if name in getattr(config, part):
            rule.check(key, getattr(config, part)[name])
    check_address(config.tracking)
    return config


def build(schema: Any, node: Any, prefix: str = "") -> Any:
    """A part of the config, of checked values. Raises BadInput, and OmegaConf's exceptions."""
    known = [entry.name for entry in fields(schema)]
    if not isinstance(node, DictConfig):
        raise BadInput(f"{prefix[:-1]}={shown(node)}: allowed are {', '.join(known)} within it")
    for name in map(str, node):
        if name not in known:
            raise BadInput(unknown(f"{prefix}{name}", known))
    return schema(**{entry.name: value_of(entry, node, prefix) for entry in fields(schema)})


def value_of(entry: Field[Any], node: DictConfig, prefix: str) -> Any:
    key, rule = prefix + entry.name, entry.metadata.get("rule")
    if entry.name not in list(node):
        raise BadInput(f"{key} is not set: allowed is {rule.allowed if rule else f'{key}=OPTION'}")
    value = node[entry.name]
    if rule is None:
        return build(entry.type, value, f"{key}.")
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value, resolve=True)
    rule.check(key, value)
    return value + 0.0 if entry.type is float else value  # neither an int nor a negative zero


def unresolved(error: OmegaConfBaseException, composed: DictConfig) -> str:
    """One line for an interpolation that leads nowhere."""
    why, key = first_line(error), str(error.full_key)
    written = flatten(OmegaConf.to_container(composed)).get(key)
    return f"{key}={shown(written)}: allowed is a value that is there ({why})"


def check_address(tracking: Tracking) -> None:
    """An address is a server's, and a server has one. Raises BadInput."""
    if tracking.kind == "server":
        ADDRESS.check("tracking.uri", tracking.uri)
    elif tracking.uri is not None:
        raise BadInput(
            f"tracking.uri={shown(tracking.uri)}: allowed with tracking={tracking.kind} is null; "
            f"tracking=server takes an address"
        )


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
