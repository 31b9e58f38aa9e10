"""What a comparison finds: the leaderboard, the winner, and what can't be told."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from factorial.comparison import intervals
from factorial.comparison.intervals import Estimate, Scores
from factorial.comparison.scales import Scale, log_error, scale
from factorial.comparison.table import SEED, Comparison


@dataclass(frozen=True)
class Findings:
    """`board` has a row for each setting, best first; `best_run` is the winner's best seed's row.

    `test` is the winner's mean on the test set, of what ranks; `test_binomial` the interval that so
    many test images leave an accuracy, whatever the seeds. `error` is there for an accuracy alone.
    """

    comparison: Comparison
    board: pd.DataFrame
    best_run: pd.Series
    test: Estimate
    test_binomial: tuple[float, float] | None
    score: Scale
    error: Scale | None
    notes: list[str]

    @property
    def winner(self) -> pd.Series:
        return best(self.board)

    @property
    def tied(self) -> int:
        """How many settings the data can't tell from the winner."""
        return int(self.board["tie"].sum()) - 1


def best(table: pd.DataFrame) -> pd.Series:
    """The best mean among the settings that have a rank, or of all where none has."""
    ranked = table[table["rank"].notna()]
    return (ranked if len(ranked) else table).iloc[0]


def find(comparison: Comparison) -> Findings:
    table = board(comparison)
    of_winner = comparison.runs[comparison.labels == best(table)["label"]]
    test = average(comparison, of_winner["test"].dropna().to_numpy(dtype=float))
    images = comparison.examples.get("test") if comparison.ranking.is_accuracy else None
    binomial = (
        intervals.binomial(test.value, images) if images and math.isfinite(test.value) else None
    )
    score, error = scale(comparison.runs, comparison, "score"), None
    if comparison.ranking.is_accuracy:
        error = scale(comparison.runs.assign(error=log_error(comparison)), comparison, "error")
    best_run = of_winner.loc[(comparison.ranking.sign * of_winner["score"]).idxmax()]
    notes = [*remarks(comparison, table), *score.analysis.notes]
    return Findings(comparison, table, best_run, test, binomial, score, error, notes)


def average(comparison: Comparison, values: Scores) -> Estimate:
    """The mean of what ranks, with its interval, which for an accuracy ends at 0 and 1."""
    if comparison.ranking.is_accuracy or not len(values):
        return intervals.mean_share(values)
    return intervals.mean(values)


def board(comparison: Comparison) -> pd.DataFrame:
    """A row for each setting, by mean score: its factors, `label`, `n`, `mean`, `low`, `high`.

    `rank` is one more than the number of settings that are better beyond chance, `tied` how many
    others it is not told apart from (both None where seeds are too few to tell), `tie` whether the
    best mean is among them; `blocked` is the rank where seeds are blocks. `binomial_low` and
    `_high` are what so many images leave; `seconds` is a median and `parameters` a mean;
    `front_seconds` and `front_parameters` whether no setting costs no more and scores no worse.
    """
    runs, images, sign = comparison.runs, comparison.images, comparison.ranking.sign
    grouped = runs.groupby(comparison.labels, sort=False)
    scores = {name: group["score"].to_numpy(dtype=float) for name, group in grouped}
    table = grouped[[*comparison.settings]].first() if comparison.settings else pd.DataFrame()
    table = table.reindex(list(scores))
    estimates = [average(comparison, values) for values in scores.values()]
    table["n"] = [estimate.n for estimate in estimates]
    table["mean"] = [estimate.value for estimate in estimates]
    table["low"] = [estimate.low for estimate in estimates]
    table["high"] = [estimate.high for estimate in estimates]
    table["seconds"] = grouped["seconds"].median()
    table["parameters"] = grouped["parameters"].mean()
    for cost in ("seconds", "parameters"):
        known = table[cost].notna()
        table[f"front_{cost}"] = False
        table.loc[known, f"front_{cost}"] = intervals.front(
            table[cost][known], sign * table["mean"][known]
        )
    if images:
        bounds = [intervals.binomial(estimate.value, images) for estimate in estimates]
        table["binomial_low"], table["binomial_high"] = zip(*bounds, strict=True)
    table = ranked(table, [sign * values for values in scores.values()], images)
    table["blocked"] = blocked_ranks(comparison).reindex(table.index)
    table.index.name = "label"
    table = table.reset_index().sort_values("mean", ascending=sign < 0, kind="stable")
    return table.reset_index(drop=True)


