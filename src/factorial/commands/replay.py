"""Execute a recorded run again: the same to the bit, or what drifted and why."""

import random
from collections.abc import Sequence
from typing import Any

from factorial import console
from factorial.record import selection
from factorial.record.reading import RecordedRun
from factorial.record.store import Store, look_into
from factorial.reuse import evidence, worktree
from factorial.reuse.replay import replay
from factorial.reuse.verdict import DIFFERENT
from factorial.settings import words
from factorial.settings.messages import BadInput


def main(typed: Sequence[str]) -> None:
    """Raises BadInput, and SystemExit(1) where a replay is different."""
    settings = words.read("replay", typed)
    store = look_into(words.tracking(settings), settings["outputs"])
    if store.client is None:
        raise BadInput(f"outputs={store.outputs}: no runs are on record there")
    runs = chosen(store, settings)
    if settings["worktree"]:
        failed = [worktree.replay(store, run, settings, typed) for run in runs]
        raise SystemExit(int(any(failed)))
    verdicts = [replay(store, run, settings) for run in runs]
    if len(runs) > 1:
        pairs = zip(runs, verdicts, strict=True)
        console.show_rows(
            [{"run": run.id[:12], "name": run.name, "verdict": one.kind} for run, one in pairs]
        )
    if any(verdict.kind == DIFFERENT for verdict in verdicts):
        raise SystemExit(1)


def chosen(store: Store, settings: dict[str, Any]) -> list[RecordedRun]:
    """One run, or a sample of a sweep's finished runs that depends on nothing but the sweep."""
    if settings["sweep"] is None:
        return [evidence.choose(store, settings["run"])]
    if settings["run"] != "last":
        raise BadInput("run and sweep: allowed is one of them")
    sweep = selection.of_sweep(store, settings["sweep"])
    runs = [run for run in sweep.runs if run.status == "FINISHED" and evidence.is_run(run)]
    if not runs:
        raise BadInput(f"sweep={settings['sweep']}: none of its runs has a result to replay")
    if settings["sample"] == "all":
        return runs
    count = words.number("sample", settings["sample"], int, least=1)
    return random.Random(sweep.slug).sample(runs, min(int(count), len(runs)))
