"""One combination of factors as it was asked for, and what the record calls it."""

import copy
import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from factorial.settings.messages import OPEN, shown
from factorial.settings.names import GROUPS, SHORT, flatten, is_within
from factorial.settings.parsing import parse, parse_data, require_target
from factorial.settings.recipe import EXCLUDED, is_own
from factorial.settings.schema import Config, Data, targets

# No hyperparameters: what can't change a result (but where it ran), and facts of the data
FACTS = tuple(f"data.{key}" for key in ("name", "examples", "shape", "classes", "white"))
UNRECORDED = (*(key for key in EXCLUDED if not key.startswith("device.")), *FACTS)
UNNAMED = (*UNRECORDED, "metrics")  # what is measured of runs does not tell them apart
NAMING = (*OPEN, "data", "metrics")  # the parts whose files may name a class or a function
# What a run's name says in its first words, or the record by its place
SAID = ("model", "optimizer", "optimizer.lr", "epochs", "epochs.count", "seed", "experiment")


class Combination(NamedTuple):
    """A composed config, the options chosen in each group, and the overrides as typed.

    `filed` is what the config's own files name in `_target_`: as trusted as the code beside them.
    A config that comes from a record has none, whatever files there are.
    """

    composed: DictConfig
    choices: Mapping[str, str]
    typed: list[str]
    filed: tuple[str, ...] = ()

    @classmethod
    def of(cls, composed: DictConfig, hydra: Any) -> "Combination":
        """What Hydra composed here, of files and of what was typed."""
        typed: Any = OmegaConf.to_container(hydra.overrides.task)  # as written: ${...} stays
        return cls(composed, dict(hydra.runtime.choices), typed, filed(composed, typed))

    @classmethod
    def split(cls, whole: DictConfig) -> "Combination":
        """From a config that still holds Hydra's own node."""
        composed = whole.copy()
        with open_dict(composed):
            hydra = composed.pop("hydra")
        return cls.of(composed, hydra)

    @classmethod
    def compose(cls, typed: list[str]) -> "Combination":
        return cls.split(by_hydra(typed))

    def parse(self) -> Config:
        """Typed and checked; a `_target_` that was typed, or stands in a file, is allowed by that.

        Raises BadInput.
        """
        config = parse(self.composed)
        require_target(config.data)
        return replace(config, allow=[*config.allow, *self.typed_targets.values(), *self.filed])

    def images(self) -> tuple[Data, list[str]]:
        """The settings of its data, checked, and what may stand in `_target_`. Raises BadInput."""
        settings = parse_data(self.composed)
        require_target(settings)
        allow: list[str] = OmegaConf.to_container(self.composed.allow, resolve=True)  # type: ignore
        return settings, [*allow, *self.typed_targets.values(), *self.filed]

    @property
    def typed_targets(self) -> dict[str, str]:
        """The classes that were typed, by their keys."""
        return {
            key: name.strip("'\"")
            for key, name in self.said.items()
            if key.endswith("._target_") and name
        }

    @property
    def said(self) -> dict[str, str]:
        """What was typed, by its keys, without Hydra's signs; the last word on a key counts.

        A key that was taken out has no value.
        """
        words = (word.lstrip("+~").partition("=") for word in self.typed)
        return {key: value for key, _, value in words}

    def option(self, group: str) -> str:
        """The option chosen in a group; of a class that was typed in place of any, the name."""
        chosen = self.is_typed(group) and self.choices[group] != "own"  # no class but a typed one
        return self.choices[group] if chosen else self.maker(group)

    def maker(self, group: str) -> str:
        """What makes a part: the class that was typed by its name, or else the option."""
        target = self.typed_targets.get(f"{group}._target_")
        return self.choices[group] if target is None else target.rpartition(".")[2]

    def is_typed(self, group: str) -> bool:
        """Whether an option of a group was typed."""
        return any(word.lstrip("+").startswith(f"{group}=") for word in self.typed)

    def name(self, config: Config) -> str:
        """What tells runs apart: `mlp adam lr=0.001 e15 s0`, then whatever else was set."""
        words = [self.option("model"), self.option("optimizer")]
        if "lr" in config.optimizer:
            words.append(f"lr={config.optimizer['lr']:g}")
        words += [f"e{config.epochs.count}", f"s{config.seed}"]
        classes = [
            f"{group}._target_" for group in GROUPS if self.option(group) == self.maker(group)
        ]
        for key, value in self.said.items():
            if key not in (*SAID, *classes) and not is_within(key, UNNAMED):
                said = self.option("data") if key == "data" else shown(value)
                words.append(f"{key.rpartition('.')[2]}={said}")
        return " ".join(words)

    def params(self) -> dict[str, Any]:
        """The options of the groups and the flattened settings, under the record's names.

        A class that was typed is on record like any other setting that was.
        """
        settings = flatten(OmegaConf.to_container(self.composed, resolve=True))
        return {group: self.option(group) for group in GROUPS} | {
            SHORT.get(key, key): value
            for key, value in settings.items()
            if not is_within(key, UNRECORDED)
            and (key, value) != ("metrics", {})
            and (key in self.typed_targets or not key.endswith("_target_"))
        }


