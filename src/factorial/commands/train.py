"""Train one image classifier, or a sweep of them with -m; the same as python train.py."""

import os
import sys
from collections.abc import Sequence

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from factorial import console
from factorial.runs.grid import check_preset, setting
from factorial.settings.combination import Combination
from factorial.settings.help import text
from factorial.settings.messages import BadInput, report
from factorial.settings.overrides import for_hydra
from factorial.settings.places import CONF
from factorial.settings.words import HELP
from factorial.training import sizes


def main(typed: Sequence[str]) -> None:
    """A Hydra application: raises Hydra's errors, BadInput, and SystemExit where a run failed."""
    if set(typed) & set(HELP):
        print(text([word for word in typed if word not in HELP]))
        return
    sys.argv[1:] = for_hydra(typed)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra's errors come here instead of being printed there
    compose_and_run()


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def compose_and_run(composed: DictConfig) -> object:
    """One job: within a sweep its outcome, alone its end on the screen."""
    try:
        return job(Combination.of(composed, HydraConfig.get()))
    except Exception as error:  # Hydra would print words of its own around it
        raise SystemExit(report(error)) from error


def job(combination: Combination) -> object:
    """What follows takes seconds to import, so what is wrong and what is to come are said first."""
    hydra_config = HydraConfig.get()
    if hydra_config.mode == RunMode.MULTIRUN:
        sweeper = hydra_config.runtime.choices["hydra/sweeper"]
        if not str(hydra_config.sweeper.get("_target_")).startswith("hydra_plugins.factorial_"):
            raise BadInput(f"hydra/sweeper={sweeper}: allowed is factorial, or optuna")
        from factorial.runs.ending import run_in_worker

        return run_in_worker(combination)
    refuse_sweeps(combination, hydra_config.sweeper)
    config = combination.parse()
    if config.ledger is not None:
        raise BadInput(f"ledger={config.ledger}: allowed is null without -m: a sweep writes it")
    sizes.check(config)
    if not config.plan:
        called = f"{config.name}: " if config.name else ""
        console.say(f"{called}{combination.name(config)}: {combination.option('data')}")
    from factorial.runs.run import run_alone

    return run_alone(combination)


def refuse_sweeps(combination: Combination, sweeper: DictConfig) -> None:
    """Raises BadInput for a preset that is a sweep, where none was asked for.

    One run of it would be of the defaults, whatever the preset says.
    """
    given = set(map(setting, combination.typed))
    if "trials" in sweeper:
        raise BadInput("hydra/sweeper=optuna: allowed with -m, for a search is many runs")
    params, systems = sweeper.get("params", {}), sweeper.get("systems", ())
    check_preset(params, systems)
    swept = [*map(str, params), *(word for system in systems for word in system)]
    missing = [key for key in dict.fromkeys(map(setting, swept)) if key not in given]
    if missing:
        preset = combination.choices.get("experiment")
        raise BadInput(
            f"experiment={preset}: it is a sweep of {', '.join(missing)}: add -m, or give each one "
            f"value"
        )
