"""The typed schema: what may be set, of which type, within which range."""

from collections.abc import Iterable, Iterator
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from factorial.settings import metrics
from factorial.settings.labels import Labels, read_tags
from factorial.settings.messages import OPEN, BadInput, first_line, shown, unknown
from factorial.settings.names import flatten
from factorial.settings.rules import (
    ADDRESS,
    ANY,
    BOOLEAN,
    CLASS,
    DEGREES,
    DIFFERENCE,
    DIGEST,
    FILE,
    FOLDER,
    MEASURED,
    NAME,
    PART,
    PART_OF_1,
    POSITIVE,
    RANKED,
    RUN,
    SECONDS,
    SEED,
    SHARE,
    SIZE,
    SLOPE,
    SWEEP,
    TAGS,
    TEXT,
    TRUSTED,
    Rule,
    many,
    one_of,
    or_null,
    whole,
)

DeviceKind = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["float32", "bfloat16"]
DataName = Literal[
    "mnist", "fashion_mnist", "kmnist", "digits", "cifar10", "folder", "npz", "safetensors", "own"
]
Normalisation = Literal["none", "standard"]
TrackingKind = Literal["local", "server", "off"]
OnFailure = Literal["continue", "stop"]


def setting(rule: Rule) -> Any:
    """A mandatory field whose values the rule holds for. Its default stands in conf/."""
    return field(metadata={"rule": rule})


def literal(options: Any) -> Any:
    """A field for one of the values of a Literal."""
    return setting(one_of(*get_args(options)))


REST: Any = field(metadata={"rest": True})  # the settings that have no field of their own


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
    normalisation: Normalisation = literal(Normalisation)
    fallback: str | None = setting(or_null(one_of("digits")))
    # these three may be null: then the data themselves are asked (runs.facts.stated)
    examples: int = setting(or_null(whole(1)))
    shape: list[int] = setting(or_null(many(whole(1), "whole numbers, 1 or more")))
    classes: int = setting(or_null(whole(2)))
    white: int = setting(whole(1))
    own: dict[str, Any] = REST  # what its source alone takes


@dataclass(frozen=True)
class Augmentation:
    shift: int = setting(whole(0, 1000))
    rotation: float = setting(DEGREES)
    scale: float = setting(SHARE)
    shear: float = setting(SLOPE)


@dataclass(frozen=True)
class Stopping:
    """Early stopping, by a metric of the validation examples; none where that is null."""

    metric: str | None = setting(or_null(MEASURED))
    patience: int = setting(whole(1))
    min_delta: float = setting(DIFFERENCE)


@dataclass(frozen=True)
class Tracking:
    kind: TrackingKind = literal(TrackingKind)
    uri: str | None = setting(or_null(ADDRESS))
    experiment: str = setting(NAME)
    parent: str | None = setting(or_null(RUN))
    sweep: str | None = setting(or_null(SWEEP))


@dataclass(frozen=True)
class Config:
    """One run. `model`, `optimizer` and `schedule` name a class, `_target_`, and its arguments;
    `metrics` a function and its arguments for each name.

    A value may refer to those above it: they are checked in this order.
    """

    device: Device
    epochs: Epochs
    data: Data
    augmentation: Augmentation
    stopping: Stopping
    tracking: Tracking
    seed: int = setting(SEED)
    label_smoothing: float = setting(SHARE)
    clip_norm: float | None = setting(or_null(POSITIVE))
    ema_decay: float | None = setting(or_null(SHARE))
    steps: int = setting(or_null(whole(0)))  # null where the number of examples is
    model: dict[str, Any] = setting(PART)
    optimizer: dict[str, Any] = setting(PART)
    schedule: dict[str, Any] = setting(PART)
    metrics: dict[str, Any] = setting(metrics.METRICS)
    allow: list[str] = setting(many(TRUSTED, "full names of classes, or of packages"))
    outputs: str = setting(FOLDER)
    fresh: bool = setting(BOOLEAN)
    plan: bool = setting(BOOLEAN)
    cadence: float = setting(SECONDS)
    keep: list[int] = setting(many(whole(1), "whole numbers, 1 or more"))
    recipe: list[str] = setting(many(DIGEST, "the parts of a recipe, each PART-DIGEST"))
    on_failure: OnFailure = literal(OnFailure)
    report: bool = setting(BOOLEAN)
    rank_by: str = setting(RANKED)
    ledger: str | None = setting(or_null(FILE))
    retries: int = setting(whole(0))
    name: str | None = setting(or_null(NAME))
    note: str | None = setting(or_null(TEXT))
    tags: dict[str, Any] = setting(TAGS)

    @property
    def labels(self) -> Labels:
        """How its run is found again; of a sweep's run the tags, for the rest is the sweep's."""
        if self.tracking.parent is None:
            return Labels(self.name, self.note, self.tags)
        return Labels(None, None, self.tags)


