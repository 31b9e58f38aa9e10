"""The space of a search: what varies and between which ends, and what all trials have."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from factorial.runs.grid import check_factor, swept
from factorial.settings.extras import needed
from factorial.settings.messages import BadInput
from factorial.settings.names import is_within
from factorial.settings.overrides import count_epochs
from factorial.settings.search import Search

EPOCHS = ("epochs", "epochs.count")
# What decides which images are held out: accuracies on others are no levels of one search
HELD_OUT = (
    "data",
    "data.validation_share",
    "data.seed",
    "data.name",
    "data.examples",
    "data.test_share",
    "data.test_seed",
)


class Space(NamedTuple):
    """`varying` are Optuna's distributions by key; `fixed` the overrides that all trials have.

    `fit` takes those from a trial that do not apply to it.
    """

    varying: dict[str, Any]
    fixed: list[str]
    fit: Callable[[list[str]], list[str]] = list

    def words(self, params: Mapping[str, Any]) -> list[str]:
        """The overrides of a trial."""
        return self.fit([*self.fixed, *(f"{key}={value}" for key, value in params.items())])

    def probes(self) -> list[dict[str, Any]]:
        """Trials at the ends: each key at each of its ends, the others at their first."""
        first = {key: ends(one)[0] for key, one in self.varying.items()}
        others = (
            first | {key: value} for key, one in self.varying.items() for value in ends(one)[1:]
        )
        return [first, *others]


def read(typed: Iterable[str], params: Mapping[str, Any], loader: ConfigLoader) -> Space:
    """The spaces that were typed, or stand in the config; what is typed has the last word on a key.

    Keys in one order, however they were typed, for samplers draw in it. Raises BadInput.
    """
    parser = OverridesParser.create(config_loader=loader)
    preset = [count_epochs(f"{key}={value}") for key, value in params.items()]
    said = {word.get_key_element(): word for word in parser.parse_overrides(list(typed))}
    if "epochs" in said:
        preset = [word for word in preset if not word.startswith("epochs.count=")]
    words = {word.get_key_element(): word for word in parser.parse_overrides(preset)} | said
    spaces = {key: word for key, word in words.items() if word.is_sweep_override()}
    if not spaces:
        raise BadInput(
            "hydra/sweeper=optuna: allowed with a space, such as optimizer.lr=interval(0.01,1)"
        )
    for key, word in spaces.items():
        refuse(key, word)
    fixed = {key: word for key, word in words.items() if key not in spaces}
    if "seed" in fixed:
        refuse("seed", fixed["seed"])
    varying = {key: distribution(spaces[key]) for key in sorted(spaces)}
    for key, one in varying.items():
        check_factor(key, [f"{key}={value}" for value in ends(one)])
    return Space(varying, [str(word.input_line) for word in fixed.values()])


def refuse(key: str, word: Override) -> None:
    """Raises BadInput for what can't be searched over."""
    plain = key.lstrip("+~")
    if plain == "seed":
        raise BadInput(
            f"{word.input_line}: a search has no space of seeds: allowed is "
            f"hydra.sweeper.seeds=[0,1], with which each trial runs all of them"
        )
    if plain in HELD_OUT:
        raise BadInput(
            f"{word.input_line}: allowed is one value, for accuracies on other images don't compare"
        )


def distribution(word: Override) -> Any:
    """Optuna's, of Hydra's: `interval` and `range` are numeric, all else is a choice of words."""
    sweep: Any = word.value()
    distributions = needed("optuna", "optuna", "hydra/sweeper=optuna").distributions
    tags: set[str] = getattr(sweep, "tags", set())
    if foreign := tags - {"log"}:
        raise BadInput(f"{word.input_line}: allowed as a tag is log, not {min(foreign)}")
    is_log = "log" in tags
    if isinstance(sweep, IntervalSweep):
        low, high = sweep.start, sweep.end  # floats, unless `int(...)` was typed around them
        assert low is not None and high is not None
        check_ends(word, low, high, is_log)
        kinds = distributions.IntDistribution, distributions.FloatDistribution
        return kinds[isinstance(low, float)](low, high, log=is_log)
    if isinstance(sweep, RangeSweep):
        return stepped(word, sweep, is_log, distributions)
    if is_log:
        raise BadInput(f"{word.input_line}: allowed with the tag log is interval, or range")
    return distributions.CategoricalDistribution(list(dict.fromkeys(swept(word))))


def stepped(word: Override, sweep: RangeSweep, is_log: bool, distributions: Any) -> Any:
    """Of a range, which ends before its stop; whole numbers where all of it are."""
    whole = all(type(one) is int for one in (sweep.start, sweep.stop, sweep.step))
    values = sorted(map(int if whole else float, swept(word)))
    step = abs(sweep.step)
    if is_log and not (whole and step == 1):
        raise BadInput(f"{word.input_line}: allowed with the tag log are whole numbers, one by one")
    if is_log:
        check_ends(word, values[0], values[-1], is_log)
        return distributions.IntDistribution(values[0], values[-1], log=True)
    kind = distributions.IntDistribution if whole else distributions.FloatDistribution
    return kind(values[0], values[-1], step=step)


def check_ends(word: Override, low: float, high: float, is_log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise BadInput(f"{word.input_line}: allowed are two finite numbers, the lower one first")
    if is_log and low <= 0:
        raise BadInput(f"{word.input_line}: allowed with the tag log are numbers above 0")


def ends(one: Any) -> list[Any]:
    """All choices, or the lowest and the highest number."""
    return list(getattr(one, "choices", None) or dict.fromkeys((one.low, one.high)))


def levels(key: str, one: Any) -> list[Any]:
    """Every value, of what has steps. Raises BadInput for what has none."""
    if hasattr(one, "choices"):
        return list(one.choices)
    if one.step is None or one.log:
        raise BadInput(
            f"{key}=interval({one.low:g},{one.high:g}): allowed with hydra.sweeper.sampler=grid "
            f"is a list, choice or range"
        )
    count = round((one.high - one.low) / one.step) + 1
    return [one.low + place * one.step for place in range(count)]


def most(search: Search, space: Space) -> int:
    """How many trials there will be: of a grid no more than it has. Raises BadInput."""
    if search.sampler != "grid":
        return search.trials
    grid = math.prod(len(levels(key, one)) for key, one in space.varying.items())
    return min(search.trials, grid)


def check_sampler(search: Search, space: Space) -> None:
    """Raises BadInput where a sampler can't draw from this space."""
    most(search, space)
    numeric = [one for one in space.varying.values() if not hasattr(one, "choices")]
    if search.sampler == "cmaes":
        needed("cmaes", "optuna", "hydra.sweeper.sampler=cmaes")
        if len(numeric) < 2:
            raise BadInput(
                "hydra.sweeper.sampler=cmaes: allowed where two keys or more have an interval or "
                "a range"
            )


def distribution_to_json(one: Any) -> str:
    optuna = needed("optuna", "optuna", "hydra/sweeper=optuna")
    return str(optuna.distributions.distribution_to_json(one))


def without_epochs(words: Iterable[str]) -> list[str]:
    return [word for word in words if not is_within(word.partition("=")[0], EPOCHS)]
