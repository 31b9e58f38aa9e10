"""A sweep: every combination, one parent run, one child each, one table at the end."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.errors import ConfigCompositionException, MissingConfigException
from omegaconf import DictConfig

from factorial import console, environment, record
from factorial.cli import readable
from factorial.combination import SHORT, Combination
from factorial.config import BadInput, Config, count_epochs, parse
from factorial.run import Outcome, execute, ready

Launch = Callable[[list[list[str]]], Sequence[JobReturn]]


@dataclass
class Job:
    """A combination's overrides, and either its config or why it can't run."""

    words: list[str]
    config: Config | None = None
    reason: str = ""

    def levels(self) -> dict[str, str]:
        """Each override's value under the record's name for its key."""
        pairs = (word.partition("=") for word in self.words)
        return {SHORT.get(key, key): value for key, _, value in pairs}


def combinations(
    typed: Iterable[str], params: Mapping[str, Any], systems: Iterable[Sequence[str]]
) -> list[list[str]]:
    """The overrides of each combination: systems times the product of all factors' levels.

    `params` and `systems` are a preset's; what is typed has the last word on a key.
    """
    levels = parse_levels(count_epochs(f"{key}={value}") for key, value in params.items())
    said = parse_levels(typed)
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


def parse_levels(words: Iterable[str]) -> dict[str, list[str]]:
    """For each key its overrides, one a level: `a=1,2` gives {a: [a=1, a=2]}."""
    levels = {}
    for word in OverridesParser.create().parse_overrides(list(words)):
        key = word.get_key_element()
        if word.is_sweep_override():
            levels[key] = [f"{key}={level}" for level in word.sweep_string_iterator()]
        else:
            levels[key] = [str(word.input_line)]
    return levels


def run_sweep(
    base: DictConfig, typed: list[str], compose: Callable[[list[str]], Combination], launch: Launch
) -> list[Outcome]:
    """Run every combination under one parent and show the table.

    What can't be composed, or fails, is recorded as failed; the others go on. Raises SystemExit(1)
    if any failed, and BadInput where nothing can start at all.
    """
    preset = base.hydra.sweeper
    grid = combinations(typed, preset.params, preset.systems)
    jobs = [prepare(words, compose) for words in grid]
    configs = [job.config for job in jobs if job.config is not None]
    tracking = (configs or [parse(Combination.split(base).composed)])[0].tracking
    together = "+".join(sorted({config.tracking.experiment for config in configs}))
    tracking = replace(tracking, experiment=together or tracking.experiment)
    store = record.open_store(tracking, base.outputs)
    with record.recording(store, f"sweep of {len(jobs)}", environment.git()) as parent:
        parent.tag(sweep=parent.id, command=" ".join(typed))
        parent.describe({key: ", ".join(values) for key, values in varying(jobs).items()})
        console.say(f"sweep of {len(jobs)} combinations, parent run {parent.id}")
        outcomes = run_all(jobs, parent.id, tracking.experiment, launch)
        for job, outcome in zip(jobs, outcomes, strict=True):
            if not outcome.run:
                family = {"mlflow.parentRunId": parent.id, "sweep": parent.id}
                outcome.run = record.failed(
                    store, outcome.name, family, job.levels(), outcome.reason
                )
        failed = any(outcome.status != "FINISHED" for outcome in outcomes)
        parent.status = "FAILED" if failed else "FINISHED"
    rows = [{key: job.levels().get(key, "") for key in varying(jobs)} for job in jobs]
    console.show_table(rows, outcomes, record.page(tracking, base.outputs))
    if failed:
        raise SystemExit(1)
    return outcomes


def prepare(words: list[str], compose: Callable[[list[str]], Combination]) -> Job:
    """Compose and check one combination before any starts; find its data, or their fallback.

    An option that does not exist is a slip of the pen, and raised: nothing should start. A setting
    that this combination alone does not have, or refuses, fails it alone.
    """
    try:
        asked = ready(compose(words), compose)
        return Job(asked.typed, parse(asked.composed))
    except MissingConfigException:
        raise
    except (BadInput, ConfigCompositionException) as error:
        return Job(words, reason=str(readable(error)).removeprefix("error: "))


def run_all(jobs: Sequence[Job], parent: str, experiment: str, launch: Launch) -> list[Outcome]:
    """Launch what can run. Every job has an outcome, whatever becomes of its process."""
    ready = [job for job in jobs if job.config is not None]
    family = [f"tracking.parent={parent}", f"tracking.experiment='{experiment}'"]
    try:
        returned = iter(launch([[*job.words, *family] for job in ready]) if ready else [])
        broken = "its process died"
    except Exception as error:  # a launcher that lost a worker gives up on all its jobs
        returned, broken = iter([]), record.reason(error)
    outcomes = []
    for job in jobs:
        failed = Outcome(" ".join(job.words), reason=job.reason or broken)
        outcomes.append(failed if job.config is None else outcome_of(next(returned, None), failed))
    return outcomes


def outcome_of(returned: JobReturn | None, otherwise: Outcome) -> Outcome:
    try:
        return otherwise if returned is None else returned.return_value
    except Exception as error:
        return replace(otherwise, reason=record.reason(error))


def attempt(asked: Combination) -> Outcome:
    """One job of a sweep. Never raises an Exception: a failure is a result."""
    try:
        outcome = execute(asked, console.Display(brief=True))
    except Exception as error:
        outcome = Outcome(" ".join(asked.typed), reason=record.reason(error))
    console.show_outcome(outcome)
    return replace(outcome, error=None)


def varying(jobs: Sequence[Job]) -> dict[str, list[str]]:
    """The factors: keys with more than one level, each with its levels in order of appearance."""
    seen: dict[str, dict[str, None]] = {}
    for job in jobs:
        for key, value in job.levels().items():
            seen.setdefault(key, {})[value] = None
    return {key: list(levels) for key, levels in seen.items() if len(levels) > 1}
