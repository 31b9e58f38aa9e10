"""Findings in words: every number comes from the record, none is typed."""

import math

import pandas as pd

from factorial.comparison.findings import Findings
from factorial.comparison.intervals import Estimate, Square
from factorial.comparison.table import CLASS, Comparison

ACTIVATION = "model.activation"
NAMES = {ACTIVATION: "activation", "optimizer.lr": "learning rate", "data.batch_size": "batch size"}


def name(factor: str) -> str:
    return NAMES.get(factor, factor.replace(CLASS, "'s class"))


def share(value: float, sign: bool = False) -> str:
    return f"{value:{'+' if sign else ''}.4f}"


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


def summary(findings: Findings) -> list[str]:
    """The winner, then which factor made the difference: one sentence each."""
    sentences = [winner(findings)]
    if findings.accuracy.square is not None:
        sentences += [both_factors(findings), errors(findings)]
    if not findings.accuracy.analysis.table.empty:
        sentences.append(variance(findings))
    if ACTIVATION in findings.comparison.settings and "layer 2" in findings.comparison.curves:
        sentences.append(vanishing(findings))
    return sentences


def winner(findings: Findings) -> str:
    best, on = findings.winner, findings.comparison.selected_on
    n = findings.test.n
    if not n:
        return f"Best by {on} accuracy is {best['label']}; its test accuracy is not on record."
    seeds = f"{n} seed{'s' if n > 1 else ''}"
    tied = (
        f", a tie with {findings.tied} other{'s' if findings.tied > 1 else ''}"
        if findings.tied
        else ""
    )
    test = estimate(findings.test)
    images = findings.comparison.examples.get("test")
    error = ""
    if findings.test_binomial:
        low, high = map(share, findings.test_binomial)
        error = f"; {images:,} images alone leave {low} to {high}"
    chosen = f"Best by {on} accuracy is {best['label']}{tied}"
    if 1 < len(findings.board) == findings.tied + 1:
        chosen = f"No setting is told apart by {on} accuracy; {best['label']} scores highest"
    if on == "test":
        return f"{chosen}: {test} on the test set that chose it, over {seeds}{error}."
    return f"{chosen}. Its test accuracy is {test}, over {seeds}{error}."


def both_factors(findings: Findings) -> str:
    """What each factor alone brings, both together, and what of that is their interaction."""
    square = findings.accuracy.square
    assert square is not None
    (first, one), (second, two) = findings.accuracy.factors.items()
    return (
        f"From {one[0]} with {two[0]} ({findings.comparison.selected_on} accuracy "
        f"{share(findings.accuracy.base)}), "
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


def errors(findings: Findings) -> str:
    square = findings.error.square
    assert square is not None
    first, second = findings.accuracy.factors
    return (
        f"As a factor of the error: {name(second)} alone {times(square.second)}, {name(first)} "
        f"alone {times(square.first)}, both together {times(square.both)}."
    )


def variance(findings: Findings) -> str:
    """Shares of the total sum of squares, the largest first."""
    table = findings.accuracy.analysis.table.sort_values("share", ascending=False)
    parts = [
        f"{line.term} {line.share:.1%}"
        + (f" ({line.low:.1%} to {line.high:.1%})" if math.isfinite(line.low) else "")
        for line in table.itertuples()
    ]
    return f"Of the variance in {findings.comparison.selected_on} accuracy: {', '.join(parts)}."


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


def conditions(findings: Findings) -> str:
    sizes = findings.comparison.runs.groupby(findings.comparison.labels).size()
    n = f"{sizes.min()}" if sizes.min() == sizes.max() else f"{sizes.min()} to {sizes.max()}"
    if sizes.min() < 2:
        some = "" if sizes.max() < 2 else "in some settings "
        return f" ({some}one seed: no intervals)"
    return f" (n = {n} seeds a setting, 95 % intervals)"
