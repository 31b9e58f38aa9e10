"""What of optimizers, surfaces and learning rates was asked for."""

import difflib
import functools
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.initialize import get_gh_backup, restore_gh_from_backup
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from factorial import console
from factorial.motion.surfaces import SURFACES
from factorial.settings.messages import BadInput, one_line, readable, shown
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

    def only(self, names: Collection[str]) -> "Asked":
        """The same of some of the optimizers."""
        some = {name: node for name, node in self.optimizers.items() if name in names}
        return self._replace(optimizers=some)


def understood(settings: dict[str, Any]) -> Asked:
    """The settings of conf/motion.yaml, checked. Raises BadInput."""
    known = sorted(file.stem for file in (CONF / "optimizer").glob("*.yaml"))
    wanted = some_of("optimizer", settings["optimizer"], known)
    surfaces = some_of("surface", settings["surface"], list(SURFACES))
    every = ALL in names(settings["optimizer"])
    chosen = rates(settings["lr"])
    return Asked(
        optimizers=options(wanted, every),
        every=every,
        surfaces=surfaces,
        rates=chosen,
        steps=settings["steps"],
        seed=settings["seed"],
        tolerance=settings["tolerance"],
    )


def options(wanted: Sequence[str], every: bool) -> dict[str, dict[str, Any]]:
    """What each option sets. Raises BadInput."""
    found = {}
    with composing():
        for name in wanted:
            with excused(name, every):
                found[name] = option(CONF, name)
    return found


@contextmanager
def composing() -> Iterator[None]:
    """Hydra with the configs of conf/, and after it what Hydra had before."""
    before = get_gh_backup()
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            yield
    finally:
        restore_gh_from_backup(before)


@functools.cache
def option(_: Path, name: str) -> dict[str, Any]:
    """A class and its arguments, as Hydra composes them for a run from the folder that it is in.

    Raises BadInput.
    """
    try:
        composed = compose("config", overrides=[f"optimizer={name}"]).optimizer
        node: Any = OmegaConf.to_container(composed, resolve=True)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        why = readable(error) or one_line(str(error))
        raise BadInput(f"optimizer={name}: no run has this option ({why})") from error
    if "_target_" not in node:
        raise BadInput(f"optimizer={name}: allowed is an option that names a class, as _target_")
    return node  # type: ignore[no-any-return]


@contextmanager
def excused(name: str, every: bool) -> Iterator[None]:
    """An option that is of no use here is left out, with a warning, where nobody asked for it by
    its name. Raises BadInput where somebody did."""
    try:
        yield
    except BadInput as error:
        if not every:
            raise
        console.warn(f"{name} is left out: {error}")


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
