"""From what was asked for to what can run: checked, its data on disk, its recipe known."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import OmegaConf, open_dict

from factorial import compat
from factorial.record.checkpoint import Trunk
from factorial.runs.facts import stated
from factorial.settings.combination import Combination
from factorial.settings.messages import OPEN, BadInput, Missing
from factorial.settings.recipe import Recipe, identify
from factorial.settings.schema import Config
from factorial.training import data, environment, measuring, sizes, trainer
from factorial.training.instantiate import misfit, signature, untaken

Compose = Callable[[list[str]], Combination]


class Family(NamedTuple):
    """The sweep that a run belongs to: its parent run, its id, the experiment of both."""

    parent: str
    sweep: str
    experiment: str


class Trial(NamedTuple):
    """A combination that was checked and can run.

    `warnings` and `notes` are what a user should know of how it differs from what was typed.
    """

    combination: Combination
    config: Config
    device: torch.device
    recipe: Recipe
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.combination.name(self.config)

    @property
    def actual(self) -> dict[str, str]:
        """Where it really runs, under the names of the record."""
        threads = environment.threads(self.config.device)
        return {"device": self.device.type, "threads": str(threads)}

    @property
    def trunk(self) -> Trunk:
        """Its checkpoints, on the platform that it runs on."""
        outputs = Path(self.config.outputs).resolve()
        return Trunk(outputs, self.recipe.trunk, environment.platform(self.config.device))

    def within(self, family: Family, keep: list[int]) -> "Trial":
        """The same as one of a sweep, which keeps the states after these epochs for its others."""
        tracking = replace(self.config.tracking, **family._asdict())
        composed = self.combination.composed.copy()
        OmegaConf.update(composed, "tracking", family._asdict(), merge=True)
        OmegaConf.update(composed, "keep", keep)
        OmegaConf.update(composed, "recipe", self.recipe.parts)
        return self._replace(
            combination=self.combination._replace(composed=composed),
            config=replace(self.config, tracking=tracking, keep=keep, recipe=self.recipe.parts),
        )

    def require_expected(self) -> None:
        """Raises BadInput where it is not what the sweep has seen: other data here, or code."""
        parts = set(self.config.recipe) - set(self.recipe.parts)
        if parts:
            names = ", ".join(sorted(part.partition("-")[0] for part in parts))
            why = f" ({self.warnings[0]})" if self.warnings else ""
            raise BadInput(
                f"recipe on {socket.gethostname()}: other {names} than the command has; allowed is "
                f"the same{why}"
            )

    def with_threads(self, threads: int) -> "Trial":
        """The same, as if so many had been asked for."""
        composed = self.combination.composed.copy()
        OmegaConf.update(composed, "device.threads", threads)
        return self._replace(
            combination=self.combination._replace(composed=composed),
            config=replace(self.config, device=replace(self.config.device, threads=threads)),
        )


def prepare(combination: Combination, compose: Compose) -> Trial:
    """What was asked for, or the same on `data.fallback` where its data are not to be had.

    Whatever can be refused is refused here, before data are looked for, let alone loaded: raises
    BadInput, and Missing where there is no fallback.
    """
    compat.spare_compiler()
    try:
        combination = stated(combination)
    except Missing as missing:
        return substitute(combination, missing, compose)
    config = combination.parse()
    sizes.check(config)
    foreign = dropped(combination, config)
    combination = without(combination, foreign)
    config = combination.parse()
    device = environment.choose(config.device)
    require_places(config)
    trainer.start(config, device)
    measuring.check(config)
    try:
        data.require(config.data, config.allow)
    except Missing as missing:
        return substitute(combination, missing, compose)
    held_out = sizes.validation_examples(config.data)
    recipe = identify(config, data.digest(config.data), held_out, device.type)
    notes = [f"{one.part}.{one.name} is dropped: {one.target} {one.why}" for one in foreign]
    return Trial(combination, config, device, recipe, notes=tuple(notes))


class Dropped(NamedTuple):
    """An argument that a file sets for one class, and why another that was typed does without."""

    part: str
    name: str
    target: str
    why: str


def dropped(combination: Combination, config: Config) -> list[Dropped]:
    """What a file sets and the class lacks that was typed in its place, or has of another kind.

    The file is an option's, in whose place a class was typed, or an experiment's, over which
    another option was. What was typed itself stays, to be refused by name.
    """
    typed = {word.lstrip("+~").partition("=")[0] for word in combination.typed}
    return [
        Dropped(part, name, combination.maker(part), why)
        for part in OPEN
        if f"{part}._target_" in combination.typed_targets
        or (combination.choices.get("experiment") and combination.is_typed(part))
        for name, why in unfit(part, getattr(config, part), config.allow).items()
        if f"{part}.{name}" not in typed
    ]


def unfit(part: str, node: dict[str, Any], allow: Sequence[str]) -> dict[str, str]:
    """The settings of a part that its class does not take, or not of such a kind, each with why."""
    lacking = dict.fromkeys(untaken(part, node, allow), "has none")
    takes = signature(part, node).parameters
    kinds = {name: misfit(node[name], takes[name]) for name in node if name in takes}
    return lacking | {name: f"takes {kind}" for name, kind in kinds.items() if kind is not None}


def require_places(config: Config) -> None:
    """Raises BadInput for a model whose class has no places for what it gets first."""
    untaken("model", config.model, config.allow)  # which may not be imported unless it is allowed
    takes = signature("model", config.model)
    try:
        takes.bind_partial(config.data.shape, config.data.classes)
    except TypeError as error:
        raise BadInput(
            f"model._target_={config.model['_target_']}: takes {takes}; allowed is what takes the "
            f"shape of an image and the number of classes first"
        ) from error


def without(combination: Combination, foreign: Sequence[Dropped]) -> Combination:
    composed = combination.composed.copy()
    with open_dict(composed):
        for one in foreign:
            composed[one.part].pop(one.name)
    return combination._replace(composed=composed)


def substitute(combination: Combination, missing: Missing, compose: Compose) -> Trial:
    """The same on the fallback's data, in an experiment of its own. Raises BadInput, or what is
    missing where there is no fallback.
    """
    settings, _ = combination.images()
    if (fallback := settings.fallback) is None:
        raise missing
    why = str(missing)
    experiment = f"{combination.composed.tracking.experiment}-fallback-{fallback}"
    replaced = ("data", "data.fallback", *(f"data.{key}" for key in settings.own))
    kept = [
        word for word in combination.typed if word.lstrip("+").partition("=")[0] not in replaced
    ]
    words = [*kept, f"data={fallback}", f"tracking.experiment={experiment}"]
    try:
        trial = prepare(compose(words), compose)
    except BadInput as error:
        raise BadInput(f"{why}; on {fallback} in their place: {error}") from error
    said = f"RUNNING ON {str(fallback).upper()} INSTEAD, in experiment {experiment}"
    return trial._replace(warnings=(why, said))