def ranked(table: pd.DataFrame, scores: Sequence[Scores], images: int | None) -> pd.DataFrame:
    """With `rank`, `tied` and `tie`; higher scores are better."""
    better = intervals.better(scores, images)
    told = table["n"].gt(1) | bool(images and table["n"].max() == 1)
    means = pd.Series([intervals.average(values) for values in scores], table.index)
    candidates = means.where(told, -math.inf) if told.any() else means
    ties = ~better[candidates.to_numpy().argmax()] & (told if told.any() else True)
    rank = pd.Series(1 + better.sum(axis=0), table.index, dtype=object)
    alike = ~(better | better.T)[:, told.to_numpy()]
    tied = pd.Series(alike.sum(axis=1) - 1, table.index, dtype=object)
    return table.assign(rank=rank.where(told, None), tied=tied.where(told, None), tie=ties)


def by_seed(comparison: Comparison) -> pd.DataFrame | None:
    """Scores, higher ones better, with a row for each seed, a column for each setting; None where
    any is missing."""
    scores = comparison.ranking.sign * comparison.runs["score"]
    wide = comparison.runs.assign(label=comparison.labels, score=scores).pivot(
        index=SEED, columns="label", values="score"
    )
    complete = min(wide.shape) > 1 and wide.notna().all(axis=None)
    return wide if complete else None


def blocked_ranks(comparison: Comparison) -> pd.Series:
    """One more than the number of settings that are better where seeds are blocks."""
    wide = by_seed(comparison)
    if wide is None:
        return pd.Series(dtype=object)
    least = intervals.least_difference_blocked(wide.to_numpy(dtype=float), comparison.images)
    means = wide.mean().to_numpy()
    better = np.subtract.outer(means, means) > least
    return pd.Series(1 + better.sum(axis=0), wide.columns, dtype=object)


def least_difference(comparison: Comparison) -> float:
    """What two settings have to differ by to be told apart: the median over all pairs. Infinite
    where no two accuracies differ by so much."""
    scores = [group.to_numpy() for _, group in comparison.runs.groupby(comparison.labels)["score"]]
    if len(scores) < 2:
        return math.nan
    least = intervals.least_differences(scores, comparison.images)
    median = float(np.median(least[np.triu_indices(len(scores), 1)]))
    return math.inf if comparison.ranking.is_accuracy and median > 1 else median


def remarks(comparison: Comparison, table: pd.DataFrame) -> list[str]:
    """What a reader has to know before the numbers."""
    said = []
    if comparison.selected_on == "test":
        said.append(
            "no validation split: ranked by test accuracy, so the winner is selected on the test "
            "set and its accuracy is too high by what selection gains"
        )
    if table["n"].max() < 2:
        ties = (
            "ties are by the images' binomial error alone, which says nothing of another seed"
            if comparison.ranking.is_accuracy
            else "nothing is told apart"
        )
        said.append(f"one seed a setting: no interval over seeds; {ties}")
    elif table["n"].max() == 2:
        said.append("two seeds a setting tell little apart; three or more do better")
    elif table["n"].min() < 2:
        said.append("settings with one seed have no interval and no rank")
    if (table["n"].gt(1) & table["low"].isna()).any():
        said.append("settings whose seeds all score alike have no interval")
    if failed := len(comparison.failures):
        have = "1 run has" if failed == 1 else f"{failed} runs have"
        said.append(f"{have} no result to compare: see their list")
    if comparison.unrecorded > 0:
        said.append(f"{comparison.unrecorded} combinations of the sweep are not on record")
    if comparison.stopped:
        said.append(
            f"{comparison.stopped} of {len(comparison.runs)} runs stopped early: epochs are what "
            f"was asked for, stopping/epoch on record is what was trained"
        )
    if comparison.superseded:
        said.append(
            f"{comparison.superseded} older runs of the same settings and seed, by other code or "
            f"data, are left out"
        )
    return said
