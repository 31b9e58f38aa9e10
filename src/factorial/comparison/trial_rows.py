"""A search in words and rows: the best trial, all of them, how many ended how, what failed."""

from typing import Any

from factorial.comparison.trials import COMPLETE, FAILED, PRUNED, Trials
from factorial.comparison.wording import share

STATES = {COMPLETE: "complete", PRUNED: "pruned", FAILED: "failed"}
CAVEAT = (
    "Which combinations were tried depended on what came of earlier ones, so there are neither "
    "intervals nor an analysis of variance here; and the best of many trials looks better than it "
    "is: its accuracy on fresh seeds is what counts."
)


def counts(trials: Trials) -> str:
    """How many trials there are of each kind."""
    states = trials.table["state"].value_counts()
    kinds = (f"{states[state]} {word}" for state, word in STATES.items() if state in states)
    seeds = len(trials.seeds)
    each = "one seed" if seeds == 1 else f"{seeds} seeds"
    return f"{len(trials.table)} trials ({', '.join(kinds)}), {each} each; sampler {trials.sampler}"


def sentences(trials: Trials) -> list[str]:
    """The best trial, and what may be concluded from that."""
    best = trials.best
    if best is None:
        return ["No trial is complete."]
    row = trials.table[trials.table["number"] == best.number].iloc[0]
    settings = ", ".join(f"{key}={level(row[key])}" for key in trials.keys)
    seeds = "one seed" if len(trials.seeds) == 1 else f"the mean of {len(trials.seeds)} seeds"
    first = (
        f"Best of {len(trials.table)} trials: trial {best.number}, validation accuracy "
        f"{share(best.value)} ({seeds}), with {settings}."
    )
    return [first, CAVEAT]


def level(value: Any) -> str:
    """A value as a reader needs it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def board(trials: Trials) -> list[dict[str, str]]:
    return [
        {
            "trial": str(row["number"]),
            **{key: level(row[key]) for key in trials.keys},
            "epochs": str(row["epochs"]),
            "validation accuracy": share(row["value"]),
            "state": STATES[row["state"]],
        }
        for row in trials.ranked.to_dict("records")
    ] or [{"trial": "none has a value"}]


def failures(trials: Trials) -> list[dict[str, str]]:
    failed = trials.table[trials.table["state"] == FAILED]
    return [
        {
            "trial": str(row["number"]),
            **{key: level(row[key]) for key in trials.keys},
            "reason": row["reason"],
        }
        for row in failed.to_dict("records")
    ]
