"""A composed config in the schema's types, each value checked by its rule."""

from collections.abc import Iterable
from dataclasses import Field, fields, replace
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from factorial.settings import metrics
from factorial.settings.labels import read_tags
from factorial.settings.messages import OPEN, BadInput, first_line, shown, unknown
from factorial.settings.names import flatten
from factorial.settings.rules import (
    ADDRESS,
    ANY,
    BOOLEAN,
    CLASS,
    FILE,
    FOLDER,
    GIVER,
    PART_OF_1,
    POSITIVE,
    SEED,
    SIZE,
    Rule,
    one_of,
    or_null,
)
from factorial.settings.schema import Config, Data, Tracking

FLOATS = (float, float | None)
# Of a sweep over several functions what all combinations have in common names none
TARGET = Rule(CLASS.allowed, or_null(CLASS).holds)
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
    "own": {"_target_": TARGET, "test_share": PART_OF_1, "test_seed": SEED},
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


def require_target(data: Data) -> None:
    """Raises BadInput for data of a function or class of the user's own that is not named."""
    if "_target_" in data.own:
        GIVER.check("data._target_", data.own["_target_"])


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
