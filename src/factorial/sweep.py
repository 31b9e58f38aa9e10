"""A sweep: every combination, one parent run, one child each, one table at the end."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hydra.core.utils import JobReturn
from omegaconf import DictConfig, OmegaConf

from factorial import console, history, provenance, record, store
from factorial.checkpoint import replace as replace_file
from factorial.combination import Combination
from factorial.config import BadInput, Config, parse
from factorial.errors import reason
from factorial.grid import Compose, Job, check, level_row, varying
from factorial.history import Past
from factorial.outcome import Outcome
from factorial.plan import show_plan
from factorial.prepare import Ready, prepare
from factorial.progress import answer, open_run, standing
from factorial.recipe import digest
from factorial.run import execute
from factorial.store import Store

Launch = Callable[[list[list[str]]], Sequence[JobReturn]]


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
    jobs = [check(words, compose) for words in grid]
    if settings.plan:
        show_plan(jobs, settings)
        return
    reasons = {job.reason for job in jobs}
    if len(reasons) == 1 and not any(job.ready for job in jobs):
        raise BadInput(f"no combination can start: {reasons.pop()}")
    tracking = replace(settings.tracking, experiment=experiment_of(jobs, settings))
    where = store.open_store(tracking, settings.outputs)
    identity = digest(sorted(job.recipe for job in jobs))
    with record.recording(open_parent(where, identity, jobs, typed, settings.fresh)) as parent:
        console.say(f"sweep {identity[:8]}: {len(jobs)} combinations, parent run {parent.id}")
        family = {"parent": parent.id, "sweep": identity, "experiment": tracking.experiment}
        outcomes = run_all(jobs, family, settings, where, launch)
        failed = any(outcome.status != "FINISHED" for outcome in outcomes)
        parent.status = "FAILED" if failed else "FINISHED"
    rows = [level_row(job, jobs) for job in jobs]
    console.show_table(rows, outcomes, store.page(tracking, settings.outputs))
    counts = Counter(outcome.origin or "failed" for outcome in outcomes)
    console.say(", ".join(f"{count} {origin}" for origin, count in counts.items()))
    if settings.ledger is not None:
        write_ledger(Path(settings.ledger), identity, rows, outcomes)
    if settings.report and where.client is not None:
        report(where, parent.id)
    if failed:
        raise SystemExit(1)


def write_ledger(
    file: Path, identity: str, rows: Sequence[Mapping[str, str]], outcomes: Sequence[Outcome]
) -> None:
    """The sweep's results without times: the same sweep gives the same file."""
    runs = [
        {**row, "validation": one.validation, "test": one.test, "status": one.status}
        for row, one in zip(rows, outcomes, strict=True)
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_file(file, (json.dumps({"sweep": identity, "runs": runs}, indent=1) + "\n").encode())


def report(where: Store, parent: str) -> None:
    """The sweep compared; what is recorded stays, whatever keeps it from being compared."""
    from factorial import report, selection  # here: seconds of imports that training does not need

    try:
        report.publish(where, selection.of_sweep(where, parent))
    except (BadInput, OSError) as error:
        console.warn(f"no report: {reason(error)}")


def experiment_of(jobs: Sequence[Job], settings: Config) -> str:
    """One experiment for the whole sweep: a child elsewhere would not be shown below its parent."""
    names = {job.ready.config.tracking.experiment for job in jobs if job.ready}
    return "+".join(sorted(names)) or settings.tracking.experiment


def open_parent(
    where: Store, identity: str, jobs: Sequence[Job], typed: Sequence[str], fresh: bool
) -> record.Run:
    """The sweep's run: the one that an earlier command with the same combinations left, or new."""
    known = [] if fresh else history.find(where, sweep=identity)
    parents = [past for past in known if past.parent is None]
    if parents:
        parent = record.again(where, parents[0])
    else:
        family = {"sweep": identity, "combinations": str(len(jobs))}
        tags = provenance.git() | family | {"command": " ".join(typed)}
        parent = record.new(where, f"sweep of {len(jobs)}", tags)
    if not parents or not parents[0].params:
        parent.describe({key: ", ".join(values) for key, values in varying(jobs).items()})
    return parent


def run_all(
    jobs: Sequence[Job],
    family: Mapping[str, str],
    settings: Config,
    where: Store,
    launch: Launch | None,
) -> list[Outcome]:
    """An outcome for every job: from the record, refused, or launched."""
    children = history.find(where, sweep=family["sweep"])
    known = [settled(job, family, where, children) for job in jobs]
    outcomes = {index: outcome for index, outcome in enumerate(known) if outcome is not None}
    waiting = [index for index, outcome in enumerate(known) if outcome is None]
    for _ in range(settings.retries + 1):
        members = [member(jobs[index], jobs, family) for index in waiting]
        launched = launch_all(members, settings.on_failure == "stop", launch)
        outcomes |= dict(zip(waiting, launched, strict=True))
        waiting = [i for i in waiting if not outcomes[i].run]  # whose process died
        if not waiting or settings.on_failure == "stop":
            break
    for index, outcome in outcomes.items():
        if not outcome.run:
            outcome.run = record_refusal(jobs[index], outcome, family, where)
    return [outcomes[index] for index in range(len(jobs))]


def settled(
    job: Job, family: Mapping[str, str], where: Store, children: Sequence[Past]
) -> Outcome | None:
    """What needs no process of its own: a refused combination, or one whose result is on record."""
    if job.ready is None:
        return Outcome(" ".join(job.words), reason=job.reason)
    job.ready.config.tracking.parent = family["parent"]
    job.ready.config.tracking.sweep = family["sweep"]
    mine = [past for past in children if past.tags.get("recipe") == job.recipe and past.is_result]
    now = standing(job.ready, where, mine or None)
    return replace(answer(job.ready, where, now), error=None) if now.kind == "cached" else None


def launch_all(waiting: Sequence[Job], stop: bool, launch: Launch | None) -> list[Outcome]:
    """Launch jobs: all at once or, where the first failure is to `stop` them, one by one."""
    outcomes: list[Outcome] = []
    for batch in [[job] for job in waiting] if stop else [list(waiting)]:
        if stop and any(each.status != "FINISHED" for each in outcomes):
            reason = "not started: an earlier run failed, and on_failure=stop"
            outcomes += [Outcome(" ".join(job.words), reason=reason) for job in batch]
        elif batch:
            outcomes += launch_batch(batch, launch)
    return outcomes


def launch_batch(batch: Sequence[Job], launch: Launch | None) -> list[Outcome]:
    """Every job has an outcome, whatever becomes of its process."""
    if launch is None:
        return [bring(job.ready) for job in batch if job.ready]
    try:
        returned = iter(launch([job.words for job in batch]))
        broken = "its process died"
    except Exception as error:  # a launcher that lost a worker gives up on all its jobs
        returned, broken = iter([]), f"its process died ({reason(error)})"
    lost = [Outcome(" ".join(job.words), reason=broken) for job in batch]
    return [outcome_of(next(returned, None), otherwise) for otherwise in lost]


def outcome_of(returned: JobReturn | None, otherwise: Outcome) -> Outcome:
    try:
        return otherwise if returned is None else returned.return_value
    except Exception as error:
        return replace(otherwise, reason=reason(error))


def member(job: Job, jobs: Sequence[Job], family: Mapping[str, str]) -> Job:
    """A job as one of the sweep: with its parent, and with what it keeps for the others.

    A longer run leaves its shorter siblings' final states behind on its way.
    """
    ready = job.ready
    assert ready is not None
    lengths = {
        other.ready.config.epochs.count
        for other in jobs
        if other.ready and other.ready.recipe.trunk == ready.recipe.trunk
    }
    keep = sorted(length for length in lengths if length < ready.config.epochs.count)
    settings = {f"tracking.{key}": value for key, value in family.items()} | {"keep": keep}
    composed = ready.asked.composed.copy()
    for key, value in settings.items():
        OmegaConf.update(composed, key, value)
    words = [f"{key}={value!r}".replace(" ", "") for key, value in settings.items()]
    asked = ready.asked._replace(composed=composed)
    return Job([*job.words, *words], ready._replace(asked=asked, config=asked.config))


def attempt(asked: Combination) -> Outcome:
    """One job in a launcher's process. Never raises an Exception: a failure is a result."""
    try:
        return bring(prepare(asked, Combination.compose))
    except Exception as error:
        return Outcome(" ".join(asked.typed), reason=reason(error))


def bring(ready: Ready) -> Outcome:
    """One combination to its end, tried again as often as `retries` says. Raises no Exception."""
    for _ in range(ready.config.retries + 1):
        try:
            outcome = execute(ready, console.Display(brief=True))
        except Exception as error:
            outcome = Outcome(ready.name, reason=reason(error), error=error)
        if outcome.error is None or isinstance(outcome.error, ArithmeticError | BadInput):
            break
    console.show_outcome(outcome)
    return replace(outcome, error=None)


def record_refusal(job: Job, outcome: Outcome, family: Mapping[str, str], where: Store) -> str:
    """A child for what could not even start, once however often the sweep is issued; its id."""
    known = history.find(where, recipe=job.recipe, sweep=family["sweep"])
    mine = [past for past in known if past.parent == family["parent"]]
    if mine:
        record.mark_dead(where, mine[-1], outcome.reason)
        return mine[-1].id
    if job.ready is not None:
        run = open_run(job.ready, where, None)
    else:
        tags = {"mlflow.parentRunId": family["parent"], "sweep": family["sweep"]}
        run = record.new(where, outcome.name, tags | {"recipe": job.recipe})
        run.describe(job.levels)
    run.tag(failure=outcome.reason)
    run.status = "FAILED"
    run.end()
    return run.id
