"""A sweep: every combination, one parent run, one child each, one table at the end."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from filelock import FileLock
from hydra.core.utils import JobReturn
from omegaconf import DictConfig

from factorial import console
from factorial.record import provenance, reading, writing
from factorial.record.files import write_atomically
from factorial.record.reading import RecordedRun
from factorial.record.store import Store, mlflow_page, open_store
from factorial.results import Outcome
from factorial.runs.grid import Member, check, level_rows, varying
from factorial.runs.plan import show_plan
from factorial.runs.progress import answer, needs_copy, open_run, progress_of
from factorial.runs.run import run_trial
from factorial.runs.trial import Compose, Family, Trial, prepare
from factorial.settings.combination import Combination
from factorial.settings.messages import BadInput, reason
from factorial.settings.recipe import digest
from factorial.settings.schema import Config, parse

Launch = Callable[[list[list[str]]], Sequence[JobReturn]]
MANY = 500  # combinations, which take seconds to compose
NOT_STARTED = "not started: an earlier run failed, and on_failure=stop"


def run_sweep(
    base: DictConfig,
    typed: list[str],
    grid: list[list[str]],
    compose: Compose,
    launch: Launch | None,
) -> None:
    """Bring every combination of `grid` to its end under one parent, and show the table.

    Without `launch` they run in this process, one after another, as they were composed. What can't
    be composed, or fails, is recorded as failed; the others go on. The same set of combinations is
    the same sweep: it goes on under the same parent. Raises SystemExit(1) if any failed, BadInput
    where nothing can start at all.
    """
    settings = parse(Combination.split(base).composed)
    if len(grid) >= MANY:
        console.say(f"composing {len(grid):,} combinations")
    members = [check(words, compose) for words in grid]
    if settings.plan:
        show_plan(members, settings)
        return
    reasons = {member.reason for member in members}
    if len(reasons) == 1 and not any(member.trial for member in members):
        raise BadInput(f"no combination can start: {reasons.pop()}")
    ledger = settings.ledger and writable(Path(settings.ledger))
    tracking = replace(settings.tracking, experiment=experiment_of(members, settings))
    store = open_store(tracking, settings.outputs)
    sweep = Sweep(store, settings, members, launch)
    with writing.recording(sweep.open_parent(typed)) as parent:
        console.say(f"sweep {sweep.id[:8]}: {len(members)} combinations, parent run {parent.id}")
        outcomes = sweep.run(Family(parent.id, sweep.id, tracking.experiment))
        failed = any(outcome.status != "FINISHED" for outcome in outcomes)
        parent.status = "FAILED" if failed else "FINISHED"
    rows = level_rows(members)
    console.show_table(rows, outcomes, mlflow_page(tracking, settings.outputs))
    counts = Counter(outcome.origin or "failed" for outcome in outcomes)
    console.say(", ".join(f"{count} {origin}" for origin, count in counts.items()))
    if ledger:
        write_ledger(ledger, sweep.id, rows, outcomes)
    if settings.report and store.client is not None:
        report(store, parent.id)
    if failed:
        raise SystemExit(1)


def experiment_of(members: Sequence[Member], settings: Config) -> str:
    """One experiment for the whole sweep: a child elsewhere would not be shown below its parent."""
    names = {member.trial.config.tracking.experiment for member in members if member.trial}
    return "+".join(sorted(names)) or settings.tracking.experiment


class Sweep:
    """The members of one sweep, run by one process; others may run the same sweep beside it."""

    def __init__(
        self, store: Store, settings: Config, members: Sequence[Member], launch: Launch | None
    ) -> None:
        self.store, self.settings, self.launch = store, settings, launch
        self.members = list(members)
        self.id = digest(sorted(member.recipe for member in members))
        locks = store.outputs / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(locks / self.id[:32])  # of what a sweep has once: held for moments

    def open_parent(self, typed: Sequence[str]) -> writing.Run:
        """The sweep's run: the one that an earlier command left, or a new one."""
        with self.lock:
            known = [] if self.settings.fresh else reading.find(self.store, sweep=self.id)
            earlier = next((run for run in known if run.parent is None), None)
            if earlier is not None:
                parent = writing.again(self.store, earlier)
            else:
                family = {"sweep": self.id, "combinations": str(len(self.members))}
                tags = provenance.git() | family | {"command": " ".join(typed)}
                parent = writing.new(self.store, f"sweep of {len(self.members)}", tags)
            if earlier is None or not earlier.params:
                factors = varying(self.members)
                parent.describe({key: ", ".join(levels) for key, levels in factors.items()})
        return parent

    def run(self, family: Family) -> list[Outcome]:
        """An outcome for every member: from the record, refused, or by running it."""
        self.tally = console.Tally(len(self.members))
        adopted = [member.within(family, self.members) for member in self.members]
        children = reading.find(self.store, sweep=self.id)
        outcomes: list[Outcome | None] = [
            self.settle(member, children) if member.trial else None for member in adopted
        ]
        for outcome in filter(None, outcomes):
            self.tally.show(outcome)
        waiting = [index for index, outcome in enumerate(outcomes) if outcome is None]
        stopping = self.settings.on_failure == "stop"
        try:
            for batch in [[index] for index in waiting] if stopping else [waiting]:
                stopped = stopping and any(one and one.status != "FINISHED" for one in outcomes)
                members = [adopted[index] for index in batch]
                ended = [not_started(m) for m in members] if stopped else self.bring(members)
                for index, outcome in zip(batch, ended, strict=True):
                    outcomes[index] = outcome
        except KeyboardInterrupt:
            console.say(f"stopped after {self.tally.done} of {len(self.members)} combinations")
            raise
        complete = [outcome for outcome in outcomes if outcome is not None]
        for member, outcome in zip(adopted, complete, strict=True):
            if not outcome.run_id:
                outcome.run_id = self.record_refusal(member, outcome, family)
        return complete

    def settle(self, member: Member, children: Sequence[RecordedRun]) -> Outcome | None:
        """The outcome of a member whose result is on record; None for any other."""
        trial = member.trial
        assert trial is not None
        own = [run for run in children if run.tags.get("recipe") == member.recipe]
        progress = progress_of(trial, self.store, [run for run in own if run.is_result] or None)
        if progress.result is None:
            return None
        if not needs_copy(trial, progress.result):
            return replace(answer(trial, self.store, progress), error=None)
        with trial.trunk.lock(waiting=console.say):
            progress = progress_of(trial, self.store, locked=True)
            return replace(answer(trial, self.store, progress), error=None)

    def bring(self, members: Sequence[Member]) -> list[Outcome]:
        """Members to their ends, tried again as often as `retries` says."""
        outcomes: list[Outcome] = [refused(member) for member in members]
        waiting = [index for index, member in enumerate(members) if member.trial]
        for _ in range(self.settings.retries + 1):
            ended = self.attempt([members[index] for index in waiting])
            for index, outcome in zip(waiting, ended, strict=True):
                outcomes[index] = outcome
            waiting = [index for index in waiting if outcomes[index].retriable]
        return outcomes

    def attempt(self, members: Sequence[Member]) -> list[Outcome]:
        """Every member has an outcome, whatever becomes of its process."""
        trials = [member.trial for member in members if member.trial]
        if self.launch is None:
            return [self.tally.show(run_caught(trial)) for trial in trials]
        try:
            returned = list(self.launch([member.words for member in members]))
        except Exception as error:
            # a launcher that lost a worker gives up on all its jobs: one by one shows whose it was
            if len(members) > 1:
                return [outcome for member in members for outcome in self.attempt([member])]
            return [lost(member, reason(error)) for member in members]
        outcomes = [outcome_of(*pair) for pair in zip(members, returned, strict=False)]
        return outcomes + [lost(member, "no answer") for member in members[len(returned) :]]

    def record_refusal(self, member: Member, outcome: Outcome, family: Family) -> str:
        """A child for what could not even start, once however often the sweep is issued; its id."""
        with self.lock:
            known = reading.find(self.store, recipe=member.recipe, sweep=self.id)
            own = [run for run in known if run.parent == family.parent]
            if own:
                writing.mark_dead(self.store, own[-1], outcome.reason)
                return own[-1].id
            if member.trial is not None:
                run = open_run(member.trial, self.store, None, member.trial.actual)
            else:
                tags = {"mlflow.parentRunId": family.parent, "sweep": self.id}
                run = writing.new(self.store, outcome.name, tags | {"recipe": member.recipe})
                run.describe(member.levels)
            run.tag(failure=outcome.reason)
            run.status = "FAILED"
            run.end()
        return run.id


