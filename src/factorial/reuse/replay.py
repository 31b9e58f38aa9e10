"""A recorded run, executed again from its record alone: the same bits, or what drifted and why."""

import json
from collections.abc import Sequence
from typing import Any

from factorial import console
from factorial.record import provenance, writing
from factorial.record.reading import RecordedRun
from factorial.record.store import Store
from factorial.results import Epoch
from factorial.reuse import evidence, verdict
from factorial.reuse.evidence import TIMES, RunFiles
from factorial.reuse.verdict import DIFFERENT, IDENTICAL, Difference, Row, Verdict
from factorial.runs.trial import Trial, prepare
from factorial.settings import words
from factorial.training import data, environment, trainer

MOST_THREADS = 1024  # a record that asks for more is none


def replay(store: Store, past: RecordedRun, settings: dict[str, Any]) -> Verdict:
    """Execute a run again with no cache and no checkpoint, compare, record the verdict, say it."""
    tolerance = words.number("tolerance", settings["tolerance"], float, least=0, most=1)
    found = evidence.read(store, past)
    trial = prepare(
        evidence.combination(past, found.config, changes(found, settings, store)), refuse
    )
    console.say(f"replay of run {past.id}: {verdict.printable(past.name)}")
    with writing.recording(opened(store, past)) as run:
        try:
            rows, closing = execute(trial, last=epochs(found))
        except trainer.Diverged as error:
            rows, closing = [], {}
            console.say(f"{error}, where the record has none")
        run.log_rows(rows)
        run.conclude(closing)
        differences = [
            *evidence.tampered(store, found, trial.combination),
            *verdict.of_recipes(evidence.moved(found.recipe), trial.recipe.document),
            *verdict.of_provenance(found.provenance, provenance.capture()),
        ]
        judged = verdict.judge(found.results, flat(rows, closing), differences, tolerance)
        run.tag(verdict=judged.kind)
        run.write("replay.json", json.dumps(document(past, judged), indent=1) + "\n")
        run.write("provenance.json", json.dumps(provenance.capture(), indent=1) + "\n")
    show(judged, found, run.id)
    return judged


def changes(found: RunFiles, settings: dict[str, Any], store: Store) -> dict[str, Any]:
    """What this machine decides, and not the record; threads and device are taken over if here."""
    kind = found.past.params.get("device", "auto")
    threads = settings["threads"] or found.provenance.get("threads")
    return {
        "device.kind": kind if kind in environment.devices() else "auto",
        "device.threads": int(words.number("threads", threads, int, least=1, most=MOST_THREADS)),
        "allow": words.names(settings["allow"]),
        "outputs": str(store.outputs),
    }


def refuse(_: list[str]) -> Any:
    raise AssertionError("a replay has no fallback")


def opened(store: Store, past: RecordedRun) -> writing.Run:
    place = store._replace(experiment_id=past.experiment)
    return writing.new(place, f"replay of {past.name}"[:250], {"replays": past.id})


def execute(trial: Trial, last: int) -> tuple[list[Epoch], dict[str, float]]:
    """From the first weights to the last, in this process; nothing of it is kept.

    It ends after the first epoch that is not on record: there the two have parted already.
    """
    config = trial.config
    environment.enter(config.device)
    splits = data.load(config.data, trial.device)
    state = trainer.start(config, trial.device)
    rows = []
    with console.Display(brief=True).training(trial.name, config.epochs.count) as line:
        for row in trainer.epochs(state, splits, config):
            rows.append(row)
            line.epoch(row)
            if row.epoch > last:
                break
    return rows, trainer.final(state.model, splits.test, config)[0] | trainer.best(rows)


def flat(rows: Sequence[Epoch], closing: dict[str, float]) -> list[Row]:
    """The results in the form of the evidence."""
    found: list[Row] = []
    for row in rows:
        metrics = writing.metrics_of(row) | {"weights": row.weights}
        found += [(row.epoch, name, value) for name, value in metrics.items() if name not in TIMES]
    return found + [(0, name, value) for name, value in closing.items()]


def document(past: RecordedRun, judged: Verdict) -> dict[str, Any]:
    parting = judged.parting
    return {
        "replays": past.id,
        "verdict": judged.kind,
        "parting": parting._asdict() if parting else None,
        "differences": [difference._asdict() for difference in judged.differences],
    }


def show(judged: Verdict, found: RunFiles, run: str) -> None:
    console.say(f"verdict: {judged.kind}")
    if judged.kind == IDENTICAL:
        console.say(f"every metric and the weights of {epochs(found)} epochs, to the bit")
    if judged.parting is not None:
        console.say(f"first in {judged.parting}" if judged.parting.epoch else f"{judged.parting}")
    causes: list[Difference] = judged.differences
    if causes:
        same = judged.kind == IDENTICAL
        console.say("what differs all the same:" if same else "what differs, the likely causes:")
        console.say(*(f"  {cause}" for cause in causes))
    elif judged.kind == DIFFERENT:
        console.say(
            "nothing that is recorded differs: the record was changed after it was written, or "
            "this machine does not compute the same twice"
        )
    console.say(f"recorded as run {run}")


def epochs(found: RunFiles) -> int:
    return max((epoch for epoch, *_ in found.results["metrics.json"]), default=0)
