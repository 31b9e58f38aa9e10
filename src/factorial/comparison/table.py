"""Recorded runs as tidy tables: what varies is a column, what all share is said once."""

import itertools
import math
import re
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from factorial.comparison.levels import factors_of, ordered, spelled, tidy, whole
from factorial.comparison.ranking import Ranking, ranking
from factorial.record import reading
from factorial.record.labels import is_named
from factorial.record.reading import GRADIENTS, RecordedRun
from factorial.record.selection import Selection
from factorial.record.store import Store, points
from factorial.settings.messages import BadInput
from factorial.settings.metrics import VALIDATION
from factorial.settings.names import ABSENT, GROUPS

SEED = "seed"
UNSPLIT = "no validation split, while other runs have one: they can't be ranked together"
CLASS = "._target_"  # how the key of a class that was typed ends


@dataclass(frozen=True)
class Comparison:
    """What a report is made from; nothing of it is drawn or estimated yet.

    `runs` has a row for each run with a result: a column for each factor (levels as text), `seed`,
    `score` and `test` (of what ranks), `published` (test accuracy, on unscaled pixels), `gap`
    (held-out loss less training loss, nats), `seconds`, `parameters`, `id`, and `source`, the run
    that trained.
    `settings` are the factors without the seed, `levels` their levels in order.
    `failures` are runs without a result (factors, seed, `reason`), `missing` are combinations of
    levels that a sweep declared and no run on record has.
    `curves` has a row for each epoch of each run: `id`, `epoch`, and the metrics.
    """

    title: str
    slug: str
    parent: str | None
    runs: pd.DataFrame
    settings: list[str]
    levels: Mapping[str, list[str]]
    shared: Mapping[str, str]
    failures: pd.DataFrame
    missing: pd.DataFrame
    curves: pd.DataFrame
    selected_on: str  # the split that ranks: validation or test
    ranking: Ranking
    examples: Mapping[str, int]  # in each split, where that is on record
    superseded: int  # older runs of the same settings and seed, by other code or data
    unrecorded: int  # combinations of the sweep that are not on record (any more, or yet)
    stopped: int  # runs that ended before the epochs that were asked for
    note: str = ""  # what somebody has said of the sweep
    tags: str = ""
    name: str = ""  # that somebody gave it

    @property
    def measure(self) -> str:
        """What ranks, in words."""
        return f"{self.selected_on} {self.ranking.words}"

    @property
    def images(self) -> int | None:
        """How many images an accuracy that ranks is a share of; None for what is no such share."""
        return self.examples.get(self.selected_on) if self.ranking.is_accuracy else None

    @property
    def labels(self) -> pd.Series:
        """Each run's setting in words."""
        return label(self.runs, self.settings)


def label(rows: pd.DataFrame, settings: Sequence[str]) -> pd.Series:
    """`mlp adam lr=0.1 e15`: what varies, in a few words, for each row; no two settings alike."""
    ends = [key.rpartition(".")[2] for key in settings]
    names = [end if ends.count(end) == 1 else key for key, end in zip(settings, ends, strict=True)]
    words = [
        named(rows[key]).map(lambda level, key=key, name=name: word(key, name, level))
        for key, name in zip(settings, names, strict=True)
    ]
    if not words:
        return pd.Series("all runs", index=rows.index)
    joined = words[0].str.cat(words[1:], sep=" ") if len(words) > 1 else words[0]
    return joined.str.split().str.join(" ").replace("", ABSENT)


def named(levels: pd.Series) -> pd.Series:
    """Classes by their last names, where these tell them apart; other levels as they are."""
    if not str(levels.name).endswith(CLASS):
        return levels
    last = levels.str.rpartition(".")[2]
    return last if last.nunique() == levels.nunique() else levels


def word(key: str, name: str, level: str) -> str:
    if level == ABSENT:
        return ""
    return level if key in GROUPS or key.endswith(CLASS) else f"{name}={level}"


