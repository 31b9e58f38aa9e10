"""Figures of many settings, some of which diverged: what is good is seen, what is cut is said."""

import functools
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from recorded import compared, planted, product

from factorial.comparison import alt, findings, report
from factorial.comparison.figures import (
    clipping,
    curves,
    factors,
    leaderboard,
    maps,
    misread,
    sensitivity,
    style,
)
from factorial.comparison.findings import Findings
from factorial.comparison.ranking import ACCURACY, Ranking
from factorial.record.predictions import Predictions

pytestmark = pytest.mark.slow

LOSS = Ranking("loss", higher=False)
MODELS = [f"model{number}" for number in range(8)]
OPTIMIZERS = ["sgd", "momentum", "rmsprop", "adam", "adamw"]
RATES = [0.001, 0.01, 10.0]
GRID = product(model=MODELS, optimizer=OPTIMIZERS, optimizer_lr=RATES, epochs=[3, 5], seed=[0, 1])
ARROWS = ("^", "v", "<", ">")


@functools.cache
def found(ranking: Ranking = ACCURACY) -> Findings:
    """40 panels, the winner's the last in order; a rate of 10 diverges, to losses of 1e10."""
    noise = np.random.default_rng(0)
    runs = []
    for one in GRID:
        good = 0.8 + 0.02 * MODELS.index(one["model"]) + 0.004 * OPTIMIZERS.index(one["optimizer"])
        good += 0.001 * (one["optimizer.lr"] == 0.01) + noise.normal(0, 0.0005)
        runs.append({**one, "accuracy": 0.1 if one["optimizer.lr"] == 10 else float(good)})
    comparison = compared(runs, ranking)
    table = comparison.runs
    is_bad = table["optimizer.lr"] == "10"
    table["gap"] = np.where(is_bad, 1e10, noise.normal(0.05, 0.01, len(table)))
    ids = set(table.loc[is_bad, "id"])
    rows = comparison.curves["id"].isin(ids)
    comparison.curves.loc[rows, ["train/loss", "validation/loss"]] *= 1e10
    if ranking is LOSS:
        table["score"] = np.where(is_bad, 1e10, 1 - table["score"])
    return findings.find(comparison)


@pytest.fixture(autouse=True)
def styled() -> object:
    with style.style():
        yield


def arrows(axes: Axes) -> list[tuple[float, float]]:
    return [
        (float(x), float(y))
        for line in axes.lines
        if line.get_marker() in ARROWS and not line.get_clip_on()
        for x, y in zip(*line.get_data(), strict=True)
    ]


@pytest.mark.parametrize("far", [1e3, 1e10, math.inf])
def test_up_to_half_of_the_values_may_diverge_and_the_fence_stays(far: float) -> None:
    good = np.random.default_rng(0).lognormal(size=20)
    median = np.sort(good)[-1]  # of all forty
    values = pd.Series([*good, *[far] * 20])
    assert clipping.fence(values) == pytest.approx(8 * median)
    assert clipping.fence(values, clipping.FAR) == pytest.approx(16 * median)


def test_around_nothing_the_fence_stands_by_the_spread() -> None:
    gaps = pd.Series([-0.2, -0.1, 0.0, 0.05, 0.1, 70.0])
    assert clipping.fence(gaps) == pytest.approx(7 * 0.1)  # seven times 0.0 less -0.1


def test_fewer_than_half_of_the_accuracies_far_below_all_others_are_cut_off() -> None:
    assert clipping.window(pd.Series([0.1, 0.97, 0.95, 0.96]), ACCURACY) == (
        pytest.approx(0.94),  # a tenth of the least gap below the others
        math.inf,
    )
    low, high = clipping.window(pd.Series([0.9, 0.85, 0.8, 0.1, 0.11, 0.88, 0.82]), ACCURACY)
    assert (low, high) == (pytest.approx(0.8 - 0.1 / 4), math.inf)


@pytest.mark.parametrize(
    "means",
    [
        [0.96, 0.95, 0.1, 0.1],  # half of them
        [0.96, 0.1],
        [0.960, 0.955, 0.957, 0.86],  # less than a tenth below
        [0.9, 0.85, 0.8, 0.75, 0.6, 0.1],  # the others have more than a sixth of the axis
        [0.95, 0.85, 0.76, 0.67, 0.58, 0.49],  # nothing lies apart
        [0.9, 0.9, 0.9],
        [0.9],
    ],
)
def test_all_other_accuracies_are_shown_whole(means: list[float]) -> None:
    assert clipping.window(pd.Series(means), ACCURACY) == clipping.WHOLE


