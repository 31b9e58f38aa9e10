"""A search as it was recorded: its trials, their spaces, and which of these mattered."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from factorial.record import untrusted
from factorial.record.labels import is_named
from factorial.record.reading import RecordedRun
from factorial.record.selection import Selection
from factorial.record.store import Store, artifact
from factorial.settings.extras import needed
from factorial.settings.messages import BadInput, reason

FILE = "search.json"  # of the parent run
COMPLETE, PRUNED, FAILED = "COMPLETE", "PRUNED", "FAIL"
ENOUGH = 10  # trials, before anything is said of which setting matters


@dataclass(frozen=True)
class Trials:
    """`table` has a row for each trial: `number`, `state`, `value` (share, the mean over seeds at
    the last rung that it reached), `epochs` (that rung), `first` (the value at its first rung),
    `reason`, and a column for each of `keys`, whose `spaces` are as Optuna writes them.

    `curves` has each trial's values by epochs, for all rungs that it reached.
    """

    title: str
    slug: str
    parent: str
    table: pd.DataFrame
    keys: list[str]
    spaces: Mapping[str, Mapping[str, Any]]
    rungs: list[int]
    seeds: list[int]
    sampler: str
    curves: list[dict[int, float]]
    confirm: str
    name: str = ""  # what somebody calls the search
    note: str = ""  # what somebody has said of the search
    tags: str = ""

    @property
    def best(self) -> Any:
        """The best complete trial, the first of equals; None without any."""
        complete = self.table[self.table["state"] == COMPLETE]
        ranked = complete.sort_values(["value", "number"], ascending=[False, True])
        return None if ranked.empty else next(ranked.itertuples())

    @property
    def ranked(self) -> pd.DataFrame:
        """Trials with a value: complete ones first, then by how far they came, and by value."""
        known = self.table[self.table["value"].notna()]
        order = known.assign(ended=known["state"] != COMPLETE)
        keys = ["ended", "epochs", "value", "number"]
        ordered = order.sort_values(keys, ascending=[True, False, False, True])
        return ordered.drop(columns="ended")

    def is_log(self, key: str) -> bool:
        return bool(self.spaces[key].get("log"))

    def is_numeric(self, key: str) -> bool:
        return "choices" not in self.spaces[key]


def load(store: Store, chosen: Selection) -> Trials:
    """Raises BadInput where the search's file is gone, or is no such file."""
    assert chosen.parent is not None
    what = f"search {chosen.slug}: {FILE}"
    file = artifact(store, chosen.parent.id, FILE)
    if file is None:
        raise BadInput(f"{what} is gone from the files of its run {chosen.parent.id}")
    document = untrusted.read_json(file, what)
    try:
        return read(document, chosen)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"{what} can't be read ({reason(error)})") from error


def read(document: Mapping[str, Any], chosen: Selection) -> Trials:
    spaces = {str(key): json.loads(one)["attributes"] for key, one in document["space"].items()}
    keys = list(spaces)
    curves = [by_epochs(trial["values"]) for trial in document["trials"]]
    rows = [
        row(trial, curve, keys) for trial, curve in zip(document["trials"], curves, strict=True)
    ]
    columns = ["number", "state", "value", "epochs", "first", "reason", *keys]
    return Trials(
        chosen.title,
        chosen.slug,
        chosen.parent.id if chosen.parent else "",
        pd.DataFrame(rows, columns=columns),
        keys,
        spaces,
        [int(rung) for rung in document["rungs"]],
        [int(seed) for seed in document["seeds"]],
        str(document["sampler"]),
        curves,
        str(document["confirm"]),
        chosen.parent.name if chosen.parent and is_named(chosen.parent) else "",
        chosen.note,
        chosen.tags,
    )


def ended(number: int, epochs: int, runs: Sequence[RecordedRun]) -> list[RecordedRun]:
    """A trial's runs of so many epochs, one a seed; a run may be that of several trials."""
    return [
        run
        for run in runs
        if run.is_result
        and str(number) in run.tags.get("trial", "").split(", ")
        and run.params.get("epochs") == str(epochs)
    ]


def by_epochs(values: Mapping[str, float]) -> dict[int, float]:
    return dict(sorted((int(epochs), float(value)) for epochs, value in values.items()))


def row(trial: Mapping[str, Any], curve: dict[int, float], keys: Sequence[str]) -> dict[str, Any]:
    last = max(curve, default=0)
    failed = trial["state"] == FAILED
    return {
        "number": int(trial["number"]),
        "state": str(trial["state"]),
        "value": math.nan if failed else curve[last],
        "epochs": last,
        "first": math.nan if failed else curve[min(curve)],
        "reason": str(trial["reason"]),
        **{key: trial["params"][key] for key in keys},
    }


def importances(trials: Trials) -> dict[str, float]:
    """The share of the variance that each key explains, by Optuna's fANOVA, largest first.

    Of the accuracies at the first rung, for all trials have one there: those that went on were
    chosen. Empty for too few trials; raises BadInput without Optuna.
    """
    known = trials.table[trials.table["first"].notna()]
    if len(known) < ENOUGH or known["first"].nunique() < 2:
        return {}
    optuna = needed("optuna", "optuna", "importances of a search's settings")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize")
    distributions = {
        key: getattr(optuna.distributions, kind_of(space))(**space)
        for key, space in trials.spaces.items()
    }
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={key: one[key] for key in trials.keys},
                distributions=distributions,
                value=one["first"],
            )
            for one in known.to_dict("records")
        ]
    )
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {str(key): float(share) for key, share in shares.items()}


def kind_of(space: Mapping[str, Any]) -> str:
    """Optuna's class of a distribution."""
    if "choices" in space:
        return "CategoricalDistribution"
    return "IntDistribution" if isinstance(space["low"], int) else "FloatDistribution"
