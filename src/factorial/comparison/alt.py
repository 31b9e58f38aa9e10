"""What is to be seen in each figure, in words: for whoever can't see it."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from factorial.comparison.figures import clipping, curves
from factorial.comparison.findings import Findings
from factorial.comparison.opening import listed, mean, seconds
from factorial.comparison.wording import name, share, term
from factorial.record.predictions import Predictions, confusion

RATE = "optimizer.lr"
MOST = 5  # terms or optimizers of one text


def leaderboard(findings: Findings) -> str:
    board, best = findings.board, findings.winner
    ties = f"{findings.tied} of {len(board) - 1} others tied with it" if findings.tied else "no tie"
    return f"{best['label']} first with {mean(best)}, {ties}; last is {last(findings)}"


def last(findings: Findings) -> str:
    row = findings.board.iloc[-1]
    return f"{row['label']} with {share(row['mean'])}"


def cost(findings: Findings) -> str:
    """What the winner takes, and what takes least where that is another."""
    costs = {"seconds": seconds, "parameters": "{:,.0f} parameters".format}
    best = findings.winner
    spent = listed([form(best[key]) for key, form in costs.items() if best[key] > 0])
    said = [f"{best['label']} reaches {share(best['mean'])} with {spent}"]
    for key, form in costs.items():
        known = findings.board[findings.board[key].notna()].sort_values(key, kind="stable")
        for row in known.head(1).to_dict("records"):
            if row["label"] != best["label"]:
                said.append(f"{row['label']}, the cheapest with {form(row[key])}, reaches "
                            f"{share(row['mean'])}")  # fmt: skip
    return "; ".join(said)


def shares(findings: Findings) -> str:
    table = findings.score.analysis.table.sort_values("share", ascending=False)
    return some([f"{term(row.term)} {row.share:.1%}" for row in table.itertuples()])


def some(parts: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f"; {len(parts) - MOST} more" if len(parts) > MOST else ""
    return "; ".join(parts[:MOST]) + more


def interactions(findings: Findings) -> str:
    """The best level of each factor, over all others."""
    said = []
    for key in findings.comparison.settings:
        means = better_first(findings, findings.board.groupby(key)["mean"].mean())
        if len(means) > 1:
            said.append(f"of {name(key)} {means.index[0]} is best with {share(means.iloc[0])} and "
                        f"{means.index[-1]} last with {share(means.iloc[-1])}")  # fmt: skip
    return f"averaged over all else, {'; '.join(said)}"


def better_first(findings: Findings, means: pd.Series) -> pd.Series:
    return means.sort_values(ascending=findings.comparison.ranking.sign < 0, kind="stable")


def thematic(findings: Findings) -> str:
    best = findings.winner
    return f"the best cell is {best['label']} with {share(best['mean'])}, the last {last(findings)}"


def charts(findings: Findings) -> str:
    """Where each bar is shortest and longest."""
    comparison = findings.comparison
    runs = comparison.runs.assign(error=1 - comparison.runs["score"])
    bars = {"error": "error"} if comparison.ranking.is_accuracy else {}
    bars |= {"gap": "held-out less training loss", "seconds": "time"}
    said = []
    for key, words in bars.items():
        means = runs.groupby(comparison.labels)[key].mean().dropna()
        if means.nunique() > 1:
            low, high = means.idxmin(), means.idxmax()
            said.append(f"{words} is least in {low} ({means[low]:.3g}) and most in {high} "
                        f"({means[high]:.3g})")  # fmt: skip
        elif len(means):
            said.append(f"{words} is alike in all ({means.iloc[0]:.3g})")
    return "; ".join(said)


def learning(findings: Findings) -> str:
    """Where the winner's curves begin and end."""
    comparison, best = findings.comparison, findings.winner["label"]
    runs = comparison.runs["id"][comparison.labels == best]
    names = {f"validation/{comparison.ranking.name}": f"validation {comparison.ranking.words}",
             "train/loss": "training loss"}  # fmt: skip
    own = comparison.curves[comparison.curves["id"].isin(runs)]
    said = []
    for column, words in names.items():
        line = own.groupby("epoch")[column].mean().dropna()
        if len(line):
            said.append(f"{words} from {line.iloc[0]:.4g} after epoch {line.index[0]} to "
                        f"{line.iloc[-1]:.4g} after epoch {line.index[-1]}")  # fmt: skip
    goes = f"{best} goes in {listed(said)}" if said else f"{best} has none on record"
    return goes + "".join(cut(findings, column, words) for column, words in names.items())