def test_a_window_of_scores_mirrors_with_the_way_that_is_better() -> None:
    means = pd.Series([0.2, 0.3, 0.4, 1e10])
    low, high = clipping.window(means, LOSS)
    assert high == pytest.approx(0.45)  # of 0.2 to 0.4, a quarter more
    assert clipping.window(means[:3], LOSS)[1] == pytest.approx(16 * 0.3)
    assert clipping.window(-means, Ranking("score", higher=True)) == pytest.approx((-high, -low))


def test_the_charts_bars_are_scaled_to_what_did_not_diverge() -> None:
    """Heights are as the gaps, on the scale that the legend says; what is cut off has an arrow."""
    made = found()
    drawn = maps.charts(made)
    assert drawn is not None
    runs = made.comparison.runs
    gaps = runs.groupby(made.comparison.settings)["gap"].mean()
    (said,) = (t.get_text() for t in drawn.legends[0].get_texts() if "nats" in t.get_text())
    height, arrow = " ".join(said.split()).split(", ")[1:]
    full = float(height.removeprefix("full height "))
    assert arrow == "arrow: up to 1e+10"
    assert full == pytest.approx(gaps[gaps < 1e10].max(), rel=0.01)
    plan = maps.grid(made)
    assert plan is not None
    for axes, levels in zip(drawn.axes, plan.panels, strict=False):
        bars = [p for p in axes.patches if to_rgb(p.get_facecolor()) == to_rgb(style.COLORS[1])]
        at = {(round(bar.get_x()), round(bar.get_y() + bar.get_height() - 0.44)): bar
              for bar in bars}  # fmt: skip
        for (column, row), bar in at.items():
            gap = gaps[(*levels, plan.levels[0][row], plan.levels[1][column])]
            assert bar.get_height() == pytest.approx(0.86 * min(gap / full, 1), rel=0.01)
        tops = [p for p in axes.lines if to_rgb(p.get_color()) == to_rgb(style.COLORS[1])]
        assert len(tops) == 2  # a rate of 10, at both numbers of epochs


def test_a_bar_has_an_arrow_only_where_the_legend_says_and_none_below_0_is_said() -> None:
    """Two means of the same three values may differ by rounding: that is nothing beyond."""
    read = [1 / 144, 3 / 144, 6 / 144]
    grid = product(model=["linear", "mlp", "cnn"], optimizer=["sgd", "adam"], seed=[0, 1, 2])
    runs = [{**run, "accuracy": read[run["seed"]]} for run in grid]
    made = findings.find(compared(runs))
    table = made.comparison.runs
    table["gap"] = table["gap"].where(table["model"] == "mlp", -3.0)
    drawn = maps.charts(made)
    assert drawn is not None
    assert [line for axes in drawn.axes for line in axes.lines] == []
    error, gap, _ = (
        " ".join(text.get_text().split()).partition(", ")[2]
        for text in drawn.legends[0].get_texts()
    )
    assert error == "full height 0.977"
    assert re.fullmatch(r"full height 0\.0\d+, none: below 0, down to -3", gap)


def test_a_map_shows_the_winners_panel_first_and_then_by_their_best_cells() -> None:
    for ranking in (ACCURACY, LOSS):
        made = found(ranking)
        plan = maps.grid(made)
        assert plan is not None
        assert plan.panels[0] == ("model7", "adamw") == tuple(made.winner[plan.others])
        table = made.comparison.runs
        cells = table.groupby(made.comparison.settings)["score"].mean()
        best = (-ranking.sign * cells).groupby(plan.others).min().sort_values()
        assert plan.panels == best.index[:24].tolist()
        assert plan.dropped == 16


