"""A sweep's parent run, and its children that never ran: made once by however many processes."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from factorial import console
from factorial.record import labels, provenance, reading, writing
from factorial.record.reading import RecordedRun
from factorial.record.store import Store
from factorial.results import Outcome
from factorial.runs.members import Member, sweep_id, varying
from factorial.runs.progress import answer, left_behind, open_run, own_runs, progress_of
from factorial.runs.trial import Family
from factorial.settings.labels import Labels
from factorial.settings.messages import BadInput


def parent_of(store: Store, sweep: str) -> RecordedRun | None:
    """The run that an earlier command, or another process, has for a sweep."""
    return next((run for run in reading.find(store, sweep=sweep) if run.parent is None), None)


def lock(store: Store, sweep: str) -> FileLock:
    """Of what a sweep has once: held for moments."""
    folder = store.outputs / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / sweep[:32])


def open_parent(
    store: Store, members: Sequence[Member], typed: Sequence[str], fresh: bool, called: Labels
) -> writing.Run:
    """The sweep's run: the one that is there already or, where none is, or for `fresh`, a new one.
    It is `called` what was typed last.

    Whatever is there belongs to this sweep alone, so its process need not be asked.
    """
    sweep = sweep_id(members)
    with lock(store, sweep):
        earlier = None if fresh else parent_of(store, sweep)
        if earlier is not None:
            parent = writing.again(store, earlier)
            labels.replace(store, earlier, called)
        else:
            asked = {"command": " ".join(typed), "combinations": str(len(members))}
            tags = asked | provenance.git() | {"sweep": sweep}
            name = called.name or f"sweep of {len(members)}"
            parent = writing.new(store, name, labels.as_tags(called) | tags)
        if earlier is None or not earlier.params:
            factors = varying(members)
            parent.describe({key: ", ".join(levels) for key, levels in factors.items()})
    return parent


def open_search(
    store: Store, search: str, typed: Sequence[str], file: Path, called: Labels
) -> writing.Run:
    """A search's run, of which the study is in `file`: the one that is there already, or a new one.

    A study without its run, which was deleted, is set aside, with a warning.
    """
    earlier = parent_of(store, search)
    if earlier is not None:
        again = writing.again(store, earlier)
        labels.replace(store, earlier, called)
        return again
    if store.client is not None and file.exists():
        aside = file.with_suffix(".without-record")
        os.replace(file, aside)
        console.warn(f"the study's run is not on record any more: begun anew, {aside} is kept")
    tags = {"command": " ".join(typed), "search": "optuna", "sweep": search}
    known = tags | provenance.git()
    return writing.new(store, called.name or "search", labels.as_tags(called) | known)


def clear_failure(store: Store, family: Family) -> None:
    """From the parent, what another process left there that was stopped beside this one."""
    with lock(store, family.sweep):
        for run in reading.find(store, sweep=family.sweep):
            if run.id == family.parent and "failure" in run.tags:
                writing.reopen(store, run)


def record_refusal(
    store: Store, family: Family, member: Member, outcome: Outcome, tags: Mapping[str, str]
) -> Outcome:
    """A child for what ended without one, once however often the sweep is issued, with the sweep's
    own tags.

    Another process may have come first, and further: then its result answers.
    """
    with child_lock(store, family, member):
        known = reading.find(store, recipe=member.recipe, sweep=family.sweep)
        if member.trial is None:
            own = [run for run in known if run.parent == family.parent]
        else:
            progress = progress_of(member.trial, store, known, locked=True)
            if progress.result is not None:
                return replace(answer(member.trial, store, progress), error=None)
            own = left_behind(own_runs(member.trial, known), store, locked=True)
        run = open_refusal(store, family, member, own[-1] if own else None)
        with contextlib.closing(run):
            run.tag(failure=outcome.reason, **tags)
            run.status = "FAILED"
            run.end()
    return replace(outcome, run_id=run.id)


def give_up(store: Store, member: Member, outcome: Outcome) -> None:
    """End what a process left RUNNING on a server when it died on whichever machine, so that the
    next try goes on in that run. Of a local record's runs locks tell, so they stay as they are.

    Best effort: where the server is not there either, the next try has a run of its own.
    """
    if outcome.status == "LOST" and store.is_remote and member.trial is not None:
        with contextlib.suppress(OSError, BadInput):
            for run in own_runs(member.trial, reading.find(store, recipe=member.recipe)):
                if run.status == "RUNNING":
                    writing.give_up(store, run, outcome.reason)


def child_lock(store: Store, family: Family, member: Member) -> AbstractContextManager[object]:
    """Under which a member's child is made."""
    if member.trial is None:
        return lock(store, family.sweep)
    return member.trial.trunk.lock(waiting=console.say)


def open_refusal(
    store: Store, family: Family, member: Member, left: RecordedRun | None
) -> writing.Run:
    if left is not None and left.params:
        return writing.again(store, left)
    if member.trial is not None:
        return open_run(member.trial, store, left, member.trial.actual)
    tags = {"mlflow.parentRunId": family.parent, "sweep": family.sweep, "recipe": member.recipe}
    run = writing.new(store, member.name, tags) if left is None else writing.again(store, left)
    run.describe(member.levels)
    return run
