"""The grid of a sweep: which combinations there are, and which of them can run."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException, MissingConfigException

from factorial.combination import SHORT, Combination
from factorial.config import BadInput, count_epochs
from factorial.errors import readable
from factorial.prepare import Ready, prepare
from factorial.recipe import digest

Compose = Callable[[list[str]], Combination]


@dataclass
class Job:
    """A combination's overrides, and either what can run or why it can't."""

    words: list[str]
    ready: Ready | None = None
    reason: str = ""

    @property
    def levels(self) -> dict[str, str]:
        """Each override's value under the record's name for its key."""
        pairs = (word.partition("=") for word in self.words)
        return {SHORT.get(key, key).lstrip("+~"): value for key, _, value in pairs}

    @property
    def recipe(self) -> str:
        """The recipe's id; for what can't run, one of its words."""
        return self.ready.recipe.id if self.ready else digest(sorted(self.words))


def combinations(
    typed: Iterable[str],
    params: Mapping[str, Any],
    systems: Iterable[Sequence[str]],
    loader: ConfigLoader | None = None,
) -> list[list[str]]:
    """The overrides of each combination: systems times the product of all factors' levels.

    `params` and `systems` are a preset's; what is typed has the last word on a key. `loader` knows
    the options that a glob stands for. Raises BadInput for a sweep that has no levels.
    """
    preset = [count_epochs(f"{key}={value}") for key, value in params.items()]
    parser = OverridesParser.create(config_loader=loader)
    levels, said = parse_levels(preset, parser), parse_levels(typed, parser)
    if "epochs" in said:
        levels.pop("epochs.count", None)
    levels |= said
    kept = [
        [word for word in map(count_epochs, system) if word.partition("=")[0] not in said]
        for system in systems
    ]
    grid = [
        [*system, *product]
        for system, product in itertools.product(kept or [[]], itertools.product(*levels.values()))
    ]
    return [words for index, words in enumerate(grid) if words not in grid[:index]]


def parse_levels(words: Iterable[str], parser: OverridesParser) -> dict[str, list[str]]:
    """For each key its overrides, one a level: `a=1,2` gives {a: [a=1, a=2]}."""
    levels = {}
    for word in parser.parse_overrides(list(words)):
        key = word.get_key_element()
        if word.is_sweep_override() and not word.is_discrete_sweep():
            raise BadInput(f"{word.input_line}: allowed is a list of levels, a range or a glob")
        if word.is_sweep_override():
            levels[key] = [f"{key}={level}" for level in word.sweep_string_iterator()]
        else:
            levels[key] = [str(word.input_line)]
    return levels


def check(words: list[str], compose: Compose) -> Job:
    """Compose and check one combination before any starts; find its data, or their fallback.

    An option that does not exist is a slip of the pen, and raised: nothing should start. A setting
    that this combination alone does not have, or refuses, fails it alone.
    """
    try:
        ready = prepare(compose(words), compose)
        return Job(ready.asked.typed, ready)
    except MissingConfigException:
        raise
    except (BadInput, ConfigCompositionException) as error:
        return Job(words, reason=str(readable(error)).removeprefix("error: "))


def varying(jobs: Sequence[Job]) -> dict[str, list[str]]:
    """The factors: keys with more than one level, each with its levels in order of appearance."""
    seen: dict[str, dict[str, None]] = {}
    for job in jobs:
        for key, value in job.levels.items():
            seen.setdefault(key, {})[value] = None
    return {key: list(levels) for key, levels in seen.items() if len(levels) > 1}


def level_row(job: Job, jobs: Sequence[Job]) -> dict[str, str]:
    return {key: job.levels.get(key, "") for key in varying(jobs)}