def test_the_winners_panel_is_there_although_another_has_a_better_mean() -> None:
    """A single seed has no rank: however lucky it is, it is not the winner."""
    grid = product(optimizer=[*"abcdefghijklmnopqrstuvwxyz"], optimizer_lr=[0.1, 0.01],
                   epochs=[5, 10], seed=[0, 1])  # fmt: skip
    runs = [
        {**one, "accuracy": 0.9 + 0.001 * one["seed"] + 0.01 * (one["optimizer"] != "z")}
        for one in grid
        if one["optimizer"] == "z" or one["seed"] == 0
    ]
    made = findings.find(compared(runs))
    plan = maps.grid(made)
    assert plan is not None
    assert made.winner["optimizer"] == "z"
    assert plan.panels[0] == ("z",)
    assert made.winner["label"] in set(curves.naming.leaders(made, 5)["label"])


def test_a_panel_without_any_result_comes_last() -> None:
    runs = planted(product(model=["linear", "mlp"], optimizer_lr=[0.1, 0.01], epochs=[5, 10],
                           seed=[0, 1]))  # fmt: skip
    for run in runs[:8]:
        del run["accuracy"]
        run["failure"] = "the training loss is nan in epoch 1"
    plan = maps.grid(findings.find(compared([*runs[8:], *runs[:8]])))
    assert plan is not None
    assert plan.panels == [("mlp",), ("linear",)]


def test_no_diverged_loss_stretches_the_axis_of_the_curves() -> None:
    made = found()
    top = curves.learning(made).axes[0]
    means = curves.joined(made).groupby(["label", "epoch"])["train/loss"].mean()
    highest = means.groupby("label").max()
    assert top.get_ylim()[1] == pytest.approx(1.1 * highest[highest < 1e9].max())
    assert top.get_ylim()[0] > 0.5 * means.min()
    assert {y for _, y in arrows(top)} == {top.get_ylim()[1]}
    assert "arrow: cut off" in top.get_title(loc="left")


def test_nothing_is_said_to_be_cut_off_where_nothing_is() -> None:
    grid = product(model=["linear", "mlp"], optimizer=["sgd", "adam"], seed=[0, 1, 2])
    made = findings.find(compared(planted(grid)))
    for picture in report.PICTURES:
        if drawn := picture.draw(made):
            said = " ".join(t.get_text() for t in drawn.findobj(Text))  # type: ignore[call-arg]
            assert "arrow" not in said
            assert not any(arrows(axes) for axes in drawn.axes)


def test_many_settings_are_quantile_bands_beside_the_winner_and_the_few_best() -> None:
    made = found()
    bottom = curves.learning(made).axes[1]
    named = [line for line in bottom.lines if line.get_label() in legend(bottom)]
    assert len(named) == curves.FEW
    assert len(bottom.lines) == curves.FEW + 1  # and the others' median
    best = made.board["label"].head(curves.FEW)
    table = curves.joined(made)
    others = table[~table["label"].isin(best)]
    means = others.groupby(["epoch", "label"])["validation/accuracy"].mean()
    for (low, high), band in zip([(10, 90), (25, 75)], bands(bottom)[:2], strict=True):
        for epoch in (1, 3, 5):
            ends = sorted({y for x, y in band if x == epoch})
            assert ends == pytest.approx(np.percentile(means[epoch], [low, high]))
    assert made.winner["label"].split()[2] in " ".join(legend(bottom))
    said = " ".join(bottom.get_title(loc="left").split())
    assert f"of {len(made.board) - curves.FEW} other settings" in said


