"""Settings by score with their intervals, and what they cost."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from factorial.comparison.figures import style
from factorial.comparison.findings import Findings

SHOWN = 40  # settings; the others are in the table
AVERAGES = {"seconds": "median time and mean {words}", "parameters": "means"}


def leaderboard(findings: Findings) -> Figure:
    """A row for each setting: its mean, the interval over seeds, every seed, the binomial error."""
    rows = findings.board.head(SHOWN)
    drawn = style.figure(7.5, 1.3 + 0.24 * len(rows))
    axes = drawn.subplots()
    seeds = dict(list(findings.comparison.runs.groupby(findings.comparison.labels)["score"]))
    for place, row in enumerate(rows.itertuples()):
        color = style.COLORS[0] if row.tie else style.GREY
        if "binomial_low" in rows:
            axes.plot(
                [row.binomial_low, row.binomial_high], [place, place], color="#E4E4E4", linewidth=7
            )
        values = seeds[row.label]
        axes.plot(values, [place] * len(values), "|", color=color, markersize=9, alpha=0.6)
        if math.isfinite(row.low):
            axes.plot([row.low, row.high], [place, place], color=color, linewidth=1.6)
        axes.plot(row.mean, place, "o", color=color, markersize=5)
    axes.set_yticks(range(len(rows)), [style.cut(label) for label in rows["label"]])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(axis="x")
    axes.set_xlabel(findings.comparison.measure)
    axes.set_title(caption(findings, rows), loc="left")
    return drawn


def caption(findings: Findings, rows: pd.DataFrame) -> str:
    some = (
        f", the best {len(rows)} of {len(findings.board)}"
        if len(rows) < len(findings.board)
        else ""
    )
    images = findings.comparison.images
    band = f"\ngrey band: binomial error of {images:,} images" if images else ""
    lines = "line: 95 % interval over seeds" if rows["n"].max() > 1 else "one seed: no interval"
    first = f"{style.many(rows['n'])} a setting{some}; {lines}"
    return f"{first}\nblue: not told apart from the best{band}"


def cost(findings: Findings) -> Figure | None:
    """Score against training time and against parameters, with both Pareto fronts."""
    known = [name for name in ("seconds", "parameters") if findings.board[name].notna().any()]
    if not known:
        return None
    drawn = style.figure(7.5, 3.2 * len(known))
    units = {"seconds": "training time of a run (s)", "parameters": "parameters of the model"}
    for axes, name in zip(drawn.subplots(len(known), squeeze=False)[:, 0], known, strict=True):
        scatter(axes, findings, name)
        axes.set_xlabel(f"{units[name]}, log scale")
        averages = AVERAGES[name].format(words=findings.comparison.ranking.words)
        axes.set_title(f"{averages} of {style.many(findings.board['n'])} runs", loc="left")
    return drawn


def scatter(axes: Axes, findings: Findings, name: str) -> None:
    rows = findings.board.sort_values(name)
    on_front = rows[f"front_{name}"].astype(bool)
    front = rows[on_front].drop_duplicates([name, "mean"])
    axes.plot(rows[name], rows["mean"], "o", color=style.GREY, markersize=4, alpha=0.7)
    axes.plot(front[name], front["mean"], color="#000000", linewidth=0.8, drawstyle="steps-post")
    named = front.tail(style.MOST)  # the best of a long front
    for number, row in enumerate(named.to_dict("records")):
        point = {**style.look(number), "linestyle": "none", "markersize": 7}
        axes.plot(row[name], row["mean"], label=style.cut(row["label"]), **point)
    axes.set_xscale("log")
    style.log_ticks(axes.xaxis)
    axes.grid()
    axes.set_ylabel(findings.comparison.measure)
    style.beside(axes, "nothing cheaper is better")
