"""What happened epoch by epoch: learning curves, and the gradient in each layer."""

import textwrap

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from factorial.comparison.figures import clipping, naming, places, style
from factorial.comparison.figures.clipping import Window
from factorial.comparison.findings import Findings
from factorial.comparison.ranking import Ranking
from factorial.comparison.wording import ACTIVATION

LOSS = Ranking("loss", higher=False)
LINE = "#B0B0B0"
QUANTILES = "median, middle half and middle 80\N{NO-BREAK SPACE}% of "
BANDS = ((0.1, 0.9), (0.25, 0.75))
MOST_GREY, FEW = 20, 5  # grey lines that are told apart; best settings beside the bands of more
LINE_HEIGHT = 0.165  # inches, in a legend
ARROWS = 12  # and markers, along a line
LAYERS = 6  # panels of settings, in the picture of gradients
WIDTH = 2.4  # inches of such a panel


def learning(findings: Findings) -> Figure | None:
    """Training loss, and what ranks, by epoch: the best settings by name, the others grey."""
    table = joined(findings)
    names = {"train/loss": "training loss (nats), log scale"}
    held_out = f"validation/{findings.comparison.ranking.name}"
    if table[held_out].notna().any():
        names[held_out] = f"validation {findings.comparison.ranking.words}"
    if table.empty:
        return None
    bands = by_epoch(table, [*names])
    shown = called(findings, set(table["label"]))
    drawn = style.figure(7.5, max(3.2, 0.6 + LINE_HEIGHT * height(shown)) * len(names))
    for axes, (metric, words) in zip(drawn.subplots(len(names), squeeze=False)[:, 0],
                                     names.items(), strict=True):  # fmt: skip
        is_loss = metric == "train/loss"
        axes.set_yscale("log" if is_loss else "linear")
        ranking = LOSS if is_loss else findings.comparison.ranking
        curves(axes, findings, bands[metric], ranking, shown)
        axes.set_ylabel(words)
        axes.set_xlabel("epoch")
        style.whole_ticks(axes.xaxis)
        axes.grid()
        if is_loss:
            style.log_ticks(axes.yaxis)
    return drawn


def called(findings: Findings, known: set[str]) -> naming.Names:
    """The names of the best settings, among those that have curves."""
    ranked = [setting for setting in findings.board["label"] if setting in known]
    few = style.MOST if len(ranked) <= style.MOST + MOST_GREY else FEW
    best = naming.leaders(findings, few)
    names = naming.names(best, findings.comparison.settings, naming.LEGEND)
    return names._replace(of={one: name for one, name in names.of.items() if one in known})


def height(names: naming.Names) -> int:
    """Lines of a legend."""
    texts = [*names.of.values(), names.said(naming.LEGEND)]
    return sum(text.count("\n") + 1 for text in texts)


def curves(
    axes: Axes, findings: Findings, bands: pd.DataFrame, ranking: Ranking, names: naming.Names
) -> None:
    """One metric of all settings: a line for each that is named, the others as grey lines or,
    where they are many, as quantiles."""
    others = bands[~bands.index.get_level_values("label").isin([*names.of])]["mean"].unstack(
        "label"
    )
    window, worst = limits(bands, ranking)
    grey(axes, window, others)
    for number, (setting, name) in enumerate(names.of.items()):
        band(axes, bands.loc[setting], number, name, window)
    if window.cuts(worst):
        clipping.end(axes, window, bands.stack())
    style.beside(axes, names.said(naming.LEGEND).strip() or None)
    count = others.shape[1]
    of = QUANTILES if count > MOST_GREY else ""
    some = f"; grey: {of}{count} other setting{'s' if count > 1 else ''}" if count else ""
    words = style.over_seeds(findings, "band: lowest to highest") + some + window.said(worst)
    axes.set_title(textwrap.fill(words, naming.CAPTION), loc="left")


def limits(bands: pd.DataFrame, ranking: Ranking) -> tuple[Window, pd.Series]:
    """What an axis shows of one metric's curves, and the worst mean of each setting."""
    worst = bands["mean"].groupby("label").agg("max" if ranking.sign < 0 else "min")
    return clipping.window(worst, ranking).one_sided(ranking), worst