def cut(findings: Findings, column: str, words: str) -> str:
    """How many of its curves go on where the axis has ended."""
    of = curves.LOSS if column == "train/loss" else findings.comparison.ranking
    table = curves.joined(findings).dropna(subset=column)
    window, worst = curves.limits(curves.by_epoch(table, [column])[column], of)
    out = worst[worst.map(window.cuts)]
    at = f"cut off, as far as {clipping.span(out)}" if len(out) else ""
    return f"; in {words} arrows stand for {len(out)} curves that are {at}" if at else ""


def sensitivity(findings: Findings) -> str:
    """The best rate of each optimizer."""
    board = findings.board[findings.board[RATE] != "-"]
    if "optimizer" not in board:
        return f"{board.iloc[0][RATE]} is the best rate, with {share(board.iloc[0]['mean'])}"
    best = board.drop_duplicates("optimizer")
    return some([f"{row['optimizer']} is best at {row[RATE]} with {share(row['mean'])}"
                 for row in best.to_dict("records")])  # fmt: skip


def gradients(findings: Findings) -> str:
    """The best setting's first and last layer, in the end."""
    comparison = findings.comparison
    layers = [column for column in comparison.curves if str(column).startswith("layer ")]
    labels = comparison.labels.set_axis(comparison.runs["id"])
    known = comparison.curves.dropna(subset=layers, how="all")
    known = known.assign(label=known["id"].map(labels))
    best = next(label for label in findings.board["label"] if label in set(known["label"]))
    ends = known[known["label"] == best].groupby("epoch")[layers].mean().iloc[-1].dropna()
    parts = [f"{ends[layer]:.3g} in {layer}" for layer in dict.fromkeys(ends.index[[0, -1]])]
    return f"{best} ends with a norm of {listed(parts)}"


def matrix(_: Findings, seen: Predictions) -> str:
    counts = confusion(seen)
    wrong = counts - np.diag(np.diag(counts))
    if not wrong.any():
        return "no test image is misread"
    row, column = np.unravel_index(wrong.argmax(), wrong.shape)
    return (
        f"{int(wrong.sum())} of {int(counts.sum()):,} test images misread, most often {row} as "
        f"{column} ({wrong[row, column]} times)"
    )


def hardest(_: Findings, seen: Predictions) -> str:
    first = int(seen.hardest[0])
    return (
        f"{len(seen.hardest)} misread test images; the worst is a {seen.labels[first]} read as "
        f"{seen.predicted[first]}"
    )


def beyond(findings: Findings) -> str:
    """Which settings lie where an axis has ended."""
    board, of = findings.board, findings.comparison.ranking
    window = clipping.window(board["mean"], of)
    out = board[board["mean"].map(window.cuts)]
    if out.empty:
        return ""
    whose = out["label"].iloc[0] if len(out) == 1 else f"{len(out)} settings"
    return f"; arrows stand for {whose}, cut off at {clipping.span(out['mean'])}"


CLIPPED = ("leaderboard", "cost", "sensitivity")  # axes of what all settings score
OF_FINDINGS: Mapping[str, Callable[[Findings], str]] = {
    "leaderboard": leaderboard,
    "cost": cost,
    "shares": shares,
    "interactions": interactions,
    "map": thematic,
    "charts": charts,
    "curves": learning,
    "sensitivity": sensitivity,
    "gradients": gradients,
}
OF_PREDICTIONS: Mapping[str, Callable[[Findings, Predictions], str]] = {
    "confusion": matrix,
    "hardest": hardest,
}


def text(figure: str, findings: Findings, seen: Predictions | None) -> str:
    """Of a figure of that name which was drawn."""
    if figure in OF_FINDINGS:
        return OF_FINDINGS[figure](findings) + (beyond(findings) if figure in CLIPPED else "")
    assert seen is not None
    return OF_PREDICTIONS[figure](findings, seen)