FLOATS = (float, float | None)
# What one source of images takes, beside the settings of all of them; `own` has what its function
# takes as well
SOURCES: dict[str, dict[str, Rule]] = {
    "folder": {
        "size": or_null(SIZE),
        "mode": one_of("L", "RGB"),
        "test_share": PART_OF_1,
        "test_seed": SEED,
        "cache": FOLDER,
    },
    "npz": {"file": or_null(FILE)},
    "safetensors": {"file": or_null(FILE)},
    "own": {"_target_": CLASS, "test_share": PART_OF_1, "test_seed": SEED},
}
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
    metrics.check(config.metrics)
    metrics.check_stopping(config.stopping.metric, config.metrics)
    metrics.check_ranking(config.rank_by, config.metrics)
    check_address(config.tracking)
    return replace(config, tags=read_tags(config.tags))


def parse_data(composed: DictConfig) -> Data:
    """The typed form of the settings of the data alone. Raises BadInput."""
    try:
        data: Data = build(Data, composed.get("data"), "data.")
    except OmegaConfBaseException as error:
        raise BadInput(unresolved(error, composed)) from error
    return data


def build(schema: Any, node: Any, prefix: str = "") -> Any:
    """A part of the config, of checked values. Raises BadInput, and OmegaConf's exceptions."""
    named = [entry for entry in fields(schema) if "rest" not in entry.metadata]
    known = [entry.name for entry in named]
    if not isinstance(node, DictConfig):
        raise BadInput(f"{prefix[:-1]}={shown(node)}: allowed are {', '.join(known)} within it")
    values = {}
    if len(known) < len(fields(schema)):
        values["own"] = own_settings(node, known, prefix)
        known += values["own"]
    for name in map(str, node):
        if name not in known:
            raise BadInput(unknown(f"{prefix}{name}", known))
    return schema(**values, **{entry.name: value_of(entry, node, prefix) for entry in named})


def value_of(entry: Field[Any], node: DictConfig, prefix: str) -> Any:
    key, rule = prefix + entry.name, entry.metadata.get("rule")
    if entry.name not in list(node):
        raise BadInput(f"{key} is not set: allowed is {rule.allowed if rule else f'{key}=OPTION'}")
    if rule is None:
        return build(entry.type, node[entry.name], f"{key}.")
    value = checked(key, rule, node[entry.name])
    is_float = entry.type in FLOATS and value is not None
    return value + 0.0 if is_float else value  # neither an int nor a negative zero


def checked(key: str, rule: Rule, value: Any) -> Any:
    """Plain, with its interpolations resolved. Raises BadInput."""
    plain = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    rule.check(key, plain)
    return plain


def own_settings(node: DictConfig, known: Iterable[str], prefix: str) -> dict[str, Any]:
    """What a source of images takes beside the settings of all. Raises BadInput."""
    name = node.get("name")
    rules = SOURCES.get(name, {}) if isinstance(name, str) else {}
    for key, rule in rules.items():
        if key not in node:
            raise BadInput(f"{prefix}{key} is not set: allowed is {rule.allowed}")
    others = [key for key in map(str, node) if key not in known] if name == "own" else []
    return {
        key: checked(f"{prefix}{key}", rules.get(key, ANY), node[key])
        for key in dict.fromkeys([*rules, *others])
    }


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
