"""The grid of a sweep: which combinations there are, and which of them can run."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException, MissingConfigException

from factorial.runs.trial import Compose, Family, Trial, prepare
from factorial.settings.messages import BadInput, readable
from factorial.settings.names import SHORT, is_within
from factorial.settings.overrides import count_epochs
from factorial.settings.recipe import EXCLUDED, digest

MOST = 100_000  # levels, and combinations: they take minutes to compose
# Where a run executes is recorded as it really was: the one thing beside a recipe that may vary
PLACES = ("device", "device.kind", "device.threads")


@dataclass(frozen=True)
class Member:
    """One combination of a sweep: its overrides, and either what can run or why it can't."""

    words: list[str]
    trial: Trial | None = None
    reason: str = ""

    @property
    def levels(self) -> dict[str, str]:
        """Each override's value under the record's name for its key."""
        pairs = (word.lstrip("+~").partition("=") for word in self.words)
        return {SHORT.get(key, key): value for key, _, value in pairs}

    @property
    def name(self) -> str:
        return self.trial.name if self.trial else " ".join(self.words)

    @property
    def recipe(self) -> str:
        """The recipe's id; for what can't run, one of its words."""
        return self.trial.recipe.id if self.trial else digest(sorted(self.words))

    def within(self, family: Family, members: Sequence["Member"]) -> "Member":
        """The same as one of the sweep: with its parent, and with what it keeps for the others.

        A longer run leaves its shorter siblings' final states behind on its way.
        """
        if self.trial is None:
            return self
        length, trunk = self.trial.config.epochs.count, self.trial.recipe.trunk
        trials = [member.trial for member in members if member.trial]
        lengths = {one.config.epochs.count for one in trials if one.recipe.trunk == trunk}
        keep = sorted(other for other in lengths if other < length)
        settings = {f"tracking.{key}": value for key, value in family._asdict().items()}
        settings |= {"keep": keep}
        words = [f"{key}={value!r}".replace(" ", "") for key, value in settings.items()]
        return Member([*self.words, *words], self.trial.within(family, keep))


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
    if len(words) < 2 or plain in PLACES:
        return
    levels = ",".join(word.partition("=")[2] for word in words[:8])
    if plain == "experiment":
        raise BadInput(f"experiment={levels}: allowed is one, for a preset is a sweep of its own")
    if is_within(plain, EXCLUDED) or plain.startswith("hydra"):
        raise BadInput(f"{plain}={levels}: allowed is one value, for it changes no result")


def check(words: list[str], compose: Compose) -> Member:
    """Compose and check one combination before any starts; find its data, or their fallback.

    An option that does not exist is a slip of the pen, and raised: nothing should start. A setting
    that this combination alone does not have, or refuses, fails it alone.
    """
    try:
        trial = prepare(compose(words), compose)
        return Member(trial.combination.typed, trial)
    except MissingConfigException:
        raise
    except (BadInput, ConfigCompositionException) as error:
        return Member(words, reason=str(readable(error)))


def varying(members: Sequence[Member]) -> dict[str, list[str]]:
    """The factors: keys with more than one level, each with its levels in order of appearance."""
    seen: dict[str, dict[str, None]] = {}
    for member in members:
        for key, value in member.levels.items():
            seen.setdefault(key, {})[value] = None
    return {key: list(levels) for key, levels in seen.items() if len(levels) > 1}


def level_rows(members: Sequence[Member]) -> list[dict[str, str]]:
    """For each combination its level of each factor."""
    factors = varying(members)
    return [{key: member.levels.get(key, "") for key in factors} for member in members]
