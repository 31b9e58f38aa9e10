"""A sweep: every combination, one parent run, one child each, one table at the end."""

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig

from factorial import console
from factorial.record import reading, writing
from factorial.record.reading import RecordedRun
from factorial.record.store import Store, look_into, mlflow_page
from factorial.results import Outcome
from factorial.runs import ledger
from factorial.runs.applying import fitted
from factorial.runs.ending import lost, not_started, outcome_of, refused, run_caught
from factorial.runs.jobs import Launcher
from factorial.runs.members import (
    Member,
    adopt,
    check,
    distinct,
    level_rows,
    pinned,
    sweep_id,
)
from factorial.runs.parent import clear_failure, give_up, open_parent, parent_of, record_refusal
from factorial.runs.plan import show_plan
from factorial.runs.progress import answer, needs_copy, progress_of
from factorial.runs.run import reach
from factorial.runs.trial import Compose, Family
from factorial.settings.combination import Combination
from factorial.settings.messages import BadInput, is_stop, reason
from factorial.settings.parsing import parse
from factorial.settings.schema import Config


def run_sweep(
    base: DictConfig,
    typed: list[str],
    grid: list[list[str]],
    compose: Compose,
    launcher: Launcher | None = None,
) -> None:
    """Bring every combination of `grid` to its end under one parent, and show the table.

    Without a launcher they run in this process, one after another, as they were composed. What
    can't be composed, or fails, is recorded as failed; the others go on. The same set of
    combinations is the same sweep: it goes on under the same parent. Raises SystemExit(1) if any
    failed, BadInput where nothing can start at all.
    """
    settings = parse(Combination.split(base).composed)
    members = checked(grid, compose)
    tracking = replace(settings.tracking, experiment=experiment_of(members, settings))
    settings = replace(settings, tracking=tracking)
    if settings.plan:
        show_plan(known_children(members, settings), settings)
        return
    if settings.ledger:
        ledger.require_writable(Path(settings.ledger))
    parent, outcomes = Sweep(settings, members, launcher).run(typed)
    close(settings, members, outcomes)
    if settings.report and settings.tracking.kind != "off":
        report(reach(settings), parent, settings.rank_by)
    if has_failed(outcomes):
        raise SystemExit(1)


def checked(grid: list[list[str]], compose: Compose) -> list[Member]:
    """The members, with what has to be known of them said once. Raises BadInput."""
    fits, notes = fitted(grid, compose)
    members = distinct([check(words, compose) for words in fits])
    trials = [member.trial for member in members if member.trial]
    console.warn(*dict.fromkeys(line for trial in trials for line in trial.warnings))
    console.note(*notes, *dict.fromkeys(line for trial in trials for line in trial.notes))
    if len(members) < len(fits):
        console.note(f"{len(fits) - len(members)} of {len(fits)} combinations say what others say")
    reasons = {member.reason for member in members}
    if not trials and len(reasons) == 1:
        raise BadInput(f"no combination can start: {reasons.pop()}")
    return members


def experiment_of(members: Sequence[Member], settings: Config) -> str:
    """One experiment for the whole sweep: a child elsewhere would not be shown below its parent."""
    names = {member.trial.config.tracking.experiment for member in members if member.trial}
    return "+".join(sorted(names)) or settings.tracking.experiment


def known_children(members: list[Member], settings: Config) -> list[Member]:
    """As children of the sweep's parent, where an earlier command left one."""
    store, sweep = look_into(settings.tracking, settings.outputs), sweep_id(members)
    parent = None if settings.fresh else parent_of(store, sweep)
    if parent is None:
        return members
    return adopt(members, Family(parent.id, sweep, settings.tracking.experiment))


def close(settings: Config, members: Sequence[Member], outcomes: Sequence[Outcome]) -> None:
    """The table, and the ledger."""
    rows = level_rows(members)
    console.show_table(rows, outcomes, mlflow_page(settings.tracking, settings.outputs))
    counts = Counter(outcome.origin or "failed" for outcome in outcomes)
    console.say(", ".join(f"{count} {origin}" for origin, count in counts.items()))
    if settings.ledger:
        ledger.write(Path(settings.ledger), sweep_id(members), rows, outcomes)


def length(member: Member) -> int:
    """Epochs: of one trunk the longest is launched first, and the others go on from its states."""
    return member.trial.config.epochs.count if member.trial else 0


def has_failed(outcomes: Sequence[Outcome]) -> bool:
    return any(outcome.status != "FINISHED" for outcome in outcomes)


