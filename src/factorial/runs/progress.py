"""What the record says of a combination: how far it is, and its result where it has one."""

import json
from collections.abc import Sequence
from typing import Literal, NamedTuple

from omegaconf import OmegaConf

from factorial.record import provenance, reading, writing
from factorial.record.reading import RecordedRun
from factorial.record.store import Store
from factorial.results import Outcome
from factorial.runs.trial import Trial
from factorial.training import data, sizes, trainer


class Progress(NamedTuple):
    """How far a combination is on record, and what remains to be done."""

    state: Literal["new", "continues", "resumes", "cached"]
    epoch: int = 0
    result: RecordedRun | None = None  # the run that has it
    own: RecordedRun | None = None  # the run that this command has for it already

    def __str__(self) -> str:
        if self.state == "resumes":
            return f"resumes in epoch {self.epoch + 1}"
        return f"continues the {self.epoch}-epoch run" if self.state == "continues" else self.state


def progress_of(
    trial: Trial, store: Store, known: Sequence[RecordedRun] | None = None, locked: bool = False
) -> Progress:
    """How far a combination is, by the record and the checkpoints; neither is changed.

    `known` are the recorded runs of its recipe, where a caller has them already. Its own result
    comes before another's, an own run that was left behind is gone on with: with its trunk `locked`
    no other process can be writing it, whatever its status says.
    """
    if trial.config.fresh:
        return Progress("new")
    known = reading.find(store, recipe=trial.recipe.id) if known is None else known
    known = [run for run in known if is_same_place(run, trial)]
    own = [run for run in known if run.parent == trial.config.tracking.parent]
    for run in (*own, *known):
        if run.is_result:
            return Progress("cached", result=run, own=next(iter(own), None))
    abandoned = next(
        (run for run in reversed(own) if is_left(run, store, locked) and ran_here(run, trial)), None
    )
    positions = trial.trunk.positions(trial.config.epochs.count)
    if not positions:
        return Progress("new", own=abandoned)
    return Progress("resumes" if abandoned else "continues", positions[0][0].epoch, own=abandoned)


def is_same_place(run: RecordedRun, trial: Trial) -> bool:
    """Whether a run is at the level of `threads` that was asked for; any is where none was."""
    asked = trial.config.device.threads
    return asked is None or run.params.get("threads", str(asked)) == str(asked)


def ran_here(run: RecordedRun, trial: Trial) -> bool:
    """Whether a run has on record where this one will run: a param is written once."""
    return all(run.params.get(key, value) == value for key, value in trial.actual.items())


def is_left(run: RecordedRun, store: Store, locked: bool) -> bool:
    """Whether nobody is writing a run that has no result."""
    return (locked and not store.is_remote) or run.is_abandoned


def answer(trial: Trial, store: Store, progress: Progress) -> Outcome:
    """The outcome of a combination whose result is on record.

    A sweep gets a child all the same, which has to be recorded with the trunk locked.
    """
    result = progress.result
    assert result is not None
    outcome = Outcome(trial.name, run_id=result.id, origin="cached")
    outcome.folder = store.outputs / "runs" / result.id / "artifacts"
    if needs_copy(trial, result):
        outcome.run_id = record_copy(trial, store, result, progress.own)
    outcome.validation = result.metrics.get("validation/accuracy")
    outcome.seconds = result.metrics.get("train/seconds", 0.0)
    if result.status == "FINISHED":
        outcome.status, outcome.test = "FINISHED", result.metrics["test/accuracy"]
    else:
        outcome.reason = result.tags["failure"]
        outcome.error = trainer.Diverged(f"{outcome.reason} (on record as run {result.id})")
    return outcome


def needs_copy(trial: Trial, result: RecordedRun) -> bool:
    return trial.config.tracking.parent not in (None, result.parent)


def record_copy(trial: Trial, store: Store, result: RecordedRun, own: RecordedRun | None) -> str:
    """A sweep's child for a result that another run gave, so that the sweep is complete; its id."""
    actual = {key: result.params[key] for key in trial.actual if key in result.params}
    run = open_run(trial, store, own, actual)
    extra = {key: result.tags[key] for key in ("failure", "diverged") if key in result.tags}
    run.tag(cached=result.id, **extra)
    run.log_rows(reading.rows(store, result))
    run.conclude({k: v for k, v in result.metrics.items() if not reading.is_curve(k)})
    run.status = result.status
    run.end()
    return run.id


def open_run(
    trial: Trial, store: Store, abandoned: RecordedRun | None, actual: dict[str, str]
) -> writing.Run:
    """A new run, described, or an abandoned one opened again. `actual` is where it really runs."""
    if abandoned is None:
        run = writing.new(store, trial.name, tags(trial))
    else:
        run = writing.again(store, abandoned)
    if abandoned is None or not abandoned.params:
        run.describe(trial.combination.params() | actual, described(trial))
    OmegaConf.save(trial.combination.composed, run.folder / "config.yaml", resolve=True)
    run.write("overrides.txt", "".join(f"{word}\n" for word in trial.combination.typed))
    run.write("recipe.json", json.dumps(trial.recipe.document, indent=1))
    run.write("provenance.json", json.dumps(provenance.capture(), indent=1))
    if provenance.patch():
        run.write("git.patch", provenance.patch())
    return run


def described(trial: Trial) -> writing.DataSet:
    settings = trial.config.data
    examples = {
        "train": sizes.training_examples(settings),
        "validation": sizes.validation_examples(settings),
        "test": data.test_examples(settings),
    }
    return writing.DataSet(settings.name, data.digest(settings), examples)


def tags(trial: Trial) -> dict[str, str]:
    family = {
        "mlflow.parentRunId": trial.config.tracking.parent,
        "sweep": trial.config.tracking.sweep,
    }
    identity = {"recipe": trial.recipe.id, "trunk": trial.recipe.trunk}
    return provenance.git() | identity | {key: value for key, value in family.items() if value}
