"""What happened epoch by epoch: learning curves, and the gradient in each layer."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from factorial.comparison.figures import style
from factorial.comparison.findings import Findings
from factorial.comparison.wording import ACTIVATION

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
    ranked = [setting for setting in findings.board["label"] if setting in bands.index]
    named, others = ranked[: style.MOST], ranked[style.MOST :]
    drawn = style.figure(7.5, 3.2 * len(names))
    for axes, (metric, words) in zip(drawn.subplots(len(names), squeeze=False)[:, 0],
                                     names.items(), strict=True):  # fmt: skip
        for setting in others:
            axes.plot(bands.loc[setting][metric, "mean"], color="#CCCCCC", linewidth=0.6)
        for number, setting in enumerate(named):
            band(axes, bands.loc[setting][metric], number, setting)
        axes.set_ylabel(words)
        axes.set_xlabel("epoch")
        style.whole_ticks(axes.xaxis)
        axes.grid()
        style.beside(axes)
        some = f"; grey: {len(others)} other settings" if others else ""
        axes.set_title(style.over_seeds(findings, "band: lowest to highest") + some, loc="left")
        if metric == "train/loss":
            axes.set_yscale("log")
            style.log_ticks(axes.yaxis)
    return drawn


def joined(findings: Findings) -> pd.DataFrame:
    """The curves with the setting of each run."""
    runs = findings.comparison.runs.assign(label=findings.comparison.labels)
    return findings.comparison.curves.merge(runs[["id", "label"]], on="id")


def by_epoch(table: pd.DataFrame, metrics: list[str]) -> pd.DataFrame:
    """Over seeds, each metric's `mean`, `min` and `max`, a row for each setting and epoch."""
    return table.groupby(["label", "epoch"])[metrics].agg(["mean", "min", "max"])


def band(axes: Axes, table: pd.DataFrame, number: int, words: str) -> None:
    known = table.dropna()
    look = style.look(number)
    axes.plot(known["mean"], label=style.cut(words), markersize=4,
              markevery=max(1, len(known) // 12), linewidth=1.3, **look)  # fmt: skip
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
    shown = board["label"].tolist()[:LAYERS]
    if not layers or not shown:
        return None
    across = min(3, len(shown))
    down = -(-len(shown) // across)
    drawn = style.figure(WIDTH * across + 1.6, 2.4 * down + 0.6)
    panels = drawn.subplots(down, across, sharey=True, squeeze=False)
    bands = by_epoch(known, layers)
    for axes, setting in zip(panels.flat, shown, strict=False):
        for number, layer in enumerate(layers):
            band(axes, bands.loc[setting][layer], number, layer)
        axes.set_yscale("log")
        style.log_ticks(axes.yaxis)
        style.panel_title(axes, setting, WIDTH)
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
    style.heading(drawn, f"norm, averaged over an epoch's batches; {words}", beside=1.2)
    return drawn
