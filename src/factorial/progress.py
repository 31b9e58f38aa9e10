"""What the record says of a combination: how far it is, and its result where it has one."""

import json
from collections.abc import Sequence
from typing import NamedTuple

import torch
from omegaconf import OmegaConf

from factorial import data, history, provenance, record, trainer
from factorial.history import Past
from factorial.outcome import Outcome
from factorial.prepare import Ready
from factorial.store import Store


class Standing(NamedTuple):
    """How far a combination is on record, and what remains to be done."""

    kind: str  # cached, resumes, continues, new
    epoch: int = 0
    past: Past | None = None  # the run that has the result
    mine: Past | None = None  # the run that this command has for it already

    def __str__(self) -> str:
        if self.kind == "resumes":
            return f"resumes in epoch {self.epoch + 1}"
        return f"continues the {self.epoch}-epoch run" if self.kind == "continues" else self.kind


def standing(ready: Ready, where: Store, known: Sequence[Past] | None = None) -> Standing:
    """How far a combination is, by the record and the checkpoints; neither is changed.

    `known` are the recorded runs of its recipe, where a caller has them already. Its own result
    comes before another's, an own run that was left behind is gone on with.
    """
    if ready.config.fresh:
        return Standing("new")
    known = history.find(where, recipe=ready.recipe.id) if known is None else known
    mine = [past for past in known if past.parent == ready.config.tracking.parent]
    for past in (*mine, *known):
        if past.is_result:
            return Standing("cached", past=past, mine=next(iter(mine), None))
    abandoned = next((past for past in reversed(mine) if past.is_abandoned), None)
    found = ready.trunk.positions(ready.config.epochs.count)
    if not found:
        return Standing("new", mine=abandoned)
    return Standing("resumes" if abandoned else "continues", found[0][0].epoch, mine=abandoned)


def answer(ready: Ready, where: Store, now: Standing) -> Outcome:
    """The outcome of a combination whose result is on record; a sweep gets a child all the same."""
    past = now.past
    assert past is not None
    outcome = Outcome(ready.name, run=past.id, origin="cached")
    outcome.folder = where.outputs / "runs" / past.id / "artifacts"
    if ready.config.tracking.parent not in (None, past.parent):
        outcome.run = record_copy(ready, where, past, now.mine)
    outcome.validation = past.metrics.get("validation/accuracy")
    outcome.seconds = past.metrics.get("train/seconds", 0.0)
    if past.status == "FINISHED":
        outcome.status, outcome.test = "FINISHED", past.metrics["test/accuracy"]
    else:
        outcome.reason = past.tags["failure"]
        outcome.error = trainer.Diverged(f"{outcome.reason} (on record as run {past.id})")
    return outcome


def record_copy(ready: Ready, where: Store, past: Past, mine: Past | None) -> str:
    """A sweep's child for a result that another run gave, so that the sweep is complete."""
    run = open_run(ready, where, mine)
    extra = {key: past.tags[key] for key in ("failure", "diverged") if key in past.tags}
    run.tag(cached=past.id, **extra)
    run.log_rows(history.rows(where, past))
    run.conclude({k: v for k, v in past.metrics.items() if not history.is_curve(k)})
    run.status = past.status
    run.end()
    return run.id


def open_run(ready: Ready, where: Store, abandoned: Past | None) -> record.Run:
    """A new run, described, or an abandoned one opened again."""
    if abandoned is None:
        run = record.new(where, ready.name, tags(ready))
    else:
        run = record.again(where, abandoned)
    if abandoned is None or not abandoned.params:
        actual = {"device": ready.device.type, "threads": torch.get_num_threads()}
        run.describe(ready.asked.params() | actual, described(ready))
    OmegaConf.save(ready.asked.composed, run.folder / "config.yaml", resolve=True)
    run.write("overrides.txt", "".join(f"{word}\n" for word in ready.asked.typed))
    run.write("recipe.json", json.dumps(ready.recipe.document, indent=1))
    run.write("provenance.json", json.dumps(provenance.capture(), indent=1))
    if provenance.patch():
        run.write("git.patch", provenance.patch())
    return run


def described(ready: Ready) -> record.DataSet:
    settings = ready.config.data
    sizes = {"train": settings.training_examples, "validation": settings.validation_examples}
    sizes["test"] = data.test_examples(settings)
    return record.DataSet(settings.name, data.digest(settings), sizes)


def tags(ready: Ready) -> dict[str, str]:
    family = {
        "mlflow.parentRunId": ready.config.tracking.parent,
        "sweep": ready.config.tracking.sweep,
    }
    identity = {"recipe": ready.recipe.id, "trunk": ready.recipe.trunk}
    return provenance.git() | identity | {key: value for key, value in family.items() if value}
