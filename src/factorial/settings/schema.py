"""The typed schema: what may be set, of which type, within which range."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from factorial.settings import metrics
from factorial.settings.labels import Labels
from factorial.settings.rules import (
    ADDRESS,
    BOOLEAN,
    DEGREES,
    DIFFERENCE,
    DIGEST,
    FILE,
    FOLDER,
    MEASURED,
    NAME,
    PART,
    PIXELS,
    POSITIVE,
    RANKED,
    RUN,
    SECONDS,
    SEED,
    SHARE,
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
    elastic: float = setting(PIXELS)


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
