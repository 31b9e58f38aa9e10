"""A recorded run, executed again from its record alone: the same bits, or what drifted and why."""

import json
import random
from collections.abc import Sequence
from typing import Any

from factorial import (
    arguments,
    checkpoint,
    console,
    data,
    environment,
    evidence,
    provenance,
    record,
    selection,
    store,
    trainer,
    verdict,
    worktree,
)
from factorial.config import BadInput
from factorial.evidence import TIMES, Evidence
from factorial.history import Past
from factorial.outcome import Epoch
from factorial.prepare import Ready, prepare
from factorial.store import Store
from factorial.verdict import DIFFERENT, IDENTICAL, Difference, Row, Verdict

MOST_THREADS = 1024  # a record that asks for more is none


def main(typed: Sequence[str]) -> None:
    """`python replay.py ...`. Raises BadInput, and SystemExit(1) where a replay is different."""
    settings = arguments.read("replay", typed)
    where = store.look_into(arguments.tracking(settings), settings["outputs"])
    if where.client is None:
        raise BadInput(f"outputs={where.outputs}: no runs are on record there")
    runs = chosen(where, settings)
    if settings["worktree"]:
        failed = [worktree.replay(where, past, settings, typed) for past in runs]
        raise SystemExit(int(any(failed)))
    verdicts = [replay(where, past, settings) for past in runs]
    if len(runs) > 1:
        console.show_rows(
            [
                {"run": past.id[:12], "name": past.name, "verdict": found.kind}
                for past, found in zip(runs, verdicts, strict=True)
            ]
        )
    if any(found.kind == DIFFERENT for found in verdicts):
        raise SystemExit(1)


def chosen(where: Store, settings: dict[str, Any]) -> list[Past]:
    """One run, or a sample of a sweep's finished runs that depends on nothing but the sweep."""
    if settings["sweep"] is None:
        return [evidence.choose(where, settings["run"])]
    sweep = selection.of_sweep(where, settings["sweep"])
    if settings["run"] != "last":
        raise BadInput("run and sweep: allowed is one of them")
    runs = [past for past in sweep.runs if past.status == "FINISHED" and evidence.is_run(past)]
    if not runs:
        raise BadInput(f"sweep={settings['sweep']}: none of its runs has a result to replay")
    if settings["sample"] == "all":
        return runs
    count = arguments.number("sample", settings["sample"], int, least=1)
    return random.Random(sweep.slug).sample(runs, min(int(count), len(runs)))


def replay(where: Store, past: Past, settings: dict[str, Any]) -> Verdict:
    """Execute a run again with no cache and no checkpoint, compare, record the verdict, say it."""
    tolerance = arguments.number("tolerance", settings["tolerance"], float, least=0, most=1)
    found = evidence.read(where, past)
    ready = prepare(
        evidence.combination(past, found.config, changes(found, settings, where)), refuse
    )
    console.say(f"replay of run {past.id}: {verdict.printable(past.name)}")
    with record.recording(opened(where, past)) as run:
        try:
            rows, closing = execute(ready, last=epochs(found))
        except trainer.Diverged as error:
            rows, closing = [], {}
            console.say(f"{error}, where the record has none")
        run.log_rows(rows)
        run.conclude(closing)
        differences = [
            *evidence.tampered(where, found, ready.asked),
            *verdict.of_recipes(found.recipe, ready.recipe.document),
            *verdict.of_provenance(found.provenance, provenance.capture()),
        ]
        judged = verdict.judge(found.results, flat(rows, closing), differences, tolerance)
        run.tag(verdict=judged.kind)
        run.write("replay.json", json.dumps(document(past, judged), indent=1) + "\n")
        run.write("provenance.json", json.dumps(provenance.capture(), indent=1) + "\n")
    show(judged, found, run.id)
    return judged


def changes(found: Evidence, settings: dict[str, Any], where: Store) -> dict[str, Any]:
    """What this machine decides, and not the record; threads and device are taken over if here."""
    kind = found.past.params.get("device", "auto")
    threads = settings["threads"] or found.provenance.get("threads")
    return {
        "device.kind": kind if kind in environment.devices() else "auto",
        "device.threads": int(
            arguments.number("threads", threads, int, least=1, most=MOST_THREADS)
        ),
        "allow": arguments.names(settings["allow"]),
        "outputs": str(where.outputs),
    }


def refuse(_: list[str]) -> Any:
    raise AssertionError("a replay has no fallback")


def opened(where: Store, past: Past) -> record.Run:
    place = where._replace(experiment_id=past.experiment)
    return record.new(place, f"replay of {past.name}"[:250], {"replays": past.id})


def execute(ready: Ready, last: int) -> tuple[list[Epoch], dict[str, float]]:
    """From the first weights to the last, in this process; nothing of it is kept.

    It ends after the first epoch that is not on record: there the two have parted already.
    """
    config = ready.config
    splits = data.load(config.data, ready.device)
    state = trainer.start(config, ready.device)
    rows = []
    with console.Display(brief=True).training(ready.name, config.epochs.count) as line:
        for row in trainer.fit(state, splits, config):
            if row is not None:
                rows.append(row._replace(weights=checkpoint.digest(state.model.state_dict())))
                line.epoch(row)
                if row.epoch > last:
                    break
    return rows, trainer.final(state.model, splits.test, config)[0] | trainer.best(rows)


def flat(rows: Sequence[Epoch], closing: dict[str, float]) -> list[Row]:
    """The results in the form of the evidence."""
    found: list[Row] = []
    for row in rows:
        metrics = record.metrics_of(row) | {"weights": row.weights}
        found += [(row.epoch, name, value) for name, value in metrics.items() if name not in TIMES]
    return found + [(0, name, value) for name, value in closing.items()]


def document(past: Past, judged: Verdict) -> dict[str, Any]:
    parting = judged.parting
    return {
        "replays": past.id,
        "verdict": judged.kind,
        "parting": parting._asdict() if parting else None,
        "differences": [difference._asdict() for difference in judged.differences],
    }


def show(judged: Verdict, found: Evidence, run: str) -> None:
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


def epochs(found: Evidence) -> int:
    return max((epoch for epoch, *_ in found.results["metrics.json"]), default=0)