def load(store: Store, chosen: Selection, rank_by: str) -> Comparison:
    """Raises BadInput where no run has a result by the metric `rank_by`."""
    ranked_by = ranking(rank_by, chosen.runs)
    table = pd.DataFrame([row(run, ranked_by) for run in chosen.runs])
    params = pd.DataFrame([tidy(run.params) for run in chosen.runs]).fillna(ABSENT)
    declared = dict(chosen.factors)
    for key in declared:
        if "." in key and any(name.startswith(f"{key}.") for name in params):
            params[key] = whole(params, key)
            declared[key] = list(dict.fromkeys(params[key]))  # its keys stand in any order
        elif key not in params:  # of a sweep whose runs are gone
            params[key] = ABSENT
    factors = factors_of(params, declared)
    table = pd.concat([table, params[[key for key in params if key in {*factors, SEED}]]], axis=1)
    if SEED not in table:
        table[SEED] = "0"
    is_split = table["validation"].notna().any() or not ranked_by.is_accuracy
    selected_on = "validation" if is_split else "test"
    table["score"] = table[selected_on]
    table["test"] = table["test"].where(table["test"].map(ranked_by.is_value))
    table["published"] = table["published"].where(table["published"].between(0, 1))
    is_result = table["reason"].eq("") & table["score"].map(ranked_by.is_value)
    settings = [key for key in factors if key != SEED]
    failures = table[~is_result].copy()
    unexplained = failures["reason"].eq("")
    span = "from 0 to 1" if ranked_by.is_accuracy else "that is a finite number"
    failures.loc[unexplained, "reason"] = f"no {selected_on}/{ranked_by.name} {span} is on record"
    if selected_on == "validation" and ranked_by.is_accuracy:
        unsplit = unexplained & failures["validation"].isna() & failures["test"].between(0, 1)
        failures.loc[unsplit, "reason"] = UNSPLIT
    if not is_result.any():
        why = failures["reason"].unique()
        only = f" ({why[0]})" if len(why) == 1 else ""
        raise BadInput(
            f"{chosen.title}: none of its {len(table)} runs has a result to compare{only}"
        )
    runs, superseded = newest(table[is_result], [*settings, SEED])
    stated = chosen.parent.tags.get("combinations", "") if chosen.parent else ""
    size = int(stated) if re.fullmatch(r"[0-9]{1,9}", stated) else len(table)
    levels = {key: ordered(table[key], declared.get(key, ())) for key in settings}
    return Comparison(
        title=chosen.title,
        slug=chosen.slug,
        parent=chosen.parent.id if chosen.parent else None,
        runs=runs.reset_index(drop=True),
        settings=settings,
        levels=levels,
        shared=shared(params, [*factors, SEED]),
        failures=failures.reset_index(drop=True),
        missing=absent(table, declared, size) if declared else pd.DataFrame(),
        curves=curves(store, runs["id"].tolist(), rank_by, layers_of(chosen.runs)),
        selected_on=selected_on,
        ranking=ranked_by,
        examples=next((run.sizes for run in chosen.runs if run.sizes), {}),
        superseded=superseded,
        unrecorded=size - len(table),
        stopped=sum("stopped" in run.tags for run in chosen.runs if run.id in set(runs["id"])),
        note=chosen.note,
        tags=chosen.tags,
        name=chosen.parent.name if chosen.parent and is_named(chosen.parent) else "",
    )


def row(run: RecordedRun, ranked_by: Ranking) -> dict[str, object]:
    metrics, reason = defaultdict(lambda: math.nan, filter(is_finite, run.metrics.items())), ""
    if run.status != "FINISHED":
        reason = run.tags.get("failure", f"its status is {run.status}")
    return {
        "id": run.id,
        "source": run.source,
        "touched": run.touched,
        "validation": metrics[f"{VALIDATION}{ranked_by.name}"],
        "test": metrics[f"test/{ranked_by.name}"],
        "published": metrics["test/accuracy_as_published"],
        "gap": metrics.get("validation/loss", metrics["test/loss"]) - metrics["train/loss"],
        "seconds": metrics["train/seconds"],
        "parameters": metrics["parameters"],
        "reason": reason,
    }


def is_finite(metric: tuple[str, float]) -> bool:
    """MLflow keeps an infinite value as the largest number that there is."""
    return abs(metric[1]) < sys.float_info.max


def newest(runs: pd.DataFrame, keys: list[str]) -> tuple[pd.DataFrame, int]:
    """One run for each setting and seed, the newest; how many older ones were left out.

    Two versions of the code are no two seeds: counted as such they would make intervals too narrow.
    """
    last = runs.sort_values("touched", kind="stable").drop_duplicates(keys, keep="last")
    return runs.loc[runs.index.isin(last.index)], len(runs) - len(last)


def shared(params: pd.DataFrame, varying: Sequence[str]) -> dict[str, str]:
    """What all runs have in common, each setting with its one value."""
    same = [key for key in params if key not in varying and params[key].nunique() == 1]
    return {key: params[key].iloc[0] for key in same}


def absent(table: pd.DataFrame, declared: Mapping[str, Sequence[str]], size: int) -> pd.DataFrame:
    """Combinations of a sweep's levels that no run on record has, whichever they can be told for.

    A sweep of fewer combinations than the product of its levels left some out by design: which of
    them are gone since is unknown.
    """
    keys = list(declared)
    if math.prod(map(len, declared.values())) != size:
        return pd.DataFrame(columns=keys)
    product = itertools.product(*([spelled(level) for level in declared[k]] for k in keys))
    seen = {tuple(values) for values in table[keys].to_numpy()}
    return pd.DataFrame([levels for levels in product if levels not in seen], columns=keys)


def layers_of(runs: Sequence[RecordedRun]) -> list[str]:
    return reading.layers({name for run in runs for name in run.metrics})


def curves(store: Store, runs: list[str], rank_by: str, layers: list[str]) -> pd.DataFrame:
    """Every epoch of every run, a query for each metric."""
    names = dict.fromkeys(["train/loss", "validation/loss", rank_by, *layers])
    columns = {
        name: pd.DataFrame(
            [(run, step, value) for run, pairs in points(store, runs, name).items()
             for step, value in pairs if is_finite((name, value))],
            columns=["id", "epoch", name],
        ).drop_duplicates(["id", "epoch"], keep="last").set_index(["id", "epoch"])[name]
        for name in names
    }  # fmt: skip
    return pd.DataFrame(columns).reset_index().rename(columns=short)


def short(name: str) -> str:
    return f"layer {name.removeprefix(GRADIENTS)}" if name.startswith(GRADIENTS) else name