def filed(composed: DictConfig, typed: list[str]) -> tuple[str, ...]:
    """The user's own classes and functions that no typed word has put there, but a file, however
    deep."""
    words = (word.lstrip("+~").partition("=") for word in typed)
    said = [key for key, _, value in words if key not in NAMING or value.startswith("{")]
    parts = {part: OmegaConf.to_container(composed[part]) for part in NAMING if part in composed}
    found = [pair for part, node in parts.items() for pair in targets(node, part)]
    return tuple(
        name
        for key, name in found
        if isinstance(name, str) and is_own(name) and not is_within(key.replace("[", "."), said)
    )


def by_hydra(typed: list[str]) -> DictConfig:
    """A whole config, with Hydra's own node."""
    return compose("config", overrides=typed, return_hydra_config=True)


class Composer:
    """Composes combinations: by Hydra for each choice of options, then setting by setting.

    The same as Hydra's own composition of all words, at a tenth of its cost for a grid.
    """

    def __init__(self, compose: Callable[[list[str]], DictConfig]) -> None:
        self.compose = functools.cache(lambda words: compose(list(words)))
        self.split = functools.cache(lambda words: Combination.split(self.compose(words)))
        self.groups = set(self.split(()).choices)

    def __call__(self, words: list[str]) -> Combination:
        """Raises Hydra's exceptions."""
        plain = self.plain(words)
        whole = self.split(others(words, plain))
        return Combination(settled(whole.composed, plain), whole.choices, words, whole.filed)

    def job(self, words: list[str]) -> DictConfig:
        """With Hydra's own node, as a launched job has it. Raises Hydra's exceptions."""
        plain = self.plain(words)
        whole = settled(self.compose(others(words, plain)), plain)
        job = whole.hydra.job
        with open_dict(whole.hydra):
            whole.hydra.overrides.task = words
            job.override_dirname = dirname(words, **job.config.override_dirname)
        return whole

    def plain(self, words: list[str]) -> list[Override]:
        """The words that only change a setting on which no other has a say.

        None of them where one is a sweep's: those are Hydra's to refuse.
        """
        said = [word.lstrip("+~").partition("=")[0] for word in words if not self.is_choice(word)]
        plain = [
            word
            for word in words
            if self.is_setting(word) and not overlaps(word.partition("=")[0], said)
        ]
        parsed = OverridesParser.create().parse_overrides(plain)
        return [] if any(one.is_sweep_override() for one in parsed) else parsed

    def is_setting(self, word: str) -> bool:
        """Whether a word only changes the value of a key: no option, addition or deletion."""
        key = word.partition("=")[0]
        return key not in self.groups and re.fullmatch(r"[\w.]+", key) is not None

    def is_choice(self, word: str) -> bool:
        """Whether a word chooses a group's option: Hydra takes those before any value."""
        key, _, value = word.lstrip("+~").partition("=")
        return key in self.groups and not value.startswith("{")


def others(words: list[str], plain: list[Override]) -> tuple[str, ...]:
    lines = {one.input_line for one in plain}
    return tuple(word for word in words if word not in lines)


def settled(config: DictConfig, plain: list[Override]) -> DictConfig:
    """A copy of a config with these settings."""
    copied = copy.deepcopy(config)
    for one in plain:
        try:
            OmegaConf.update(copied, one.key_or_group, one.value(), merge=True)
        except OmegaConfBaseException as error:
            raise ConfigCompositionException(f"Could not override {one.input_line}") from error
    return copied


def dirname(words: list[str], kv_sep: str, item_sep: str, exclude_keys: list[str]) -> str:
    """Hydra's `hydra.job.override_dirname`."""
    kept = [word for word in words if word.lstrip("+~").partition("=")[0] not in exclude_keys]
    return item_sep.join(sorted(kept)).replace("=", kv_sep)


def overlaps(key: str, said: list[str]) -> bool:
    """Whether several words set a key or a part of it: Hydra knows which one counts."""
    return sum(is_within(key, [other]) or is_within(other, [key]) for other in said) > 1
