"""The settings of a search, as conf/hydra/sweeper/optuna.yaml has them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from omegaconf import OmegaConf

from factorial.settings.parsing import build
from factorial.settings.rules import SEED, Rule, is_number, many, one_of, or_null, whole
from factorial.settings.schema import literal, setting

Sampler = Literal["tpe", "cmaes", "random", "grid"]
SEEDS = Rule(
    "a list of different whole numbers, 0 or more",
    lambda some: many(SEED, "").holds(some) and len(some) == len(set(some)) > 0,
)
RUNGS = Rule(
    "a list of growing whole numbers, 1 or more",
    lambda some: many(whole(1), "").holds(some) and some == sorted(set(some)) and some != [],
)
SPACES = Rule(
    "KEY: SPACE, such as optimizer.lr: interval(0.01,1)",
    lambda spaces: (
        isinstance(spaces, dict)
        and all(isinstance(space, str | bool) or is_number(space) for space in spaces.values())
    ),
)


@dataclass(frozen=True)
class Search:
    """`rungs` are lengths in epochs; what they mean without a value depends on the pruner."""

    params: dict[str, Any] = setting(SPACES)
    trials: int = setting(whole(1))
    at_once: int = setting(whole(1))
    seeds: list[int] = setting(SEEDS)
    sampler: Sampler = literal(Sampler)
    sampler_seed: int = setting(SEED)
    pruner: str | None = setting(or_null(one_of("median", "halving")))
    rungs: list[int] | None = setting(or_null(RUNGS))
    reduction: int = setting(whole(2))


def read(settings: Mapping[str, Any]) -> Search:
    """Raises BadInput."""
    search: Search = build(Search, OmegaConf.create(dict(settings)), "hydra.sweeper.")
    return search
