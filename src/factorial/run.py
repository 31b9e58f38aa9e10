"""One combination, brought to its end: answered from the record, gone on with, or trained."""

import logging
import time

from safetensors.torch import save

from factorial import checkpoint, console, data, predictions, record, store, trainer
from factorial.checkpoint import Position
from factorial.combination import Combination
from factorial.errors import reason
from factorial.grid import Job
from factorial.outcome import Epoch, Evaluation, Outcome
from factorial.plan import show_plan
from factorial.prepare import Ready, prepare
from factorial.progress import answer, open_run, standing
from factorial.signals import Stop, stoppable

log = logging.getLogger(__name__)


def alone(asked: Combination) -> Outcome | None:
    """Bring one combination to its end and show it. Raises whatever goes wrong."""
    ready = prepare(asked, Combination.compose)
    if ready.config.plan:
        show_plan([Job(asked.typed, ready)], ready.config)
        return None
    outcome = execute(ready, console.Display(brief=False))
    if outcome.error is not None:
        raise outcome.error
    page = store.page(ready.config.tracking, ready.config.outputs)
    console.show_end(outcome, ready.recipe.id, ready.asked.choices["data"], page)
    return outcome


def execute(ready: Ready, display: console.Display) -> Outcome:
    """Bring a combination to its end.

    Raises BadInput before anything is recorded, and whatever stops it; what fails it later is in
    the outcome.
    """
    where = store.open_store(ready.config.tracking, ready.config.outputs)
    now = standing(ready, where)
    if now.kind == "cached":
        return answer(ready, where, now)
    splits = data.load(ready.config.data, ready.device)
    with ready.trunk.lock(waiting=console.say):
        now = standing(ready, where)  # another process may have come first
        if now.kind == "cached":
            return answer(ready, where, now)
        run = open_run(ready, where, now.mine)
        outcome = Outcome(ready.name, run=run.id, folder=run.folder)
        try:
            with record.recording(run), stoppable() as stop:
                train(ready, splits, run, outcome, display, stop)
        except Exception as error:
            outcome.reason, outcome.error = reason(error), error
        return outcome


def train(
    ready: Ready,
    splits: data.Data,
    run: record.Run,
    outcome: Outcome,
    display: console.Display,
    stop: Stop,
) -> None:
    """Train from the furthest state there is, keep states on the way, evaluate at the end."""
    config, trunk = ready.config, ready.trunk
    state = trainer.start(config, ready.device)
    rows = go_on(ready, state, run, outcome)
    saved = time.monotonic()
    with display.training(ready.name, config.epochs.count) as line:
        for row in trainer.fit(state, splits, config):
            if row is not None:
                row = row._replace(weights=checkpoint.digest(state.model.state_dict()))
                rows.append(row)
                run.log_rows(rows)
                log.info(line.epoch(row))
            ends = row is not None and row.epoch in (*config.keep, config.epochs.count)
            if ends or stop.wanted or time.monotonic() - saved > config.cadence:
                tree = {"state": state.tree(), "rows": rows, "run": run.id}
                trunk.save(Position(state.epoch, state.batch), tree, kept=ends)
                saved = time.monotonic()
            stop.now_if_wanted()
    held_out = run.rows[-1].validation
    outcome.validation = held_out.accuracy if held_out else None
    outcome.seconds = sum(row.seconds for row in run.rows)
    closing, logits = trainer.final(state.model, splits.test, config)
    run.conclude(closing | trainer.best(run.rows) | {"train/seconds": outcome.seconds})
    weights = {name: value.cpu().contiguous() for name, value in state.model.state_dict().items()}
    checkpoint.replace(run.folder / "weights.safetensors", save(weights))
    seen = (logits, splits.test.labels, splits.test.images)
    packed = predictions.pack(*(tensor.cpu().numpy() for tensor in seen))
    checkpoint.replace(run.folder / predictions.FILE, packed)
    outcome.status, outcome.test = "FINISHED", closing["test/accuracy"]


def go_on(ready: Ready, state: trainer.State, run: record.Run, outcome: Outcome) -> list[Epoch]:
    """Restore the furthest state into `state`, say so on record; the rows behind it."""
    outcome.origin = "new"
    found = None if ready.config.fresh else ready.trunk.load(ready.config.epochs.count)
    if found is None:
        return []
    where, tree = found
    state.restore(tree["state"])
    if tree["run"] == run.id:
        outcome.origin = "resumed"
        run.tag(resumed_from_epoch=str(where.epoch))
    else:
        outcome.origin = "continued"
        run.tag(continued_from=tree["run"])
    rows = [
        Epoch(epoch, loss, held_out and Evaluation(*held_out), seconds, tuple(gradients), weights)
        for epoch, loss, held_out, seconds, gradients, weights in tree["rows"]
    ]
    run.log_rows(rows)
    log.info("%s from epoch %d, batch %d, of run %s", outcome.origin, *where, tree["run"])
    return rows