def legend(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def bands(axes: Axes) -> list[np.ndarray]:
    filled = [c for c in axes.collections if isinstance(c, PolyCollection)]
    return [one.get_paths()[0].vertices for one in filled]


def test_few_settings_are_all_lines() -> None:
    grid = product(optimizer=OPTIMIZERS, optimizer_lr=[0.1, 0.01, 0.001], seed=[0, 1])
    bottom = curves.learning(findings.find(compared(planted(grid)))).axes[1]
    assert len(bottom.lines) == 15
    assert len(legend(bottom)) == style.MOST


def test_diverged_losses_stretch_no_axis_of_what_ranks() -> None:
    """A third of the settings at 1e10: arrows at the end, and the others are told apart."""
    made = found(LOSS)
    good = made.board["mean"][made.board["mean"] < 1]
    costs = leaderboard.cost(made).axes
    rates = [axes for axes in sensitivity.sensitivity(made).axes if axes.get_visible()]
    pairs = [axes for axes in factors.interactions(made).axes if axes.get_visible()]
    for axes in [*costs, *rates, *pairs]:
        low, high = axes.get_ylim()
        assert -1.5 * good.max() < low < high < 1.5 * good.max()
    bad = (made.board["mean"] == 1e10).sum()
    assert len(arrows(costs[0])) == bad
    assert all(arrows(axes) for axes in rates)
    assert "arrow: cut off" in costs[0].get_title(loc="left")


def test_a_setting_on_the_leaderboard_that_diverged_has_an_arrow_in_its_row() -> None:
    levels = {"a": [0.2, 0.21, 0.22], "b": [0.3, 0.31, 0.32], "c": [1e10, 0.3, 0.3],
              "d": [0.4, 0.41, 0.42]}  # fmt: skip
    runs = [{"optimizer": one, "seed": seed, "accuracy": value}
            for one, values in levels.items() for seed, value in enumerate(values)]  # fmt: skip
    axes = leaderboard.leaderboard(findings.find(compared(runs, LOSS))).axes[0]
    assert {y for _, y in arrows(axes)} == {3}
    assert axes.get_xlim()[1] < 0.6


def test_a_map_of_losses_ends_its_colours_before_the_diverged_ones() -> None:
    made = found(LOSS)
    shade = maps.scale(made)
    good = made.board["mean"][made.board["mean"] < 1]
    assert shade(good.max()) - shade(good.min()) > 0.7
    drawn = maps.thematic(made)
    assert "1e+10" in {text.get_text() for axes in drawn.axes for text in axes.texts}


def test_small_multiples_share_their_range() -> None:
    made = found()
    for draw in (factors.interactions, sensitivity.sensitivity, curves.gradients):
        drawn = draw(made)
        assert drawn is not None
        limits = {axes.get_ylim() for axes in drawn.axes if axes.get_visible()}
        assert len(limits) == 1, draw


def contrast(one: Any, other: Any) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""

    def luminance(color: Any) -> float:
        parts = np.array(to_rgb(color))
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_counts_of_a_confusion_matrix_can_be_read_on_every_shade() -> None:
    """Whatever is really drawn under each number: the pixel at its cell's corner."""
    labels = np.repeat(np.arange(10), 60).astype(np.uint8)
    predicted = labels.copy()
    for one in range(10):
        predicted[60 * one : 60 * one + 6 * one] = (one + 1) % 10
    seen = Predictions(labels, predicted, np.ones(600, np.float32), np.array([0]),
                       np.zeros((1, 8, 8), np.uint8))  # fmt: skip
    drawn = misread.matrix(found(), seen)
    assert drawn is not None
    FigureCanvasAgg(drawn).draw()
    pixels = np.asarray(drawn.canvas.buffer_rgba())  # type: ignore[attr-defined]
    axes = drawn.axes[0]
    colors = set()
    for text in axes.texts:
        x, y = text.get_position()
        across, up = axes.transData.transform((x - 0.4, y + 0.4))
        under = pixels[pixels.shape[0] - 1 - round(up), round(across), :3] / 255
        assert contrast(text.get_color(), under) >= 4.5, text.get_text()
        colors.add(text.get_color())
    assert colors == {"black", "white"}


def test_values_on_a_map_can_be_read_on_every_colour() -> None:
    drawn = maps.thematic(found())
    assert drawn is not None
    for axes in drawn.axes[:-1]:
        under = {(round(p.get_x() + 0.48), round(p.get_y() + 0.47)): p.get_facecolor()
                 for p in axes.patches if isinstance(p, Rectangle)}  # fmt: skip
        for text in axes.texts:
            assert contrast(text.get_color(), under[text.get_position()]) >= 4.5


def test_words_are_nine_pixels_tall_where_a_figure_is_as_narrow_as_it_gets() -> None:
    made = found()
    for picture in report.PICTURES:
        drawn = picture.draw(made)
        assert drawn is not None
        least = style.least_width(drawn) / (96 * drawn.get_figwidth())
        sizes = [t.get_fontsize() for t in drawn.findobj(Text) if t.get_text()]  # type: ignore[call-arg]
        assert min(sizes) * 96 / 72 * least >= 9 - 1e-9, picture.name


FAILING = product(model=["linear", "mlp"], optimizer=["sgd", "adam"],
                  optimizer_lr=[0.001, 0.01, 10.0], seed=[0, 1, 2])  # fmt: skip


@functools.cache
def failed() -> Findings:
    """A third of the settings, those with a rate of 10, read 0.1; the others more than 0.88."""
    runs = planted(FAILING)
    bad = [run for run in runs if run["optimizer.lr"] == 10]
    for place, run in enumerate(bad):
        run["accuracy"] = 0.1 + 0.001 * (place % 3)
    return findings.find(compared(runs))


def test_a_rate_at_which_all_fail_flattens_no_axis_of_accuracies() -> None:
    made = failed()
    good = made.board["mean"][made.board["mean"] > 0.5]
    costs = leaderboard.cost(made).axes
    rates = [axes for axes in sensitivity.sensitivity(made).axes if axes.get_visible()]
    bottom = curves.learning(made).axes[1]
    for axes in [*costs, *rates]:
        low, high = axes.get_ylim()
        assert good.min() - 0.05 < low < good.min() < good.max() < high
        assert len({place for place, _ in arrows(axes)}) >= 1
        end = good.min() - (good.max() - good.min()) / 4
        assert [y for _, y in arrows(axes)] == pytest.approx([end] * len(arrows(axes)))
    assert bottom.get_ylim()[0] > 0.7 and arrows(bottom)
    assert [len(arrows(axes)) for axes in costs] == [4, 4]
    for axes in costs:
        assert axes.get_title(loc="left").endswith("; arrow: cut off, 0.1010")
    assert "arrow: cut off, 0.1010" in sensitivity.sensitivity(made)._suptitle.get_text()


def test_a_setting_on_the_leaderboard_that_failed_has_an_arrow_and_its_value() -> None:
    made = failed()
    axes = leaderboard.leaderboard(made).axes[0]
    failures = [place for place, mean in enumerate(made.board["mean"]) if mean < 0.5]
    assert [y for _, y in arrows(axes)] == failures == [8, 9, 10, 11]
    written = {text.xy[1]: text.get_text() for text in axes.texts}  # type: ignore[attr-defined]
    assert written == dict.fromkeys(failures, "0.1010")
    assert axes.get_xlim()[0] > 0.8
    # Student's intervals: 0.101, more or less 4.303 / sqrt(3) of 0.001
    assert "arrow: cut off, 0.0985 to 0.1035" in " ".join(axes.get_title(loc="left").split())


def test_a_map_of_accuracies_ends_its_colours_before_what_failed() -> None:
    made = failed()
    shade = maps.scale(made)
    good = made.board["mean"][made.board["mean"] > 0.5]
    assert shade(good.max()) - shade(good.min()) > 0.7
    drawn = maps.thematic(made)
    assert drawn is not None
    assert "colours end before the worst" in drawn._suptitle.get_text()  # type: ignore[attr-defined]
    assert "0.1010" in {text.get_text() for axes in drawn.axes for text in axes.texts}


def test_means_over_what_failed_and_what_did_not_are_seen_beside_each_other() -> None:
    """Averaged over rates a third of which fail, models read 0.65: no outliers among such means."""
    made = failed()
    for axes in factors.interactions(made).axes:
        if axes.get_visible():
            assert axes.get_ylim()[0] < 0.1 and axes.get_ylim()[1] > 0.9
            assert not arrows(axes)


def test_what_is_cut_off_is_said_to_who_cannot_see_it() -> None:
    made = failed()
    for name in ("leaderboard", "cost", "sensitivity"):
        said = alt.text(name, made, None)
        assert said.endswith("; arrows stand for 4 settings, cut off at 0.1010")
    assert alt.text("curves", made, None).endswith(
        "; in validation accuracy arrows stand for 4 curves that are cut off, as far as 0.0210"
    )
    one = [run for run in planted(FAILING) if run["optimizer.lr"] != 10]
    for run in one[:3]:
        run["accuracy"] = 0.2
    said = alt.text("leaderboard", findings.find(compared(one)), None)
    assert said.endswith("; arrows stand for linear sgd lr=0.001, cut off at 0.2000")
    assert "arrow" not in alt.text("leaderboard", findings.find(compared(one[3:])), None)


def test_a_comparison_that_is_cut_off_is_still_whole_in_its_numbers() -> None:
    made = found(LOSS)
    assert made.board["mean"].max() == 1e10
    assert len(replace(made.comparison).runs) == len(GRID)
