"""From what was asked for to what can run: checked, its data on disk, its recipe known."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from factorial import console, data, environment, files, trainer
from factorial.checkpoint import Trunk
from factorial.combination import Combination
from factorial.config import Config
from factorial.recipe import Recipe, identify


class Ready(NamedTuple):
    """A combination that can run."""

    asked: Combination
    config: Config
    device: torch.device
    recipe: Recipe

    @property
    def name(self) -> str:
        return self.asked.name(self.config)

    @property
    def trunk(self) -> Trunk:
        outputs = Path(self.config.outputs).resolve()
        return Trunk(outputs, self.recipe.trunk, environment.arithmetic(self.device))


def prepare(asked: Combination, compose: Callable[[list[str]], Combination]) -> Ready:
    """What was asked, or the same on `data.fallback` where its data are not to be had.

    Whatever can be refused is refused here, before data are looked for, let alone loaded: raises
    BadInput, and files.Missing where there is no fallback.
    """
    config = asked.config
    device = environment.prepare(config.device)
    trainer.start(config, device)
    try:
        data.require(config.data)
    except files.Missing as missing:
        if config.data.fallback is None:
            raise
        return prepare(compose(substitute(asked, config, str(missing))), compose)
    return Ready(asked, config, device, identify(config, data.digest(config.data), device.type))


def substitute(asked: Combination, config: Config, why: str) -> list[str]:
    """The overrides that run the same on the fallback's data, in an experiment of its own."""
    fallback = config.data.fallback
    experiment = f"{config.tracking.experiment}-fallback-{fallback}"
    console.warn(why, f"RUNNING ON {str(fallback).upper()} INSTEAD, in experiment {experiment}")
    kept = [word for word in asked.typed if word.partition("=")[0] not in ("data", "data.fallback")]
    return [*kept, f"data={fallback}", f"tracking.experiment={experiment}"]
