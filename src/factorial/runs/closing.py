"""What is said of a search: on the screen, in a file of its parent run, and how to confirm it."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from factorial import console
from factorial.results import Outcome
from factorial.runs import ledger
from factorial.runs.candidate import COMPLETE, FAILED, Candidate, described
from factorial.runs.space import Space, distribution_to_json
from factorial.runs.study import Study
from factorial.settings.schema import Config
from factorial.settings.search import Search

FILE = "search.json"  # among the parent run's files: all that a report needs
FRESH = 5  # seeds that a winner is confirmed on
STATUS = {COMPLETE: "FINISHED", FAILED: "FAILED"}


def spelled(space: Space) -> dict[str, str]:
    """The distributions as JSON, from which Optuna makes them again."""
    return {key: distribution_to_json(one) for key, one in space.varying.items()}


def document(study: Study, space: Space, lengths: Sequence[int]) -> dict[str, Any]:
    """The search as plain values: its settings, and each trial that has ended."""
    search = study.search
    return {
        "space": spelled(space),
        "sampler": search.sampler,
        "pruner": search.pruner,
        "rungs": list(lengths),
        "seeds": search.seeds,
        "trials": [row(trial) for trial in study.trials if trial.state.is_finished()],
        "confirm": confirmation(study, space),
    }


def row(trial: Any) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": trial.state.name,
        "value": trial.value,
        "params": trial.params,
        "values": {str(epochs): value for epochs, value in trial.intermediate_values.items()},
        "reason": trial.user_attrs.get("reason", ""),
    }


def best(study: Study) -> Any:
    """The complete trial with the highest value, the first of equals; None without any."""
    complete = [trial for trial in study.trials if trial.state.name == COMPLETE]
    return max(complete, key=lambda trial: (trial.value, -trial.number), default=None)


def failures(study: Study) -> list[Any]:
    return [trial for trial in study.trials if trial.state.name == FAILED]


def confirmation(study: Study, space: Space) -> str:
    """The command that trains the best trial on seeds that the search has not seen."""
    winner = best(study)
    if winner is None:
        return ""
    first = max(study.search.seeds) + 1
    seeds = ",".join(str(first + place) for place in range(FRESH))
    own = ("name", "note")  # of the search alone
    said = [word for word in space.words(winner.params) if word.partition("=")[0] not in own]
    words = [*said, f"seed={seeds}"]
    return f"python train.py -m {shlex.join(words)}"


def show_trial(one: Candidate, study: Study) -> None:
    """A line for a trial that has ended."""
    winner = best(study)
    said = f"{one.value:.4f}" if one.value is not None else one.reason
    known = f"  (best {winner.value:.4f}, trial {winner.number})" if winner else ""
    state = "" if one.state == COMPLETE else f"{STATUS.get(one.state, one.state).lower()} "
    console.say(f"trial {one.number}  {state}{said}  {described(one.trial.params)}{known}")


def level_row(trial: Any) -> dict[str, str]:
    """A trial's levels: long numbers cut to what can be told apart."""
    return {
        "trial": str(trial.number),
        **{key: f"{v:.6g}" if isinstance(v, float) else str(v) for key, v in trial.params.items()},
    }


def close(settings: Config, study: Study, space: Space, identity: str) -> None:
    """The table, the best trial with the command that confirms it, and the ledger."""
    rows = [level_row(trial) for trial in study.trials]
    ended = [
        {
            "epochs": str(max(trial.intermediate_values, default="")),
            "validation": "" if trial.value is None else f"{trial.value:.4f}",
            "status": STATUS.get(trial.state.name, trial.state.name),
        }
        for trial in study.trials
    ]
    console.show_rows([row | end for row, end in zip(rows, ended, strict=True)])
    for trial in failures(study):
        console.say(f"FAILED trial {trial.number}: {trial.user_attrs.get('reason', '')}")
    console.say(f"{len(rows)} trials, {len(failures(study))} failed")
    if winner := best(study):
        console.say(
            f"best: trial {winner.number}, validation accuracy {winner.value:.4f}, "
            f"{described(winner.params)}",
            f"confirm it on fresh seeds: {confirmation(study, space)}",
        )
    if settings.ledger:
        outcomes = [outcome(trial) for trial in study.trials]
        ledger.write(Path(settings.ledger), identity, rows, outcomes)


def outcome(trial: Any) -> Outcome:
    status: Any = STATUS.get(trial.state.name, trial.state.name)
    return Outcome(f"trial {trial.number}", status, validation=trial.value)


def require_ledger(settings: Config) -> None:
    """Raises BadInput now rather than when all is done."""
    if settings.ledger:
        ledger.require_writable(Path(settings.ledger))


def show_plan(search: Search, done: int, most: int, identity: str, lengths: Sequence[int]) -> None:
    """How many trials there are, and remain; what they will be is not known before."""
    rungs = " to ".join(map(str, sorted({lengths[0], lengths[-1]})))
    console.say(
        f"search {identity[:8]}: {done} of {most} trials are on record, "
        f"{max(0, most - done)} remain, of {rungs} epochs, each with {len(search.seeds)} "
        f"seed{'s' if len(search.seeds) > 1 else ''}"
    )
