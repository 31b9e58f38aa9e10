"""What the winner gets wrong: which class for which, and the images that it misread worst."""

import textwrap

import numpy as np
from matplotlib.figure import Figure

from factorial.comparison.figures import naming, places, style
from factorial.comparison.findings import Findings
from factorial.record.predictions import Array, Predictions, confusion

ACROSS = 8
MOST = 50  # classes of a matrix, whose cells hold numbers
SIDE = 0.7  # of an image, in a cell of 1 by 1


def matrix(findings: Findings, seen: Predictions) -> Figure | None:
    """Counts of test images by class (row) and by what they were read as (column); None where there
    are too many classes to be read.
    """
    counts = confusion(seen)
    classes = len(counts)
    if classes > MOST:
        return None
    errors = counts - np.diag(np.diag(counts))
    drawn = style.figure(0.46 * classes + 1.6, 0.40 * classes + 1.4)
    axes = drawn.subplots()
    most = max(int(errors.max()), 1)
    shade = axes.imshow(errors, cmap="Blues", vmin=0, vmax=most, aspect="auto")
    for row in range(classes):
        for column in range(classes):
            if count := int(counts[row, column]):
                weight = "bold" if row == column else "normal"
                color = style.ink(shade.to_rgba(errors[row, column]))
                axes.text(column, row, str(count), ha="center", va="center", fontsize=8,
                          weight=weight, color=color)  # fmt: skip
    axes.set_xticks(range(classes))
    axes.set_yticks(range(classes))
    axes.set_xlabel("read as")
    axes.set_ylabel("class")
    wrong = int(errors.sum())
    axes.set_title(f"{whose(findings)}\n{wrong} of {int(counts.sum()):,} test images misread",
                   loc="left")  # fmt: skip
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    places.whole(drawn, [place(findings)])
    return drawn


def hardest(findings: Findings, seen: Predictions) -> Figure | None:
    """The misread images with the highest loss, worst first."""
    count = len(seen.hardest)
    pictures = drawable(seen.images)
    if not count or pictures is None:
        return None
    down = -(-count // ACROSS)
    drawn = style.figure(7.5, 0.94 * down + 0.6)
    axes = drawn.subplots()  # one for all: 24 take as long to lay out as two other figures
    axes.set_axis_off()
    for number, (index, image) in enumerate(zip(seen.hardest.tolist(), pictures, strict=True)):
        row, column = divmod(number, ACROSS)
        axes.imshow(image, cmap="gray_r", interpolation="nearest",
                    extent=(column, column + SIDE, row + SIDE, row))  # fmt: skip
        words = f"{int(seen.labels[index])} as {int(seen.predicted[index])}"
        axes.text(column + SIDE / 2, row - 0.06, words, ha="center", fontsize=8)
    axes.set_xlim(0, ACROSS)
    axes.set_ylim(down, -0.3)
    style.heading(drawn, f"{whose(findings)}: the worst misread, as class read as")
    places.whole(drawn, [place(findings)])
    return drawn


def drawable(images: Array) -> Array | None:
    """Grey ones as [k, height, width], coloured ones as [k, height, width, 3]; None for others."""
    if images.ndim == 4 and images.shape[1] == 3:
        return images.transpose(0, 2, 3, 1)
    if images.ndim == 4 and images.shape[1] == 1:
        return images[:, 0]
    return images if images.ndim == 3 else None


def place(findings: Findings) -> int:
    """Of the winner on the board: settings without a rank may come before it."""
    return int(findings.board["label"].tolist().index(findings.winner["label"]))


def whose(findings: Findings) -> str:
    words = f"{findings.winner['label']}, seed {findings.best_run['seed']}"
    return textwrap.fill(words, naming.WIDEST)
