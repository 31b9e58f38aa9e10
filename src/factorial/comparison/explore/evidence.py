"""What runs read of the images, small enough for a page: a bit for each image of each run."""

import base64
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from factorial.comparison.explore.sprite import Sprite, drawn
from factorial.comparison.intervals import student
from factorial.comparison.readings import Reading, Readings

BITS = 150_000  # bytes of all runs' bits, compressed
STEPS = 500  # of the table of Student's t, in equal steps of 1 / freedom


def document(readings: Readings, runs: Sequence[str]) -> dict[str, Any] | None:
    """Of those `runs` that the page has; None where no two settings can be compared.

    `sets` are the images that runs share, each with how many there are; a run has the number of
    its set, its bits lie in `bits`, one run's after the other's, and what it read of the images
    that are drawn in `read`, two bytes each.
    """
    places = {run: place for place, run in enumerate(runs)}
    known = [run for run in readings.runs if run.run in places]
    kept = within(known)
    if len({run.setting for run in kept}) < 2:
        return None
    sets = list(dict.fromkeys(run.read.images for run in kept))
    sprite = drawn([[run for run in kept if run.read.images == one] for one in sets])
    first = {run.read.images: run.read.labels for run in reversed(kept)}
    return {
        "images": readings.images,
        "missing": readings.missing,
        "beyond": readings.beyond + len(known) - len(kept),
        "sets": [
            {"n": len(first[one]), "shown": shown, "labels": first[one][shown].tolist()}
            for one, shown in zip(sets, sprite.shown, strict=True)
        ],
        "runs": [{"r": places[run.run], "set": sets.index(run.read.images)} for run in kept],
        "bits": packed(b"".join(map(bits, kept))),
        "read": packed(b"".join(read(run, sprite, sets) for run in kept)),
        "sprite": sprite.document(),
        "students": students(),
    }


def within(runs: Sequence[Reading]) -> list[Reading]:
    """The best settings, each with all its runs, as far as there is room for their bits."""
    kept: list[Reading] = []
    room = BITS
    for setting in dict.fromkeys(run.setting for run in runs):
        mine = [run for run in runs if run.setting == setting]
        room -= sum(len(zlib.compress(bits(run))) for run in mine)
        if room < 0:
            break
        kept += mine
    return kept


def bits(run: Reading) -> bytes:
    """Whether it reads each image: the first is the highest bit of the first byte."""
    return np.packbits(run.correct).tobytes()


def read(run: Reading, sprite: Sprite, sets: Sequence[str]) -> bytes:
    shown = sprite.shown[sets.index(run.read.images)]
    return run.read.predicted[shown].astype("<u2").tobytes()


def packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content, 9)).decode()


def students() -> list[float]:
    """What Student's t does not exceed in 95 of 100 cases, at 1 / freedom = 0, 1/500, ..., 1."""
    return [round(student(STEPS / step if step else np.inf), 6) for step in range(STEPS + 1)]