def grey(axes: Axes, window: Window, others: pd.DataFrame) -> None:
    """A column for each setting, a row for each epoch."""
    highest, lowest = others.max(axis="columns"), others.min(axis="columns")
    if others.shape[1] > MOST_GREY:
        ends = quantiles(others)
        for low, high in BANDS:
            axes.fill_between(ends.index, ends[low], ends[high], color="#000000", alpha=0.10, lw=0)
        others = ends[[0.5]]
    for _, line in others.items():
        axes.plot(line, color=LINE, linewidth=0.6 if others.shape[1] > 1 else 1.2)
    every = max(1, len(others) // ARROWS)
    for side in (highest, lowest):
        clipping.arrows(axes, window, side[::every], side.index[::every], style.GREY)


def quantiles(others: pd.DataFrame) -> pd.DataFrame:
    """Of the settings at each epoch: a column for the median, and for each band's ends."""
    return others.quantile([0.1, 0.25, 0.5, 0.75, 0.9], axis="columns").T


def joined(findings: Findings) -> pd.DataFrame:
    """The curves with the setting of each run."""
    runs = findings.comparison.runs.assign(label=findings.comparison.labels)
    return findings.comparison.curves.merge(runs[["id", "label"]], on="id")


def by_epoch(table: pd.DataFrame, metrics: list[str]) -> pd.DataFrame:
    """Over seeds, each metric's `mean`, `min` and `max`, a row for each setting and epoch."""
    return table.groupby(["label", "epoch"])[metrics].agg(["mean", "min", "max"])


def band(
    axes: Axes, table: pd.DataFrame, number: int, words: str, window: Window = clipping.WHOLE
) -> None:
    known = table.dropna()
    look = style.look(number)
    every = max(1, len(known) // ARROWS)
    axes.plot(known["mean"], label=words, markersize=4, markevery=every, linewidth=1.3, **look)
    clipping.arrows(axes, window, known["mean"][::every], known.index[::every], look["color"])
    axes.fill_between(known.index, known["min"], known["max"], color=look["color"], alpha=0.18,
                      lw=0)  # fmt: skip


def gradients(findings: Findings) -> Figure | None:
    """The gradient's norm in each layer by epoch: the best setting of each activation first."""
    table = joined(findings)
    layers = [name for name in table if str(name).startswith("layer ")]
    known = table.dropna(subset=layers, how="all")
    board = findings.board[findings.board["label"].isin(known["label"])]
    if ACTIVATION in board:
        repeated = board.duplicated(ACTIVATION)
        board = pd.concat([board[~repeated], board[repeated]])
    best = board.head(LAYERS)
    shown = best["label"].tolist()
    if not layers or not shown:
        return None
    across = min(3, len(shown))
    down = -(-len(shown) // across)
    drawn = style.figure(WIDTH * across + 1.6, 2.4 * down + 0.6)
    panels = drawn.subplots(down, across, sharey=True, squeeze=False)
    bands = by_epoch(known, layers)
    names = naming.names(best, findings.comparison.settings)
    for axes, setting in zip(panels.flat, shown, strict=False):
        for number, layer in enumerate(layers):
            band(axes, bands.loc[setting][layer], number, str(layer))
        axes.set_yscale("log")
        style.log_ticks(axes.yaxis)
        places.panel(axes, [findings.board["label"].tolist().index(setting)])
        style.panel_title(axes, names.of[setting], WIDTH)
        axes.set_xlabel("epoch")
        style.whole_ticks(axes.xaxis)
        axes.grid()
    for unused in list(panels.flat)[len(shown) :]:
        unused.set_visible(False)
    for axes in panels[:, 0]:
        axes.set_ylabel("gradient's norm, log scale")
    handles, words = panels.flat[0].get_legend_handles_labels()
    drawn.legend(handles, words, loc="outside right upper")
    words = style.over_seeds(findings, "band: lowest to highest")
    if len(shown) < len(board):
        words += f"; {len(shown)} of {len(board)} settings"
    words = f"norm, averaged over an epoch's batches; {words}{names.said()}"
    style.heading(drawn, words, beside=1.2)
    return drawn
