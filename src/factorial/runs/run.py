"""One combination, brought to its end: answered from the record, gone on with, or trained."""

import contextlib
import json
import logging
import time
from collections.abc import Iterator

from safetensors.torch import save

from factorial import console
from factorial.record import spool, writing
from factorial.record.files import write_atomically
from factorial.record.store import Store, address, knock, mlflow_page, open_store
from factorial.results import Diverged, Epoch, Outcome, Position
from factorial.runs import predicting
from factorial.runs.members import Member
from factorial.runs.plan import show_plan
from factorial.runs.progress import (
    WEIGHTS,
    Progress,
    answer,
    needs_copy,
    open_run,
    progress_of,
    write_origin,
)
from factorial.runs.signals import Stop, stoppable
from factorial.runs.trial import Trial, prepare
from factorial.settings.combination import Combination
from factorial.settings.messages import BadInput, reason
from factorial.settings.schema import Config
from factorial.training import data, environment, rehearsal, stopping, trainer

log = logging.getLogger(__name__)


def run_alone(combination: Combination) -> Outcome | None:
    """Bring one combination to its end and show it. Raises whatever goes wrong."""
    trial = prepare(combination, Combination.compose)
    console.warn(*trial.warnings)
    console.note(*trial.notes)
    if trial.config.plan:
        show_plan([Member(combination.typed, trial)], trial.config)
        return None
    outcome = run_trial(trial, console.Display(brief=False))
    if outcome.error is not None:
        raise outcome.error
    page = mlflow_page(trial.config.tracking, trial.config.outputs)
    console.show_end(outcome, trial.recipe.id, trial.combination.option("data"), page)
    return outcome


def reach(config: Config) -> Store:
    """The record's store, told what waits for it. Raises BadInput where its server does not answer
    now."""
    store = open_store(config.tracking, config.outputs)
    if store.is_remote:
        knock(address(config.tracking, store.outputs))
        for file, why in spool.deliver(store).left.items():
            console.warn(f"what waits in {file} was not delivered ({why}); delete it to give it up")
    return store


def run_trial(trial: Trial, display: console.Display) -> Outcome:
    """Bring a combination to its end.

    Raises BadInput before anything is recorded, and whatever stops it; what fails it later is in
    the outcome.
    """
    store = reach(trial.config)
    progress = progress_of(trial, store)
    if progress.result is not None and not needs_copy(trial, progress.result):
        return answer(trial, store, progress)
    with trial.trunk.lock(waiting=console.say):
        progress = progress_of(trial, store, locked=True)  # another process may have come first
        if progress.result is not None:
            return answer(trial, store, progress)
        return execute(trial, store, progress, display)


def execute(trial: Trial, store: Store, progress: Progress, display: console.Display) -> Outcome:
    """Train it, with its trunk locked, and record how it ends."""
    environment.enter(trial.config.device)
    splits = data.load(trial.config.data, trial.device)
    rehearsal.rehearse(trial.config, trial.device)
    run = open_run(trial, store, progress.left, trial.actual)
    outcome = Outcome(trial.name, run_id=run.id, folder=run.folder)
    try:
        with writing.recording(run), stoppable() as stop:
            write_origin(run)
            run.write("data.json", json.dumps(splits.document(), indent=1))
            train(trial, splits, run, outcome, display, stop)
    except Exception as error:
        outcome.status, outcome.reason, outcome.error = "FAILED", reason(error), error
        outcome.retriable = is_retriable(error)
    return outcome


def is_retriable(error: Exception) -> bool:
    """Whether another try may end better: not where it diverged, or was refused."""
    return not isinstance(error, Diverged | BadInput)


