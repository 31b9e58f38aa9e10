"""What of optimizers, surfaces and learning rates was asked for."""

import difflib
from collections.abc import Sequence
from typing import Any, NamedTuple

from omegaconf import OmegaConf

from factorial.motion.surfaces import SURFACES
from factorial.settings.messages import BadInput, shown
from factorial.settings.places import CONF
from factorial.settings.rules import POSITIVE
from factorial.settings.words import names

ALL = "all"
CONFIGURED = "configured"  # the learning rate of an option's own file
RATES = f"{CONFIGURED}, or finite numbers above 0, such as 0.001,0.01"


class Asked(NamedTuple):
    """`optimizers` are options of the group by their names, `rates` learning rates by the words
    that choose them; None: the option's own. `every`: no option was asked for by its name.

    `tolerance` is a share of the distance from the start to the nearest minimum.
    """

    optimizers: dict[str, dict[str, Any]]
    every: bool
    surfaces: list[str]
    rates: dict[str, float | None]
    steps: int
    seed: int
    tolerance: float


def understood(settings: dict[str, Any]) -> Asked:
    """The settings of conf/motion.yaml, checked. Raises BadInput."""
    known = sorted(file.stem for file in (CONF / "optimizer").glob("*.yaml"))
    wanted = some_of("optimizer", settings["optimizer"], known)
    surfaces = some_of("surface", settings["surface"], list(SURFACES))
    return Asked(
        optimizers={name: option(name) for name in wanted},
        every=settings["optimizer"] == ALL,
        surfaces=surfaces,
        rates=rates(settings["lr"]),
        steps=settings["steps"],
        seed=settings["seed"],
        tolerance=settings["tolerance"],
    )


def option(name: str) -> dict[str, Any]:
    """What an option's file sets: a class and its arguments."""
    read = OmegaConf.load(CONF / "optimizer" / f"{name}.yaml")
    return OmegaConf.to_container(read, resolve=True)  # type: ignore[return-value]


def some_of(key: str, value: str, known: Sequence[str]) -> list[str]:
    """`all`, or names, each of them once, in the order of those that are known. Raises BadInput."""
    chosen = names(value)
    if ALL in chosen:
        return list(known)
    for name in chosen or [value]:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            raise BadInput(
                f"{key}={shown(name)}{hint}: allowed is {ALL}, or some of {', '.join(known)}"
            )
    return [name for name in known if name in chosen]


def rates(words: Sequence[str | float]) -> dict[str, float | None]:
    """Learning rates, each once, by how the page calls them. Raises BadInput."""
    if not words:
        raise BadInput(f"lr=[]: allowed are {RATES}")
    numbers = [None if word == CONFIGURED else rate(word) for word in words]
    return {CONFIGURED if number is None else f"{number:g}": number for number in numbers}


def rate(word: str | float) -> float:
    """Raises BadInput."""
    refusal = BadInput(f"lr={shown(word)}: allowed are {RATES}")
    try:
        number = float(word)
    except ValueError as error:
        raise refusal from error
    if not POSITIVE.holds(number):
        raise refusal
    return number
