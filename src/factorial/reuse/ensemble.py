"""Recorded runs that predict together: the mean of their probabilities."""

import json
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from factorial.record import selection
from factorial.record.reading import RecordedRun
from factorial.record.store import Store, artifact
from factorial.results import Evaluation
from factorial.reuse import evidence, replay, weights
from factorial.settings import schema
from factorial.settings.messages import BadInput
from factorial.training import data, environment, trainer
from factorial.training.data import Split

SCORE = "validation/accuracy"


class Ensemble(NamedTuple):
    """Models on the CPU, each of a run; all of them learnt from the same data."""

    runs: list[RecordedRun]
    models: list[nn.Module]
    configs: list[schema.Config]

    @torch.inference_mode()
    def probabilities(self, images: Tensor) -> Tensor:
        """Of images float32 [n, *shape]: [n, classes]."""
        return torch.stack([model(images).softmax(1) for model in self.models]).mean(0)


def restore(store: Store, settings: dict[str, Any]) -> Ensemble:
    """The run that is named, or the best of a sweep by validation accuracy. Raises BadInput."""
    runs = chosen(store, settings)
    models, configs = zip(*(weights.restore(store, run, settings) for run in runs), strict=True)
    for run, config in zip(runs, configs, strict=True):
        if images_of(config) != images_of(configs[0]):
            raise BadInput(
                f"best={len(runs)}: run {run.id} has other settings of data than run {runs[0].id}; "
                f"allowed are runs on the same"
            )
    return Ensemble(runs, list(models), list(configs))


def images_of(config: schema.Config) -> schema.Data:
    """The settings of data, without how training takes them."""
    return replace(config.data, batch_size=1, drop_last=False)


def chosen(store: Store, settings: dict[str, Any]) -> list[RecordedRun]:
    if settings["sweep"] is None:
        if settings["best"] is not None:
            raise BadInput(f"best={settings['best']}: allowed with sweep=ID, for it is of a sweep")
        return [evidence.choose(store, settings["run"])]
    if settings["run"] != "last":
        raise BadInput(
            f"run={settings['run']} and sweep={settings['sweep']}: allowed is one of them"
        )
    sweep = selection.of_sweep(store, settings["sweep"])
    ranked = sorted(
        (run for run in sweep.runs if run.status == "FINISHED" and SCORE in run.metrics),
        key=lambda run: (-run.metrics[SCORE], run.id),
    )
    if not ranked:
        raise BadInput(
            f"sweep={settings['sweep']}: none of its runs has a validation accuracy to choose by; "
            f"allowed is run=ID"
        )
    count = settings["best"] or 1
    if count > len(ranked):
        raise BadInput(
            f"best={count}: allowed is 1 to {len(ranked)}, the runs of {sweep.title} that have a "
            f"validation accuracy"
        )
    return ranked[:count]


def splits(store: Store, ensemble: Ensemble, settings: dict[str, Any]) -> data.Data:
    """The data that all of them learnt from, which lie where the user says.

    Raises BadInput where other bytes lie here, and for a function that may not be called.
    """
    first = ensemble.runs[0]
    recorded = evidence.config(store, first)
    changed = weights.changes(store, settings) | replay.place(first, recorded, settings)
    config = evidence.combination(first, recorded, changed).parse()
    environment.enter(config.device)
    data.require(config.data, config.allow)
    found = data.load(config.data, torch.device("cpu"))
    for run in ensemble.runs:
        file = artifact(store, run.id, "recipe.json")
        digest = json.loads(file.read_bytes()).get("data") if file else None
        evidence.require_data(run, digest, found.digest)
    return found


def evaluate(ensemble: Ensemble, split: Split) -> tuple[list[Evaluation], Evaluation]:
    """Each model by itself, and all of them together, on a split that is not empty."""
    logits = [
        trainer.predict(model, split, config.device.precision)
        for model, config in zip(ensemble.models, ensemble.configs, strict=True)
    ]
    together = torch.stack([one.softmax(1) for one in logits]).mean(0).log()
    return [trainer.judge(one, split.labels) for one in logits], trainer.judge(
        together, split.labels
    )
