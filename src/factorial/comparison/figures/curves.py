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
    """Training loss and held-out accuracy by epoch: the best settings by name, the others grey."""
    table = joined(findings)
    names = {"train/loss": "training loss (nats), log scale"}
    if table["validation/accuracy"].notna().any():
        names["validation/accuracy"] = "validation accuracy"
    if table.empty:
        return None
    drawn = style.figure(7.5, 3.2 * len(names))
    for axes, (metric, words) in zip(drawn.subplots(len(names), squeeze=False)[:, 0],
                                     names.items(), strict=True):  # fmt: skip
        others = findings.board["label"][style.MOST :]
        for setting in others:
            means = table[table["label"] == setting].groupby("epoch")[metric].mean()
            axes.plot(means.index, means, color="#CCCCCC", linewidth=0.6)
        for number, setting in enumerate(findings.board["label"][: style.MOST]):
            band(axes, table[table["label"] == setting], metric, number, setting)
        axes.set_ylabel(words)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid()
        style.beside(axes)
        some = f"; grey: {len(others)} other settings" if len(others) else ""
        axes.set_title(style.over_seeds(findings, "band: lowest to highest") + some, loc="left")
        if metric == "train/loss":
            axes.set_yscale("log")
            style.log_ticks(axes.yaxis)
    return drawn


def joined(findings: Findings) -> pd.DataFrame:
    """The curves with the setting of each run."""
    runs = findings.comparison.runs.assign(label=findings.comparison.labels)
    return findings.comparison.curves.merge(runs[["id", "label"]], on="id")


def band(axes: Axes, table: pd.DataFrame, metric: str, number: int, words: str) -> None:
    by_epoch = table.groupby("epoch")[metric].agg(["mean", "min", "max"]).dropna()
    look = style.look(number)
    every = max(1, len(by_epoch) // 12)
    axes.plot(by_epoch.index, by_epoch["mean"], label=style.cut(words), markersize=4,
              markevery=every, linewidth=1.3, **look)  # fmt: skip
    axes.fill_between(
        by_epoch.index, by_epoch["min"], by_epoch["max"], color=look["color"], alpha=0.18, lw=0
    )


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
    for axes, setting in zip(panels.flat, shown, strict=False):
        of_setting = known[known["label"] == setting]
        for number, layer in enumerate(layers):
            band(axes, of_setting, layer, number, layer)
        axes.set_yscale("log")
        style.log_ticks(axes.yaxis)
        style.panel_title(axes, setting, WIDTH)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
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