class Sweep:
    """The members of one sweep, run by one process; others may run the same sweep beside it."""

    def __init__(
        self, settings: Config, members: Sequence[Member], launcher: Launcher | None
    ) -> None:
        self.settings, self.members, self.launcher = settings, list(members), launcher
        self.store = reach(settings)
        self.tally = console.Tally(len(self.members))

    def run(self, typed: Sequence[str]) -> tuple[str, list[Outcome]]:
        """The parent run's id, and an outcome for every member, each recorded below it."""
        settings = self.settings
        opened = open_parent(self.store, self.members, typed, settings.fresh, settings.labels)
        with writing.recording(opened) as parent:
            sweep, count = sweep_id(self.members), len(self.members)
            called = f" ({settings.name})" if settings.name else ""
            console.say(f"sweep {sweep[:8]}{called}: {count} combinations, parent run {parent.id}")
            family = Family(parent.id, sweep, settings.tracking.experiment)
            outcomes = self.bring_all(adopt(self.members, family), family)
            failures = sum(outcome.status != "FINISHED" for outcome in outcomes)
            parent.revise({"sweep/runs": len(outcomes), "sweep/failures": failures})
            parent.status = "FAILED" if failures else "FINISHED"
            clear_failure(self.store, family)
        return parent.id, outcomes

    def bring_all(self, members: Sequence[Member], family: Family) -> list[Outcome]:
        """From the record, refused, or by running them; stopped, it says how far it came."""
        children = reading.find(self.store, sweep=family.sweep)
        try:
            outcomes = [self.settle(member, children) for member in members]
            threads = self.launcher.threads if self.launcher else None
            members = [pinned(member, threads) for member in members]
            ended = self.bring_waiting(members, outcomes)
        except BaseException as error:
            if is_stop(error):
                console.say(f"stopped after {self.tally} combinations")
            raise
        settings = self.settings
        reach(settings)
        return [
            one if one.run_id else record_refusal(self.store, family, member, one, settings.tags)
            for member, one in zip(members, ended, strict=True)
        ]

    def bring_waiting(
        self, members: Sequence[Member], outcomes: Sequence[Outcome | None]
    ) -> list[Outcome]:
        """With those that have no outcome yet, in their order, brought to their ends."""
        waiting = [member for member, one in zip(members, outcomes, strict=True) if one is None]
        if self.settings.on_failure == "continue":
            ended = iter(self.bring(waiting))
            return [next(ended) if one is None else one for one in outcomes]
        complete: list[Outcome] = []
        for member, one in zip(members, outcomes, strict=True):
            stopped = has_failed(complete)
            complete.append(one or (not_started(member) if stopped else self.bring([member])[0]))
        return complete

    def settle(self, member: Member, children: Sequence[RecordedRun]) -> Outcome | None:
        """The outcome of a member that can't run, or whose result is on record; None for others."""
        trial = member.trial
        if trial is None:
            return self.tally.show(member.id, refused(member))
        own = [run for run in children if run.tags.get("recipe") == member.recipe]
        progress = progress_of(trial, self.store, [run for run in own if run.is_result] or None)
        if progress.result is None:
            return None
        if needs_copy(trial, progress.result):
            with trial.trunk.lock(waiting=console.say):
                outcome = answer(trial, self.store, progress_of(trial, self.store, locked=True))
        else:
            outcome = answer(trial, self.store, progress)
        return self.tally.show(member.id, replace(outcome, error=None))

    def bring(self, members: Sequence[Member]) -> list[Outcome]:
        """Members that can run to their ends, tried again as often as `retries` says."""
        outcomes = self.attempt(members)
        for _ in range(self.settings.retries):
            again = [index for index, outcome in enumerate(outcomes) if outcome.retriable]
            ended = self.attempt([members[index] for index in again])
            for index, outcome in zip(again, ended, strict=True):
                outcomes[index] = outcome
        return outcomes

    def attempt(self, members: Sequence[Member]) -> list[Outcome]:
        """Every member has an outcome, whatever becomes of its process."""
        if self.launcher is None:
            return [self.run_here(member) for member in members]
        ended: dict[str, Outcome] = {}
        self.launch(sorted(members, key=length, reverse=True), self.launcher, ended)
        return [ended[member.id] for member in members]

    def launch(
        self, members: Sequence[Member], launcher: Launcher, ended: dict[str, Outcome]
    ) -> None:
        """Add to `ended` what becomes of each member in some process.

        A launcher that lost a worker may give up on all its jobs: halves show whose it was.
        """
        if not members:
            return
        why = "no answer"
        jobs = [[*member.words, *member.context] for member in members]
        try:
            with contextlib.closing(launcher.launch(jobs)) as answers:
                for index, returned in answers:
                    member = members[index]
                    outcome = outcome_of(member, returned)
                    give_up(self.store, member, outcome)
                    ended[member.id] = self.tally.show(member.id, outcome)
        except BadInput:
            raise  # what a launcher refuses it would refuse of a half, too
        except Exception as error:
            left = [member for member in members if member.id not in ended]
            if len(left) > 1:
                half = len(left) // 2
                self.launch(left[:half], launcher, ended)
                self.launch(left[half:], launcher, ended)
            why = reason(error)
        for member in members:
            if member.id not in ended:
                ended[member.id] = self.tally.show(member.id, lost(member, why))

    def run_here(self, member: Member) -> Outcome:
        assert member.trial is not None
        reach(self.settings)
        return self.tally.show(member.id, run_caught(member.trial, self.tally.display(member.id)))


def report(store: Store, parent: str, rank_by: str) -> None:
    """The sweep compared; what is recorded stays, whatever keeps it from being compared."""
    # here: seconds of imports that training does not need
    from factorial.comparison.publishing import publish
    from factorial.record.selection import of_sweep

    try:
        publish(store, of_sweep(store, parent), rank_by)
    except (BadInput, OSError) as error:
        console.warn(f"no report: {reason(error)}")
