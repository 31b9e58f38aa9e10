"""Which recorded runs share a plane, and their ways."""

import re
from typing import Any

from factorial import console
from factorial.motion import plane_page
from factorial.motion.plane_page import Judge, Scene
from factorial.record import selection
from factorial.record.reading import RecordedRun
from factorial.record.store import Store
from factorial.reuse import evidence, snapshots
from factorial.reuse.ensemble import SCORE
from factorial.reuse.snapshots import Ready
from factorial.settings import words
from factorial.settings.messages import BadInput, shown

MOST = 24  # runs together


def scene(store: Store, settings: dict[str, Any]) -> Scene:
    """All that was asked for is run again. Raises BadInput before, where it can't be shown."""
    every = interval(settings["every"])
    runs = of_sweep(store, settings) if settings["run"] is None else of_runs(store, settings)
    snapshots.require_few(runs, every)
    (first, model), *others = [snapshots.taken(one, every) for one in runs]
    trajectories = [first, *(trajectory for trajectory, _ in others)]
    images, there = snapshots.sample(runs[0], settings["examples"])
    side = settings["grid"]
    console.say(f"the loss of {side} x {side} places on {len(images):,} images")
    return plane_page.scene_of(
        trajectories,
        Judge(snapshots.loss_of(model, images), len(images), there),
        side,
        unit="epoch" if every is None else "batch",
        every="after each epoch" if every is None else f"every {every} batches",
        chosen="" if settings["sweep"] is None else choice(settings, runs[0].run),
    )


def interval(word: str) -> int | None:
    """So many batches; None for `epoch`. Raises BadInput."""
    if word == "epoch":
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,5}", word):
        allowed = "epoch, or a whole number of batches, 1 to 999999"
        raise BadInput(f"every={shown(word)}: allowed is {allowed}")
    return int(word)


def of_runs(store: Store, settings: dict[str, Any]) -> list[Ready]:
    """Those that are named, each once."""
    prefixes = words.names(settings["run"])
    if not prefixes:
        raise BadInput(f"run={settings['run']}: allowed are ids of runs, or last")
    found = {run.id: run for run in (evidence.choose(store, prefix) for prefix in prefixes)}
    if len(found) > MOST:
        raise BadInput(
            f"run: {len(found)} runs; allowed are {MOST}, for no picture tells more apart"
        )
    first, *others = [snapshots.ready(store, run, settings) for run in found.values()]
    for other in others:
        if not other.fits(first):
            raise BadInput(
                f"run={other.run.id}: {unlike(other, first)}; allowed are runs of one model"
            )
    return [first, *others]


def of_sweep(store: Store, settings: dict[str, Any]) -> list[Ready]:
    """The best run of each setting, the best setting first; those of another model than the first's
    are left out, with a warning."""
    if settings["best"] > MOST:
        raise BadInput(
            f"best={settings['best']}: allowed is 1 to {MOST}, for no picture tells more apart"
        )
    chosen: list[Ready] = []
    for run in ranked(store, settings["sweep"]):
        one = snapshots.ready(store, run, settings)
        if chosen and not one.fits(chosen[0]):
            console.warn(f"run {run.id} is left out: {unlike(one, chosen[0])}")
            continue
        chosen.append(one)
        if len(chosen) == settings["best"]:
            break
    return chosen


def choice(settings: dict[str, Any], first: RecordedRun) -> str:
    """Which of a sweep's runs these are, in words."""
    which = "of the highest validation accuracy" if SCORE in first.metrics else "that came first"
    return (
        f"Of sweep {shown(settings['sweep'])} these are the settings {which}, "
        f"{settings['best']} at most, and of each the best run."
    )


def ranked(store: Store, identity: str) -> list[RecordedRun]:
    """Of each setting, which is all but the seed, the run with the highest validation accuracy.

    In the order of the sweep where nothing is held out.
    """
    sweep = selection.of_sweep(store, identity)
    runs = [run for run in sweep.runs if run.status == "FINISHED" and evidence.is_run(run)]
    if not runs:
        raise BadInput(f"sweep={identity}: none of its runs has a result")
    runs.sort(key=lambda run: -run.metrics.get(SCORE, 0.0))
    best: dict[frozenset[tuple[str, str]], RecordedRun] = {}
    for run in runs:
        setting = frozenset((key, value) for key, value in run.params.items() if key != "seed")
        best.setdefault(setting, run)
    return list(best.values())


def unlike(one: Ready, first: Ready) -> str:
    """The first parameter that two models don't share, in words."""
    for name in [*first.shapes, *one.shapes]:
        mine, theirs = one.shapes.get(name), first.shapes.get(name)
        if mine != theirs:
            said = f"has {name} {mine}" if mine else f"has no {name}"
            return f"it {said}, and run {first.run.id[:12]} {theirs or 'has none'}"
    return f"its parameters are in another order than those of run {first.run.id[:12]}"
