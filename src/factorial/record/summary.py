"""What a sweep's own run shows on MLflow's page at first sight, written behind its end."""

import contextlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from factorial.record import reading
from factorial.record.labels import NOTE, described, divided
from factorial.record.refusals import asking
from factorial.record.store import Store
from factorial.record.writing import Run
from factorial.settings.messages import BadInput
from factorial.settings.rules import LONGEST_TEXT


class Summary(NamedTuple):
    """`texts` say the same in Markdown, the longest first; `metrics` are by name."""

    metrics: Mapping[str, float]
    texts: Iterable[str]


def put(store: Store, run: str, summary: Summary) -> None:
    """Whatever of it is not on record yet: what is put again leaves no second point of a metric.

    A user's note stays, whole, in front of the longest text for which there is room. Raises
    BadInput where the run is gone, and OSError.
    """
    with asking(f"run {run}"):
        known = store.client.get_run(run)
    if known.info.lifecycle_stage != "active":
        raise BadInput(f"run {run}: allowed is one that is not deleted; restore it")
    recorded = reading.recorded(known)
    with contextlib.closing(Run(store, known.info, recorded)) as opened:
        opened.revise(summary.metrics)
        description = recorded.tags.get(NOTE, "")
        note = divided(description)[0]
        fitting = (described(note, text) for text in summary.texts)
        wanted = next((whole for whole in fitting if len(whole) <= LONGEST_TEXT), note)
        if wanted != description:
            opened.tag(**{NOTE: wanted})
