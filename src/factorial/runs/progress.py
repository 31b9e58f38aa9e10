"""What the record says of a combination: how far it is, and its result where it has one."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from filelock import FileLock
from omegaconf import OmegaConf

from factorial import console
from factorial.record import labels, predictions, provenance, reading, writing
from factorial.record.entries import DataSet
from factorial.record.reading import RecordedRun
from factorial.record.store import Store, artifact
from factorial.results import Diverged, Outcome
from factorial.runs.trial import Trial
from factorial.settings.recipe import one_spelling
from factorial.settings.rules import is_number
from factorial.training import data, sizes

WEIGHTS = "weights.safetensors"
CLOSING = ("stopped", "failure", "diverged")  # tags that say how a run ended
ORIGINS = ("provenance.json", "git.patch")  # where a result came from, among a run's files


class Progress(NamedTuple):
    """How far a combination is on record, and what remains to be done."""

    state: Literal["new", "continues", "resumes", "cached"]
    epoch: int = 0
    result: RecordedRun | None = None  # the run that has it
    left: RecordedRun | None = None  # an own run that was left behind, to be gone on with

    def __str__(self) -> str:
        if self.state == "resumes":
            return f"resumes after epoch {self.epoch}"
        return f"continues the {self.epoch}-epoch run" if self.state == "continues" else self.state


def progress_of(
    trial: Trial, store: Store, known: Sequence[RecordedRun] | None = None, locked: bool = False
) -> Progress:
    """How far a combination is, by the record and the checkpoints; neither is changed.

    `known` are the recorded runs of its recipe, where a caller has them already. Its own result
    comes before another's; an own run that was left behind, and ran where this one will, is gone on
    with. `locked` says that its trunk's lock is held.
    """
    known = reading.find(store, recipe=trial.recipe.id) if known is None else known
    own = own_runs(trial, known)
    others = [] if trial.config.fresh else [run for run in known if is_same_level(run, trial)]
    result = next((run for run in (*own, *others) if run.is_result), None)
    place = trial.actual if result is None else place_of(result, trial)
    behind = [run for run in left_behind(own, store, locked) if agrees(run, place)]
    left = behind[-1] if behind else None
    if result is not None:
        return Progress("cached", result=result, left=left)
    states = [] if trial.config.fresh else trial.trunk.positions(trial.config.epochs.count)
    if not states:
        return Progress("new", left=left)
    return Progress("resumes" if left else "continues", states[0][0].epoch, left=left)


def own_runs(trial: Trial, known: Sequence[RecordedRun]) -> list[RecordedRun]:
    """Those that this command has for a combination already, within its sweep or on its own.

    A fresh sweep has a new parent: what lies below that is its own. A fresh single run has none.
    """
    parent = trial.config.tracking.parent
    if trial.config.fresh and parent is None:
        return []
    mine = [run for run in known if run.parent == parent and is_same_level(run, trial)]
    return [run for run in mine if not run.params or says_the_same(run, trial)]


def is_same_level(run: RecordedRun, trial: Trial) -> bool:
    """Whether a run is at the level of `threads` that was asked for; any is where none was."""
    asked = trial.config.device.threads
    return asked is None or run.params.get("threads", str(asked)) == str(asked)


def says_the_same(run: RecordedRun, trial: Trial) -> bool:
    """Whether a run has every setting on record as it was asked for, but for where it ran.

    One recipe may be asked for in two ways: an incomplete batch that is dropped where there is
    none, an argument that equals its default. Each is on record as it was typed.
    """
    asked = {k: v for k, v in trial.combination.params().items() if k not in trial.actual}
    written = {k: v for k, v in run.params.items() if k not in trial.actual}
    return asked.keys() == written.keys() and all(
        written[key] in spellings(value) for key, value in asked.items()
    )


def spellings(value: Any) -> set[str]:
    """How a param may say a value: 0.0 is 0."""
    if not is_number(value):
        return {str(value)}
    return {str(value), str(float(value)), str(one_spelling(value))}


def place_of(result: RecordedRun, trial: Trial) -> dict[str, str]:
    """Where a recorded run really ran."""
    return {key: result.params[key] for key in trial.actual if key in result.params}


def agrees(run: RecordedRun, place: Mapping[str, str]) -> bool:
    """Whether a run has that place on record, or none yet: a param is written once."""
    return all(run.params.get(key, value) == value for key, value in place.items())


def left_behind(own: Sequence[RecordedRun], store: Store, locked: bool) -> list[RecordedRun]:
    """The runs without a result that nobody is writing.

    With their trunk `locked` that is every one whose folder lies here, for it was written under
    this lock, whatever its status or its host's name says.
    """
    here = store.outputs / "runs"
    return [
        run
        for run in own
        if not run.is_result
        and (run.is_abandoned or (locked and (not store.is_remote or (here / run.id).is_dir())))
    ]


def answer(trial: Trial, store: Store, progress: Progress) -> Outcome:
    """The outcome of a combination whose result is on record.

    A sweep gets a child all the same, which has to be recorded with the trunk locked.
    """
    result = progress.result
    assert result is not None
    outcome = Outcome(trial.name, run_id=result.id, origin="cached")
    outcome.folder = store.outputs / "runs" / result.source / "artifacts"
    if needs_copy(trial, result):
        outcome.run_id = record_copy(trial, store, result, progress.left)
    else:
        call(trial, store, result)
    outcome.validation = result.metrics.get("validation/accuracy")
    outcome.seconds = result.metrics.get("train/seconds", 0.0)
    outcome.stopped = result.tags.get("stopped", "")
    if result.status == "FINISHED":
        outcome.status, outcome.test = "FINISHED", result.metrics["test/accuracy"]
        warn_of_missing_files(store, result)
    else:
        outcome.reason = result.tags["failure"]
        outcome.error = Diverged(f"{outcome.reason} (on record as run {result.id})")
    return outcome


def warn_of_missing_files(store: Store, result: RecordedRun) -> None:
    """A server is not asked: it would send them."""
    folder = store.outputs / "runs" / result.source / "artifacts"
    gone = [name for name in (WEIGHTS, predictions.FILE) if not (folder / name).is_file()]
    if gone and not store.is_remote:
        console.warn(
            f"run {result.source} answers, but {' and '.join(gone)} are gone from its folder: "
            f"fresh=true makes them again"
        )


def needs_copy(trial: Trial, result: RecordedRun) -> bool:
    elsewhere = trial.config.tracking.parent not in (None, result.parent)
    return elsewhere or not says_the_same(result, trial)


def record_copy(trial: Trial, store: Store, result: RecordedRun, left: RecordedRun | None) -> str:
    """A sweep's child for a result that another run gave, so that the sweep is complete; its id.

    It says where and by which code that run was made, not where it was copied.
    """
    made = {key: value for key, value in result.tags.items() if key.startswith("git.")}
    run = open_run(trial, store, left, place_of(result, trial), {"cached": result.source, **made})
    with contextlib.closing(run):
        for name in ORIGINS:
            if (file := artifact(store, result.source, name)) is not None:
                run.write(name, file.read_text())
        run.log_rows(reading.rows(store, result))
        run.conclude({k: v for k, v in result.metrics.items() if not reading.is_curve(k)})
        # last, for with these it counts as a result
        run.tag(**{key: result.tags[key] for key in CLOSING if key in result.tags})
        run.status = result.status
        run.end()
    return run.id


def open_run(
    trial: Trial,
    store: Store,
    left: RecordedRun | None,
    place: Mapping[str, str],
    origin: Mapping[str, str] = MappingProxyType({}),
) -> writing.Run:
    """A new run, described, or one that was left behind opened again. `place` is where it runs,
    `origin` are tags that say where its result is from, where that is not this checkout."""
    if left is None:
        run = writing.new(store, trial.config.labels.name or trial.name, tags(trial, origin))
    else:
        run = writing.again(store, left)
    try:
        if left is not None:
            run.tag(**origin)
            call(trial, store, left)
        if left is None or not left.params:
            # two that add one data set to MLflow at the same moment: one of them fails
            with FileLock(store.outputs / ".mlflow.lock"):
                run.describe(trial.combination.params() | dict(place), described(trial))
        OmegaConf.save(trial.combination.composed, run.folder / "config.yaml", resolve=True)
        run.write("overrides.txt", "".join(f"{word}\n" for word in trial.combination.typed))
        run.write("recipe.json", json.dumps(trial.recipe.document, indent=1))
    except BaseException:
        run.close()
        raise
    return run


def call(trial: Trial, store: Store, run: RecordedRun) -> None:
    """Put what was typed on a run that is on record already. Raises OSError.

    A sweep's runs are its own: the last word on them counts. Any other run may be somebody else's,
    who looks for it under the name that it has.
    """
    if trial.config.tracking.parent is not None:
        labels.replace(store, run, trial.config.labels)
        return
    added, kept = labels.add(store, run, trial.config.labels)
    said = [f"{', '.join(added)} added"] if added else []
    said += [f"it keeps {', '.join(kept)}, which MLflow's page can change"] if kept else []
    if said:
        console.say(f"run {run.id}: {'; '.join(said)}")


def write_origin(run: writing.Run) -> None:
    """The code and the machine of a run that is about to be trained."""
    run.write("provenance.json", json.dumps(provenance.capture(), indent=1))
    if provenance.patch():
        run.write("git.patch", provenance.patch())


def described(trial: Trial) -> DataSet:
    settings = trial.config.data
    examples = {
        "train": sizes.training_examples(settings),
        "validation": sizes.validation_examples(settings),
        "test": data.test_examples(settings),
    }
    return DataSet(settings.name, data.digest(settings), examples)


def tags(trial: Trial, origin: Mapping[str, str]) -> dict[str, str]:
    family = {
        "mlflow.parentRunId": trial.config.tracking.parent,
        "sweep": trial.config.tracking.sweep,
    }
    identity = {"recipe": trial.recipe.id, "trunk": trial.recipe.trunk}
    known = {key: value for key, value in family.items() if value}
    here = provenance.git() | identity | known
    return labels.as_tags(trial.config.labels) | dict(origin) | here | dict(origin)
