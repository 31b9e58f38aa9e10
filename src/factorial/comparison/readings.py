"""What a comparison's runs read of the images that rank them, as it was recorded."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from factorial.comparison.findings import Findings
from factorial.comparison.pairs import Correct, Pair, compare
from factorial.record import predictions
from factorial.record.predictions import Read
from factorial.record.store import Store, artifact

MOST = 600  # runs whose predictions are looked at, those of the best settings
FILES = {"validation": predictions.HELD_OUT, "test": predictions.FILE}


class Reading(NamedTuple):
    """One run's: its id, its setting's place on the board, and the file that has the pixels."""

    run: str
    setting: int
    seed: str
    read: Read
    file: Path

    @property
    def correct(self) -> Correct:
        right: Correct = self.read.labels == self.read.predicted
        return right


@dataclass(frozen=True)
class Readings:
    """`missing` are runs whose predictions are not on record, `beyond` those not looked at.

    Selection never sees the test set: its images are `images` only where nothing was held out,
    and the settings were ranked on them.
    """

    images: str  # validation or test
    runs: Sequence[Reading] = ()
    missing: int = 0
    beyond: int = 0
    settings: Mapping[int, list[Reading]] = field(default_factory=dict)

    def pair(self, first: int, other: int) -> tuple[str, Pair] | None:
        """Two settings, by their places: the images that most seeds share, and what was read."""
        mine, its = self.settings.get(first, []), self.settings.get(other, [])
        seen = {(run.seed, run.read.images) for run in its}
        shared = Counter(run.read.images for run in mine if (run.seed, run.read.images) in seen)
        if not shared:
            return None
        images = shared.most_common(1)[0][0]
        of = [{run.seed: run.correct for run in runs if run.read.images == images}
              for runs in (mine, its)]  # fmt: skip
        found = compare(*of)
        return None if found is None else (images, found)


def load(store: Store, findings: Findings) -> Readings:
    """Of the best settings, the best first, each with all its runs."""
    comparison = findings.comparison
    places = {label: place for place, label in enumerate(findings.board["label"])}
    runs = comparison.runs.assign(place=comparison.labels.map(places))
    runs = runs.sort_values("place", kind="stable")
    found, missing = [], 0
    for row in runs.head(MOST).to_dict("records"):
        file = artifact(store, row["source"], FILES[comparison.selected_on])
        read = None if file is None else predictions.read(file)
        if file is None or read is None:
            missing += 1
        else:
            found.append(Reading(row["id"], row["place"], row["seed"], read, file))
    beyond = max(len(runs) - MOST, 0)
    return Readings(comparison.selected_on, found, missing, beyond, gathered(found))


def gathered(runs: Sequence[Reading]) -> dict[int, list[Reading]]:
    """By their settings."""
    settings: dict[int, list[Reading]] = {}
    for run in runs:
        settings.setdefault(run.setting, []).append(run)
    return settings


NONE = Readings("validation")  # what a report has that was made without a store
