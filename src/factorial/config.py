"""The typed schema: what may be set, of which type, within which range."""

import difflib
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

CONF = Path(__file__).resolve().parents[2] / "conf"


class BadInput(ValueError):
    """What a user gave can't be used. The message names the key, the value and what is allowed."""


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


@dataclass
class Device:
    kind: str = one_of("auto", "cpu", "cuda", "mps")
    threads: int | None = setting(
        "a whole number, 1 or more, or null", lambda n: n is None or n >= 1
    )
    precision: str = one_of("float32", "bfloat16")


@dataclass
class Epochs:
    count: int = at_least(1)


@dataclass
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

    @property
    def validation_examples(self) -> int:
        return round(self.validation_share * self.examples)

    @property
    def training_examples(self) -> int:
        return self.examples - self.validation_examples

    @property
    def steps_per_epoch(self) -> int:
        whole, rest = divmod(self.training_examples, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)


@dataclass
class Tracking:
    kind: str = one_of("local", "server", "off")
    uri: str | None = setting("an address, or null")
    experiment: str = setting("a name", lambda name: bool(name.strip()))
    parent: str | None = setting("a run's id, or null")
    sweep: str | None = setting("a sweep's id, or null")


@dataclass
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
        elif entry.metadata and entry.name != "steps":
            yield prefix + entry.name, dict(entry.metadata)
    if schema is Config:
        yield "optimizer.lr", LEARNING_RATE


def parse(composed: DictConfig) -> Config:
    """The typed form of a composed config, with its interpolations resolved. Raises BadInput."""
    try:
        typed = OmegaConf.merge(OmegaConf.structured(Config), composed)
        for key, rule in rules():
            value = OmegaConf.select(typed, key, throw_on_missing=True)
            if not rule["holds"](value):
                raise BadInput(f"{key}={value}: allowed is {rule['allowed']}")
        check_batch(OmegaConf.to_object(typed.data))  # type: ignore[arg-type]
        config: Config = OmegaConf.to_object(typed)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        raise BadInput(explain(error, composed)) from error
    if config.steps != (steps := config.epochs.count * config.data.steps_per_epoch):
        raise BadInput(f"steps={config.steps}: allowed is {steps}, which epochs and data make it")
    return config


def check_batch(data: Data) -> None:
    if data.training_examples < 1:
        raise BadInput(
            f"data.validation_share={data.validation_share}: allowed is what leaves an example "
            f"of {data.examples} to train on"
        )
    if data.batch_size > data.training_examples:
        raise BadInput(
            f"data.batch_size={data.batch_size}: allowed is 1 to {data.training_examples}, "
            f"the number of training examples"
        )


def explain(error: OmegaConfBaseException, composed: DictConfig | None = None) -> str:
    """One line for an error of OmegaConf: the key, the value, what is allowed."""
    key = error.full_key or ""
    if isinstance(error, ConfigKeyError | ConfigAttributeError):
        line = unknown(key, [str(name) for name in error.parent_node or () if name != "hydra"])
        return f"{line} (+{key}=... adds an argument of its class)" if is_open(key) else line
    allowed = dict(rules()).get(key, {}).get("allowed")
    if allowed is None or composed is None:
        return f"{key}: {str(error.msg).splitlines()[0]}"
    return f"{key}={OmegaConf.select(composed, key)}: allowed is {allowed}"


def is_open(key: str) -> bool:
    """Whether a key lies in a part of the config that takes whatever its class takes."""
    return key.startswith(("model.", "optimizer.", "schedule."))


def unknown(key: str, allowed: list[str]) -> str:
    prefix, _, name = key.rpartition(".")
    close = difflib.get_close_matches(name, allowed, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    where = f" of {prefix}" if prefix else ""
    return f"{key} is not a setting{hint}: allowed{where} are {', '.join(sorted(allowed))}"


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


def optimizer_steps(epochs: int, data: DictConfig) -> int:
    """The resolver of `steps` in conf/config.yaml."""
    settings: dict[str, Any] = OmegaConf.to_container(data, resolve=True)  # type: ignore[assignment]
    return epochs * Data(**settings).steps_per_epoch


def count_epochs(override: str) -> str:
    """`epochs=7` as `epochs.count=7`, for Hydra refuses a number as the option of a group.

    Likewise for lists of levels, in which options may stand beside numbers.
    """
    key, _, value = override.partition("=")
    is_option = re.compile(r"(?!true$|false$|null$)[A-Za-z_]\w*").fullmatch
    if key.lstrip("+") != "epochs" or all(map(is_option, value.split(","))):
        return override
    options = {file.stem: str(OmegaConf.load(file).count) for file in CONF.glob("epochs/*.yaml")}
    return "epochs.count=" + ",".join(options.get(level, level) for level in value.split(","))


OmegaConf.register_new_resolver("optimizer_steps", optimizer_steps, replace=True)
