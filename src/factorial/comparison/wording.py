"""Findings in words: every number comes from the record, none is typed."""

import math

import pandas as pd

from factorial.comparison.findings import Findings, least_difference
from factorial.comparison.intervals import Estimate, Square, binomial
from factorial.comparison.table import CLASS, Comparison

ACTIVATION = "model.activation"
LARGE = 100_000  # from which on four digits say enough
LEAST_SHARE = 0.001  # of the variance that a sentence names
NAMES = {ACTIVATION: "activation", "optimizer.lr": "learning rate", "data.batch_size": "batch size"}


def name(factor: str) -> str:
    return NAMES.get(factor, factor.replace(CLASS, "'s class"))


def term(words: str) -> str:
    """A term of the analysis of variance, its factors as a reader calls them."""
    return " x ".join(map(name, words.split(" x ")))


def duration(seconds: float) -> str:
    """In seconds, with two digits at least: what takes little is told apart, too."""
    if seconds < 0.1:
        return f"{seconds:.2g}"
    return f"{seconds:.2f}" if seconds < 1 else f"{seconds:,.1f}"


def share(value: float, sign: bool = False) -> str:
    """A share, or another metric's value, which can be of any size."""
    form = ".4f" if not abs(value) >= LARGE else ".4g"
    return f"{value:{'+' if sign else ''}{form}}"


def ratio(exponent: float) -> str:
    return f"{10**exponent:.3g}"


def estimate(value: Estimate, sign: bool = False) -> str:
    """`0.9771 (0.9762 to 0.9780)`; the value alone where there is no interval."""
    if not value.has_interval:
        return share(value.value, sign)
    return f"{share(value.value, sign)} ({share(value.low, sign)} to {share(value.high, sign)})"


def times(value: Estimate) -> str:
    """A difference of logarithms as a factor: `x 0.45 (0.41 to 0.49)`."""
    if not value.has_interval:
        return f"x {ratio(value.value)}"
    return f"x {ratio(value.value)} ({ratio(value.low)} to {ratio(value.high)})"


def summary(findings: Findings, chance: float | None = None) -> list[str]:
    """The winner, then which factor made the difference: one sentence each.

    `chance` is the test accuracy of always answering the most frequent class.
    """
    sentences = [winner(findings, chance)]
    if findings.score.square is not None:
        sentences.append(both_factors(findings))
    if findings.error is not None and findings.error.square is not None:
        sentences.append(errors(findings, findings.error.square))
    if not findings.score.analysis.table.empty:
        sentences.append(variance(findings))
    if ACTIVATION in findings.comparison.settings and "layer 2" in findings.comparison.curves:
        sentences.append(vanishing(findings))
    return sentences


def winner(findings: Findings, chance: float | None = None) -> str:
    """Which setting is best; none where nothing tells any from another, or from chance."""
    measure, n, of = findings.comparison.measure, findings.test.n, findings.comparison.ranking
    if not n:
        return f"{chosen(findings)}; its test {of.words} is not on record."
    seeds = f"{n} seed{'s' if n > 1 else ''}"
    images = findings.comparison.examples.get("test")
    error = ""
    if findings.test_binomial:
        low, high = map(share, findings.test_binomial)
        error = f"; {images:,} images alone leave {low} to {high}"
    if chance is not None and is_chance(findings, chance):
        return (
            f"No winner: even {findings.winner['label']}, the {of.most} by {measure}, is at "
            f"chance, with a test accuracy of {estimate(findings.test)} over {seeds}; always the "
            f"most frequent class gives {share(chance)}."
        )
    if findings.comparison.selected_on == "test":
        return (
            f"{chosen(findings)}: {estimate(findings.test)} on the test set that chose it, over "
            f"{seeds}{error}."
        )
    quoted = f"{estimate(findings.test)}, over {seeds}{error}"
    return f"{chosen(findings)}. Its test {of.words} is {quoted}."


def is_chance(findings: Findings, chance: float | None) -> bool:
    """Whether so many test images can't tell the winner from always answering one class."""
    images = findings.comparison.examples.get("test")
    if chance is None or not images or not findings.comparison.ranking.is_accuracy:
        return False
    return bool(findings.test.value <= binomial(chance, images)[1])


def chosen(findings: Findings) -> str:
    best, measure, tied = findings.winner["label"], findings.comparison.measure, findings.tied
    if tied and tied + 1 == len(findings.board):
        most = findings.comparison.ranking.most
        return f"No winner: all {tied + 1} settings tie by {measure}; the {most} is {best}"
    others = f", a tie with {tied} other{'s' if tied > 1 else ''}" if tied else ""
    return f"Best by {measure} is {best}{others}"


