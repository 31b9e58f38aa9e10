"""A recorded run, executed again from its record alone: the same bits, or what drifted and why."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from factorial import console
from factorial.record import provenance, writing
from factorial.record.predictions import KINDS
from factorial.record.reading import RecordedRun
from factorial.record.store import Store
from factorial.results import Diverged, Epoch
from factorial.reuse import contradictions, evidence, verdict
from factorial.reuse.evidence import TIMES, RunFiles
from factorial.reuse.verdict import DIFFERENT, IDENTICAL, Difference, Row, Verdict
from factorial.runs import predicting
from factorial.runs.trial import Trial, prepare
from factorial.settings import words
from factorial.settings.messages import BadInput, shown
from factorial.settings.names import OWN
from factorial.training import data, environment, stopping, trainer

MOST_THREADS = 1024  # a record that asks for more is none


def replay(store: Store, recorded: RecordedRun, settings: dict[str, Any]) -> Verdict:
    """Execute a run again with no cache and no checkpoint, compare, record the verdict, say it."""
    tolerance = words.number("tolerance", settings["tolerance"], float, least=0, most=1)
    files = evidence.read(store, recorded)
    changed = changes(files, settings, store) | place(recorded, files.config, settings)
    trial = prepare(evidence.combination(recorded, files.config, changed), refuse)
    console.say(f"replay of run {recorded.id}: {verdict.printable(recorded.name)}")
    with writing.recording(opened(store, recorded)) as run:
        try:
            rows, closing, seen = execute(trial, last=epochs(files))
        except Diverged as error:
            rows, closing, seen = [], {}, {}
            console.say(f"{error}, where the record has none")
        run.log_rows(rows)
        drifts = differences(store, files, trial)
        judged = verdict.judge(files.results, flat(rows, closing, seen), drifts, tolerance)
        run.tag(verdict=judged.kind)
        run.write("replay.json", json.dumps(document(recorded, judged), indent=1) + "\n")
        run.write("provenance.json", json.dumps(provenance.capture(), indent=1) + "\n")
        run.conclude(closing)
    show(judged, files, run.id)
    return judged


def differences(store: Store, files: RunFiles, trial: Trial) -> list[Difference]:
    """All that is not as it was recorded, or contradicts itself there."""
    recipes = (files.recipe, trial.recipe.document)
    before, now = (contradictions.comparable(one, trial) for one in recipes)
    return [
        *contradictions.contradictions(store, files, trial.combination),
        *verdict.of_recipes(before, now),
        *verdict.of_provenance(files.provenance, provenance.capture()),
    ]


def changes(files: RunFiles, settings: dict[str, Any], store: Store) -> dict[str, Any]:
    """What this machine decides, and not the record; threads and device are taken over if here."""
    kind = files.run.params.get("device", "auto")
    threads = settings["threads"] or files.provenance.get("threads")
    return {
        "device.kind": kind if kind in environment.devices() else "auto",
        "device.threads": int(words.number("threads", threads, int, least=1, most=MOST_THREADS)),
        "allow": words.names(settings["allow"]),
        "outputs": str(store.outputs),
    }


def place(run: RecordedRun, config: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Where a run's data lie, as the user says: a record is not asked. Raises BadInput."""
    recorded: Any = config.get("data")
    recorded = recorded if isinstance(recorded, dict) else {}
    key = "file" if "file" in recorded else "root"
    if settings["data"] is not None:
        return {f"data.{key}": settings["data"]}
    if recorded.get("name") in OWN and recorded.get(key) is not None:
        raise BadInput(
            f"data=null: allowed is where the images of run {run.id} lie; on record it is "
            f"{shown(recorded[key])}"
        )
    return {}


def refuse(_: list[str]) -> Any:
    raise AssertionError("a replay has no fallback")


def opened(store: Store, recorded: RecordedRun) -> writing.Run:
    experiment = store._replace(experiment_id=recorded.experiment)
    return writing.new(experiment, f"replay of {recorded.name}"[:250], {"replays": recorded.id})


def execute(trial: Trial, last: int) -> tuple[list[Epoch], dict[str, float], dict[str, str]]:
    """From the first weights to the last, in this process; nothing of it is kept: the rows, the
    closing metrics, and the digest of each file of predictions.

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
    closing, logits = trainer.final(state.evaluated, splits.test, config)
    kept = predicting.files(state.evaluated, splits, logits, config)
    seen = {KINDS[name]: hashlib.sha256(packed).hexdigest() for name, packed in kept.items()}
    ended = trainer.best(rows) | stopping.outcome(rows, config)
    return rows, closing | ended, seen


def flat(rows: Sequence[Epoch], closing: dict[str, float], seen: dict[str, str]) -> list[Row]:
    """The results in the form of the evidence."""
    flattened: list[Row] = []
    for row in rows:
        metrics = writing.metrics_of(row) | {"weights": row.weights}
        flattened += [(row.epoch, name, value) for name, value in metrics.items()]
    flattened += [(0, name, value) for name, value in closing.items()]
    digests: list[Row] = [(0, kind, digest) for kind, digest in seen.items()]
    return [row for row in flattened if row[1] not in TIMES] + digests


def document(recorded: RecordedRun, judged: Verdict) -> dict[str, Any]:
    parting = judged.parting
    return {
        "replays": recorded.id,
        "verdict": judged.kind,
        "parting": parting._asdict() if parting else None,
        "differences": [difference._asdict() for difference in judged.differences],
    }


def show(judged: Verdict, files: RunFiles, run: str) -> None:
    console.say(f"verdict: {judged.kind}")
    if judged.kind == IDENTICAL:
        console.say(f"every metric and the weights of {epochs(files)} epochs, to the bit")
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


def epochs(files: RunFiles) -> int:
    return max((epoch for epoch, *_ in files.results["metrics.json"]), default=0)
