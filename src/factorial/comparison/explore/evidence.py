"""What runs misread of the images, small enough for a page: for 500 settings it is 0.1 MB."""

import base64
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from factorial.comparison.explore.sprite import drawn
from factorial.comparison.intervals import student
from factorial.comparison.readings import Reading, Readings, gathered
from factorial.record.predictions import Array

ROOM = 250_000  # bytes of what all runs misread, compressed: 500 of them, though half only guess
STEPS = 500  # of the table of Student's t, in equal steps of 1 / freedom
FAR = 255  # a step that is longer than a byte is so many of these, and what is left


def document(readings: Readings, runs: Sequence[str]) -> dict[str, Any] | None:
    """Of those `runs` that the page has; None where no two settings can be compared.

    `sets` are the images that runs share: how many there are, which are drawn, with their labels,
    and what was misread. A run has the number of its set.
    """
    places = {run: place for place, run in enumerate(runs)}
    known = [run for run in readings.runs if run.run in places]
    kept = within(known)
    if len({run.setting for run in kept}) < 2:
        return None
    sets = by_images(kept)
    sprite = drawn([*sets.values()])
    return {
        "images": readings.images,
        "missing": readings.missing,
        "beyond": readings.beyond + len(known) - len(kept),
        "sets": [a_set(*one) for one in zip(sets.values(), sprite.shown, strict=True)],
        "runs": [{"r": places[run.run], "set": [*sets].index(run.read.images)} for run in kept],
        "sprite": sprite.document(),
        "students": students(),
    }


def by_images(runs: Sequence[Reading]) -> dict[str, list[Reading]]:
    """Those of one set of images together."""
    sets: dict[str, list[Reading]] = {}
    for run in runs:
        sets.setdefault(run.read.images, []).append(run)
    return sets


def within(runs: Sequence[Reading]) -> list[Reading]:
    """The best settings, each with all its runs, as far as there is room for what they misread."""
    settings = [*gathered(runs).values()]
    while True:
        kept = [run for mine in settings for run in mine]
        size = sum(len(zlib.compress(misread(mine)[1], 9)) for mine in by_images(kept).values())
        if size <= ROOM:
            return kept
        settings = settings[: min(len(settings) - 1, int(len(settings) * ROOM / size))]


def a_set(runs: Sequence[Reading], shown: Sequence[int]) -> dict[str, Any]:
    """`order` are the images that any run misread, four bytes each, `misread` the steps, and `read`
    how far what each run read of the images `shown` is above their labels, two bytes each, around
    their end."""
    labels = runs[0].read.labels
    order, steps = misread(runs)
    above = [run.read.predicted[shown].astype(np.int64) - labels[shown] for run in runs]
    return {
        "n": len(labels),
        "shown": shown,
        "labels": labels[shown].tolist(),
        "order": packed(order.astype("<u4").tobytes()),
        "misread": packed(steps),
        "read": packed(np.array(above).astype("<u2").tobytes()),
    }


def misread(runs: Sequence[Reading]) -> tuple[Array, bytes]:
    """The images that any run misread, those first that most did; and the steps from one misread
    place to the next, from before the first: image by image in that order, and run by run in each.

    Alike in density, neighbours compress well. A step of 1 to 255 is a byte of one less; longer
    ones begin with as many bytes of 255 as they have 255s.
    """
    wrong = ~np.stack([run.correct for run in runs])
    counts = wrong.sum(axis=0)
    order = np.argsort(-counts, kind="stable")[: int((counts > 0).sum())]
    places = np.flatnonzero(wrong[:, order].T)
    further, left = np.divmod(np.diff(places, prepend=-1) - 1, FAR)
    steps = np.full(int(further.sum()) + len(places), FAR, dtype=np.uint8)
    steps[np.cumsum(further + 1) - 1] = left
    return order, steps.tobytes()


def packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content, 9)).decode()


def students() -> list[float]:
    """What Student's t does not exceed in 95 of 100 cases, at 1 / freedom = 0, 1/500, ..., 1."""
    return [round(student(STEPS / step if step else np.inf), 6) for step in range(STEPS + 1)]