def both_factors(findings: Findings) -> str:
    """What each factor alone brings, both together, and what of that is their interaction."""
    square = findings.score.square
    assert square is not None
    (first, one), (second, two) = findings.score.factors.items()
    return (
        f"From {one[0]} with {two[0]} ({findings.comparison.measure} "
        f"{share(findings.score.base)}), "
        f"{brings((name(first), one[1]), (name(second), two[1]), square)}{conditions(findings)}."
    )


def brings(first: tuple[str, str], second: tuple[str, str], square: Square) -> str:
    """Of two factors, each with the level that is taken in place of the first one."""
    return (
        f"{second[0]} alone ({second[1]}) brings {estimate(square.second, sign=True)}, "
        f"{first[0]} alone ({first[1]}) {estimate(square.first, sign=True)}, "
        f"both together {estimate(square.both, sign=True)}, "
        f"of which {estimate(square.interaction, sign=True)} is their interaction"
    )


def errors(findings: Findings, square: Square) -> str:
    first, second = findings.score.factors
    return (
        f"As a factor of the error: {name(second)} alone {times(square.second)}, {name(first)} "
        f"alone {times(square.first)}, both together {times(square.both)}."
    )


def variance(findings: Findings) -> str:
    """Shares of the total sum of squares, the largest first; those of nearly nothing together."""
    table = findings.score.analysis.table.sort_values("share", ascending=False)
    is_small = table["high"].fillna(table["share"]) < LEAST_SHARE
    parts = [
        f"{term(line.term)} {line.share:.1%}"
        + (f" ({line.low:.1%} to {line.high:.1%})" if math.isfinite(line.low) else "")
        for line in table[~is_small].itertuples()
    ]
    if count := int(is_small.sum()):
        parts.append(f"{count} {'others' if count > 1 else 'other'} below {LEAST_SHARE:.1%}")
    return f"Of the variance in {findings.comparison.measure}: {', '.join(parts)}."


def vanishing(findings: Findings) -> str:
    """How much of the gradient is left on its way from the last layer to the first."""
    runs = findings.comparison.runs.set_index("id")
    left = left_of_the_gradient(findings.comparison)
    means = left.groupby(runs[ACTIVATION], sort=False).mean().dropna()
    parts = ", ".join(f"{level} {value:.3g}" for level, value in means.sort_values().items())
    return f"Gradient of the first layer as a multiple of the last one's, at the end: {parts}."


def left_of_the_gradient(comparison: Comparison) -> pd.Series:
    """For each run's id, the first layer's norm over that of its last, in the last epoch."""
    curves = comparison.curves
    layers = [name for name in curves if str(name).startswith("layer ")]
    ends = curves.sort_values("epoch").groupby("id")[layers].last()
    deep = ends[ends[layers[1]].notna()]
    ratios = deep[layers[0]] / deep.ffill(axis="columns")[layers[-1]]
    return ratios.reindex(comparison.runs["id"])


def method(findings: Findings) -> str:
    """How ranks are made, and how large a difference these seeds can show."""
    most = findings.comparison.ranking.most
    told = (
        "Rank: one more than the number of settings that are better by more than chance gives all "
        "of them (Games and Howell, 5 % for all pairs together; each pair has its own variances, "
        "and the degrees of freedom of its smaller group, n - 1). Tied: how many others a setting "
        f"is not told apart from; = : the {most} mean is among them, or it is the {most}. Ranks "
        "need not follow the means, where one setting varies more than another."
    )
    least = least_difference(findings.comparison)
    if math.isfinite(least):
        told += (
            f" With these runs two settings are told apart from a difference of {share(least)} on "
            f"(the median over pairs); a true difference of that size is found half the time."
        )
    if math.isinf(least):
        told += " These runs are too few for most pairs, however far these are apart."
    if findings.board["blocked"].notna().any():
        told += (
            " Blocked: the rank where seeds are blocks (Tukey's test on the residuals of a "
            "randomized complete block design). It sees more, and assumes that all settings vary "
            "alike and that a seed shifts all of them alike."
        )
    return told


def conditions(findings: Findings) -> str:
    sizes = findings.comparison.runs.groupby(findings.comparison.labels).size()
    n = f"{sizes.min()}" if sizes.min() == sizes.max() else f"{sizes.min()} to {sizes.max()}"
    if sizes.min() < 2:
        some = "" if sizes.max() < 2 else "in some settings "
        return f" ({some}one seed: no intervals)"
    return f" (n = {n} seeds a setting, 95 % intervals)"
