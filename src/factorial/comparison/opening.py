"""How a report opens: its title, and a verdict of three sentences in plain words."""

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from factorial.comparison import intervals
from factorial.comparison.findings import Findings, least_difference
from factorial.comparison.intervals import Estimate
from factorial.comparison.wording import duration, estimate, is_chance, name, share

MOST = 3  # factors of a title, terms of a sentence
LEAST = 0.01  # share of the variance that is worth a word

Lead = Callable[[Any], Estimate]
PLAIN = {
    "seeds": "chance between seeds",
    "higher interactions": "more than two factors acting together",
    "interactions and noise": "what factors do together, and chance",
}


def title(findings: Findings) -> str:
    """What was compared on which data, and when."""
    comparison = findings.comparison
    levels = comparison.levels.get("data", [])
    data = levels or [comparison.shared[key] for key in ("data",) if key in comparison.shared]
    return headline(
        comparison.name, comparison.settings, data, comparison.runs["touched"].max() / 1000
    )


def headline(called: str, keys: Sequence[str], data: Sequence[str], touched: float) -> str:
    """`Model and optimizer on mnist, 2026-11-26`, after a sweep's name where it has one; `touched`
    in seconds since 1970."""
    factors = [name(key) for key in keys if key != "data"]
    if len(factors) > MOST + 1:
        factors = [*factors[:MOST], f"{len(factors) - MOST} more"]
    words = listed(factors) or "one setting"
    on = f" on {listed(data)}" if data else ""
    said = f"{called}: {words}" if called else words[0].upper() + words[1:]
    return f"{said}{on}, {datetime.fromtimestamp(touched):%Y-%m-%d}"


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def verdict(findings: Findings, chance: float | None) -> list[str]:
    """Who wins and by how much; what explains the differences; what it costs, what is not told.

    `chance` is the test accuracy of always answering the most frequent class.
    """
    ahead = leads(findings)
    return [who(findings, chance, ahead), why(findings), cost(findings, ahead)]


def who(findings: Findings, chance: float | None, ahead: Lead) -> str:
    best, board, measure = findings.winner, findings.board, findings.comparison.measure
    first = f"{best['label']} comes first with a {measure} of {mean(best)}"
    others = board[board["label"] != best["label"]]
    others = others[others["rank"].notna()] if others["rank"].notna().any() else others
    if others.empty:
        return f"{first}; no other setting has a result to compare it with."
    if is_chance(findings, chance):
        return (
            f"No setting wins: even {best['label']}, the {findings.comparison.ranking.most} by "
            f"{measure}, does no better on the test images than always answering the class that is "
            f"most frequent."
        )
    second = others.iloc[0]
    near = f"the next, {second['label']}, is {estimate(ahead(second))} behind"
    if findings.tied == 0:
        return (
            f"{best['label']} wins: with a {measure} of {mean(best)} it is "
            f"{estimate(ahead(second))} better than the next, {second['label']}, which is more "
            f"than chance gives, and no setting ties with it."
        )
    if findings.tied + 1 == len(board):
        return f"No setting wins: {first}, but all {len(board)} tie: {near}, which may be chance."
    many = "another setting ties" if findings.tied == 1 else f"{findings.tied} others tie"
    rest = "".join(
        f"; the best that is told apart, {row['label']}, is {estimate(ahead(row))} behind"
        for row in others[~others["tie"].astype(bool)].head(1).to_dict("records")
    )
    return f"{first}, but {many} with it: {near}, which may be chance{rest}."


def mean(row: Any) -> str:
    return estimate(Estimate(row["mean"], row["low"], row["high"], row["n"]))


def leads(findings: Findings) -> Lead:
    """By how much the winner is better than a row of the board, with the interval of Games and
    Howell's test, for all pairs together: from above 0 where they are told apart."""
    comparison, best = findings.comparison, findings.winner
    scores = dict(list(comparison.runs.groupby(comparison.labels)["score"]))
    groups = [group.to_numpy(dtype=float) for group in scores.values()]
    all_pairs = intervals.least_differences(groups, comparison.images)
    least = dict(zip(scores, all_pairs[[*scores].index(best["label"])], strict=True))

    def lead(row: Any) -> Estimate:
        by = comparison.ranking.sign * (best["mean"] - row["mean"])
        half = least[row["label"]] if math.isfinite(least[row["label"]]) else math.nan
        ends = by - half, by + half
        low, high = np.clip(ends, -1, 1) if comparison.ranking.is_accuracy else ends
        return Estimate(by, float(low), float(high), int(best["n"] + row["n"]))

    return lead


def why(findings: Findings) -> str:
    analysis = findings.score.analysis
    table = analysis.table.sort_values("share", ascending=False)
    if table.empty:
        reason = analysis.notes[-1] if analysis.notes else "there is nothing to compare"
        return f"What explains the differences can't be told: {reason}."
    shown = table[table["share"] >= LEAST].head(MOST)
    parts = [f"{plain(row.term)} ({row.share:.0%})" for row in shown.itertuples()]
    most = "Most of" if shown["share"].iloc[0] > 0.5 else "The largest part of"
    then = f", then {listed(parts[1:])}" if parts[1:] else ""
    return f"{most} the variance in {findings.comparison.measure} comes from {parts[0]}{then}."


def plain(term: str) -> str:
    factors = [name(key) for key in term.split(" x ")]
    return PLAIN.get(term, listed(factors) + (" acting together" if len(factors) > 1 else ""))


def cost(findings: Findings, ahead: Lead) -> str:
    takes = f"{costs(findings, ahead)}; what" if findings.winner["seconds"] > 0 else "What"
    return f"{takes} can't be told is {untold(findings)}."


def costs(findings: Findings, ahead: Lead) -> str:
    """What a run of the winner takes, and what would be cheaper."""
    best, board = findings.winner, findings.board
    takes = f"A run of {best['label']} takes {seconds(best['seconds'])}"
    cheaper = board[board["seconds"] < best["seconds"]].sort_values("seconds", kind="stable")
    if cheaper.empty:
        return f"{takes}, and no setting takes less"
    ties = cheaper[cheaper["tie"]]
    row = (ties if len(ties) else cheaper).iloc[0]
    worse = "" if row["tie"] else f" and is {estimate(ahead(row))} worse"
    which = "the fastest that ties with it" if row["tie"] else "the fastest"
    return f"{takes}, {which}, {row['label']}, {seconds(row['seconds'])}{worse}"


def untold(findings: Findings) -> str:
    sizes: pd.Series = findings.board["n"]
    least = least_difference(findings.comparison)
    beyond = "what another split or other data would give"
    if sizes.max() == 1:
        return f"what other seeds would give, for there is one a setting, and {beyond}"
    if math.isnan(least):
        return beyond
    below = "most differences" if math.isinf(least) else f"a difference below about {share(least)}"
    return f"{below}, from {sizes.max()} seeds a setting, and {beyond}"


def seconds(value: float) -> str:
    return f"{duration(value)} s"
