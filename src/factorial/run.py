"""One combination, trained: data, model, epochs, evaluation, each on record and on the screen."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file

from factorial import console, data, environment, files, record, trainer
from factorial.combination import Combination
from factorial.config import Config, parse

log = logging.getLogger(__name__)


@dataclass
class Outcome:
    """What became of a combination. Accuracies are shares; seconds are those of all its epochs."""

    name: str
    status: str = "FAILED"
    reason: str = ""
    run: str = ""
    folder: Path | None = None
    validation: float | None = None
    test: float | None = None
    seconds: float = 0.0
    error: Exception | None = None


def alone(asked: Combination) -> Outcome:
    """Train one combination and show its end. Raises whatever goes wrong."""
    asked = ready(asked, Combination.compose)
    outcome = execute(asked, console.Display(brief=False))
    if outcome.error is not None:
        raise outcome.error
    config = parse(asked.composed)
    console.show_end(outcome, asked.choices["data"], record.page(config.tracking, config.outputs))
    return outcome


def ready(asked: Combination, compose: Callable[[list[str]], Combination]) -> Combination:
    """What was asked, or the same on `data.fallback` where its data are not to be had.

    Whatever can be refused is refused here, before data are looked for, let alone loaded: raises
    BadInput, and files.Missing where there is no fallback.
    """
    config = parse(asked.composed)
    trainer.start(config, environment.prepare(config.device))
    try:
        data.require(config.data)
        return asked
    except files.Missing as missing:
        if config.data.fallback is None:
            raise
        fallback = config.data.fallback
        experiment = f"{config.tracking.experiment}-fallback-{fallback}"
        console.warn(
            f"{missing}", f"RUNNING ON {fallback.upper()} INSTEAD, in experiment {experiment}"
        )
        kept = [
            word for word in asked.typed if word.partition("=")[0] not in ("data", "data.fallback")
        ]
        return compose([*kept, f"data={fallback}", f"tracking.experiment={experiment}"])


def execute(asked: Combination, display: console.Display) -> Outcome:
    """Train and record. Raises before anything is recorded; later errors are in the outcome."""
    config = parse(asked.composed)
    device = environment.prepare(config.device)
    state = trainer.start(config, device)
    splits = data.load(config.data, device)
    store = record.open_store(config.tracking, config.outputs)
    outcome = Outcome(asked.name(config))
    try:
        with (
            record.recording(store, outcome.name, tags(config)) as run,
            display.training(outcome.name, config.epochs.count) as line,
        ):
            outcome.run, outcome.folder = run.id, run.folder
            actual = {"device": device.type, "threads": torch.get_num_threads()}
            run.describe(asked.params() | actual, described(splits))
            OmegaConf.save(asked.composed, run.folder / "config.yaml", resolve=True)
            (run.folder / "overrides.txt").write_text("".join(f"{word}\n" for word in asked.typed))
            for row in trainer.fit(state, splits, config, range(1, config.epochs.count + 1)):
                run.epoch(row)
                log.info(line.epoch(row))
                outcome.seconds += row.seconds
                outcome.validation = row.validation.accuracy if row.validation else None
            closing = final(state, splits, config.device.precision) | best(run.rows)
            run.conclude(closing)
            save_weights(state.model, run.folder / "weights.safetensors")
    except Exception as error:
        outcome.reason, outcome.error = record.reason(error), error
    else:
        outcome.status, outcome.test = "FINISHED", closing["test/accuracy"]
    return outcome


def final(state: trainer.State, splits: data.Data, precision: str) -> dict[str, float]:
    """On the test set: loss and accuracy at the scale of training, accuracy on unscaled pixels."""
    scaled = trainer.evaluate(state.model, splits.test, precision)
    unscaled = trainer.evaluate(state.model, splits.test.unscaled(), precision)
    assert scaled is not None and unscaled is not None
    return {
        "test/loss": scaled.loss,
        "test/accuracy": scaled.accuracy,
        "test/accuracy_as_published": unscaled.accuracy,
    }


def best(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The first epoch with the highest validation accuracy; nothing where nothing is held out."""
    if "validation/accuracy" not in rows[0]:
        return {}
    top = max(rows, key=lambda row: row["validation/accuracy"])
    return {"best/validation_accuracy": top["validation/accuracy"], "best/epoch": top["epoch"]}


def save_weights(model: torch.nn.Module, file: Path) -> None:
    save_file({name: value.cpu().contiguous() for name, value in model.state_dict().items()}, file)


def described(splits: data.Data) -> record.DataSet:
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    return record.DataSet(
        splits.name, splits.digest, {key: len(part) for key, part in parts.items()}
    )


def tags(config: Config) -> dict[str, str]:
    parent = config.tracking.parent
    return environment.git() | ({"mlflow.parentRunId": parent, "sweep": parent} if parent else {})
