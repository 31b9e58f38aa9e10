"""The grid of a sweep: the overrides of every combination of all levels."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from factorial.settings.messages import BadInput, shown
from factorial.settings.names import SHORT, is_within
from factorial.settings.overrides import count_epochs
from factorial.settings.recipe import EXCLUDED

MOST = 100_000  # levels, and combinations: they take minutes to compose
# Where a run executes is recorded as it really was: the one thing beside a recipe that may vary
PLACES = ("device", "device.kind", "device.threads")


def combinations(
    typed: Iterable[str],
    params: Mapping[str, Any],
    systems: Iterable[Sequence[str]],
    loader: ConfigLoader | None = None,
) -> list[list[str]]:
    """The overrides of each combination: systems times the product of all factors' levels.

    `params` and `systems` are a preset's; what is typed has the last word on a key. `loader` knows
    the options that a glob stands for. Raises BadInput for a sweep that has no levels, or whose
    levels could not tell one result from another.
    """
    check_preset(params, systems)
    preset = [count_epochs(f"{key}={value}") for key, value in params.items()]
    parser = OverridesParser.create(config_loader=loader)
    levels, said = parse_levels(preset, parser), parse_levels(typed, parser)
    if "epochs" in said:
        levels.pop("epochs.count", None)
    levels |= said
    for key, words in levels.items():
        check_factor(key, words)
    if (size := math.prod(map(len, levels.values()))) > MOST:
        raise BadInput(f"{size} combinations: allowed are {MOST} in one sweep")
    kept = [
        [word for word in map(count_epochs, system) if word.partition("=")[0] not in said]
        for system in systems
    ]
    grid = [
        (*system, *product)
        for system, product in itertools.product(kept or [[]], itertools.product(*levels.values()))
    ]
    return [list(words) for words in dict.fromkeys(grid)]


def check_preset(params: Any, systems: Any) -> None:
    """Raises BadInput for a preset's sweep of another form than `combinations` takes."""
    if not isinstance(params, Mapping):
        raise BadInput(
            f"hydra.sweeper.params={shown(params)}: allowed are KEY: LEVELS, such as seed: 0,1,2"
        )
    if not (is_list(systems) and all(map(is_system, systems))):
        raise BadInput(
            f"hydra.sweeper.systems={shown(systems)}: allowed is a list of lists of KEY=VALUE, "
            f"such as [[model=mlp, optimizer=adam]]"
        )
    factors = {setting(str(key)) for key in params}
    for key in (setting(word) for system in systems for word in system):
        if key in factors:
            raise BadInput(f"hydra.sweeper: {key} stands in params and in systems; allowed is one")


def setting(word: str) -> str:
    """What a preset's word sets, under the record's name, without Hydra's signs."""
    key = word.lstrip("+~").partition("=")[0]
    return SHORT.get(key, key)


def is_system(system: Any) -> bool:
    return is_list(system) and all(isinstance(word, str) and "=" in word for word in system)


def is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def parse_levels(words: Iterable[str], parser: OverridesParser) -> dict[str, list[str]]:
    """For each key its overrides, one a level: `a=1,2` gives {a: [a=1, a=2]}."""
    levels = {}
    for word in parser.parse_overrides(list(words)):
        key = word.get_key_element()
        if word.is_sweep_override() and not word.is_discrete_sweep():
            raise BadInput(f"{word.input_line}: allowed is a list of levels, a range or a glob")
        if word.is_sweep_override():
            levels[key] = [f"{key}={level}" for level in swept(word)]
        else:
            levels[key] = [str(word.input_line)]
    return levels


def swept(word: Override) -> list[str]:
    """The levels of an override. Raises BadInput where there are none, or too many."""
    try:
        levels = list(itertools.islice(word.sweep_string_iterator(), MOST + 1))
    except ValueError as error:
        raise BadInput(f"{word.input_line}: allowed is what gives levels ({error})") from error
    if not 1 <= len(levels) <= MOST:
        raise BadInput(f"{word.input_line}: allowed is what gives 1 to {MOST} levels")
    return levels


def check_factor(key: str, words: Sequence[str]) -> None:
    """Raises BadInput where several levels are no factor: on record they would be alike."""
    plain = key.lstrip("+~")
    if len(words) < 2 or (plain in PLACES and f"{key}=null" not in words):
        return
    levels = ",".join(word.partition("=")[2] for word in words[:8])
    if plain == "experiment":
        raise BadInput(f"experiment={levels}: allowed is one, for a preset is a sweep of its own")
    if plain in PLACES:
        raise BadInput(f"{plain}={levels}: allowed are numbers, for null is one of them")
    if is_within(plain, EXCLUDED) or plain.startswith("hydra"):
        raise BadInput(f"{plain}={levels}: allowed is one value, for it changes no result")