def refused(member: Member) -> Outcome:
    return Outcome(member.name, reason=member.reason)


def not_started(member: Member) -> Outcome:
    return Outcome(member.name, reason=member.reason or NOT_STARTED)


def lost(member: Member, why: str) -> Outcome:
    return Outcome(member.name, "LOST", reason=f"its process died ({why})", retriable=True)


def run_caught(trial: Trial) -> Outcome:
    """One member to its end. Raises no Exception: a failure is a result."""
    try:
        outcome = run_trial(trial, console.Display(brief=True))
    except Exception as error:
        expected = isinstance(error, ArithmeticError | BadInput)
        outcome = Outcome(trial.name, reason=reason(error), retriable=not expected)
    return replace(outcome, error=None)  # which may not travel between processes


def run_in_worker(combination: Combination) -> Outcome:
    """One member in a launcher's process."""
    try:
        trial = prepare(combination, Combination.compose)
    except Exception as error:
        return Outcome(" ".join(combination.typed), reason=reason(error))
    outcome = run_caught(trial)
    console.show_outcome(outcome)
    return outcome


def outcome_of(member: Member, returned: JobReturn) -> Outcome:
    """What a launched job gave; a job that did not end as one of ours counts as lost."""
    try:
        outcome = returned.return_value
    except Exception as error:
        return lost(member, reason(error))
    return outcome if isinstance(outcome, Outcome) else lost(member, f"it gave {outcome!r}")


def writable(file: Path) -> Path:
    """Raises BadInput now rather than when all is done."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a"):
            pass
    except OSError as error:
        raise BadInput(f"ledger={file}: allowed is a file to write ({error.strerror})") from error
    return file


def write_ledger(
    file: Path,
    sweep: str,
    rows: Iterable[Mapping[str, str]],
    outcomes: Iterable[Outcome],
) -> None:
    """The sweep's results without times: the same sweep gives the same file."""
    runs = [
        {**row, "validation": one.validation, "test": one.test, "status": one.status}
        for row, one in zip(rows, outcomes, strict=True)
    ]
    write_atomically(file, (json.dumps({"sweep": sweep, "runs": runs}, indent=1) + "\n").encode())


def report(store: Store, parent: str) -> None:
    """The sweep compared; what is recorded stays, whatever keeps it from being compared."""
    # here: seconds of imports that training does not need
    from factorial.comparison.report import publish
    from factorial.record.selection import of_sweep

    try:
        publish(store, of_sweep(store, parent))
    except (BadInput, OSError) as error:
        console.warn(f"no report: {reason(error)}")