def train(
    trial: Trial,
    splits: data.Data,
    run: writing.Run,
    outcome: Outcome,
    display: console.Display,
    stop: Stop,
) -> None:
    """Train from the furthest state there is: record each epoch, keep states on the way, finish."""
    state = trainer.start(trial.config, trial.device)
    keeper = Keeper(trial, state, run.id, go_on(trial, state, run, outcome))
    with display.training(trial.name, trial.config.epochs.count) as line:
        for event in trainer.fit(state, splits, trial.config):
            if isinstance(event, Epoch):
                with keeper.rescuing(event):
                    run.log_rows([event])
                log.info(line.epoch(event))
            keeper.keep(event, stop.wanted)
            stop.now_if_wanted()
    finish(trial, state, splits, run, outcome)


def go_on(trial: Trial, state: trainer.State, run: writing.Run, outcome: Outcome) -> list[Epoch]:
    """Restore the furthest state into `state`, say so on record; the rows that are behind it."""
    outcome.origin = "new"
    kept = None if trial.config.fresh else trial.trunk.load(trial.config.epochs.count)
    if kept is None:
        return []
    position, tree = kept
    state.restore(tree["state"])
    if tree["run"] == run.id:
        outcome.origin = "resumed"
        run.tag(resumed_from_epoch=str(position.epoch))
    else:
        outcome.origin = "continued"
        run.tag(continued_from=tree["run"])
    rows = [Epoch.of(row) for row in tree["rows"]]
    run.log_rows(rows)
    log.info("%s from epoch %d, batch %d, of run %s", outcome.origin, *position, tree["run"])
    return rows


class Keeper:
    """Keeps states of a run: where it ends, where another will, when stopped, and now and then."""

    def __init__(self, trial: Trial, state: trainer.State, run_id: str, rows: list[Epoch]) -> None:
        """`rows` are of the epochs that `state` has behind it."""
        self.trial, self.state, self.run_id, self.rows = trial, state, run_id, rows
        self.ends = {*trial.config.keep, trial.config.epochs.count}
        self.saved = time.monotonic()

    def keep(self, event: Position | Epoch, leaving: bool) -> None:
        """A state after this event, where one is due. Raises OSError where there is no room."""
        final = isinstance(event, Epoch) and self.is_end(event)
        if final or leaving or time.monotonic() - self.saved > self.trial.config.cadence:
            self.save(final)

    def is_end(self, row: Epoch) -> bool:
        """Whether a run ends behind this epoch: this one or another, by its length or stopped."""
        return row.epoch in self.ends or stopping.is_over(self.state.scores, self.trial.config)

    @contextlib.contextmanager
    def rescuing(self, row: Epoch) -> Iterator[None]:
        """Where an epoch can't be recorded a state with it is kept before leaving."""
        self.rows.append(row)
        try:
            yield
        except OSError:
            with contextlib.suppress(OSError):  # the same disk may be full
                self.save(final=False)
            raise

    def save(self, final: bool) -> None:
        rows = [row.document() for row in self.rows]
        tree = {"state": self.state.tree(), "rows": rows, "run": self.run_id}
        self.trial.trunk.save(self.state.position, tree, final)
        self.saved = time.monotonic()


def finish(
    trial: Trial, state: trainer.State, splits: data.Data, run: writing.Run, outcome: Outcome
) -> None:
    """Evaluate on the test set and write what remains: files first, closing metrics last."""
    rows = run.rows
    held_out = rows[-1].validation
    outcome.validation = held_out.accuracy if held_out else None
    outcome.seconds = sum(row.seconds for row in rows)
    closing, logits = trainer.final(state.evaluated, splits.test, trial.config)
    model = state.evaluated.state_dict()
    # copies, for what layers share safetensors would refuse
    weights = {name: value.cpu().contiguous().clone() for name, value in model.items()}
    write_atomically(run.folder / WEIGHTS, save(weights))
    for name, packed in predicting.files(state.evaluated, splits, logits, trial.config).items():
        write_atomically(run.folder / name, packed)
    ended = trainer.best(rows) | stopping.outcome(rows, trial.config)
    run.conclude(closing | ended | {"train/seconds": outcome.seconds})
    if why := stopping.said(rows, trial.config):
        run.tag(stopped=why)
        log.info("stopped %s", why)
        outcome.stopped = why
    outcome.status, outcome.test = "FINISHED", closing["test/accuracy"]
