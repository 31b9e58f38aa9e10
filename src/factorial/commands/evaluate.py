"""Recorded runs on validation and test images again, alone and together: sweep=ID best=5."""

from collections.abc import Sequence

from factorial import console
from factorial.comparison.intervals import binomial
from factorial.record.store import look_into
from factorial.results import Evaluation
from factorial.reuse import ensemble
from factorial.settings import words
from factorial.settings.messages import BadInput


def main(typed: Sequence[str]) -> None:
    """A line for each run, and one for all of them together. Raises BadInput."""
    settings = words.read("evaluate", typed)
    store = look_into(words.tracking(settings), settings["outputs"])
    if store.client is None:
        raise BadInput(f"outputs={store.outputs}: no runs are on record there")
    together = ensemble.restore(store, settings)
    splits = ensemble.splits(store, together, settings)
    held_out = {"validation": splits.validation, "test": splits.test}
    judged = {
        name: ensemble.evaluate(together, split) for name, split in held_out.items() if len(split)
    }
    for place, run in enumerate(together.runs):
        scores = {name: each[place] for name, (each, _) in judged.items()}
        console.say(f"run {run.id}: {run.name}  {line(scores)}")
    if len(together.runs) > 1:
        scores = {name: all_of_them for name, (_, all_of_them) in judged.items()}
        console.say(
            f"all {len(together.runs)} together, by their mean probabilities:  {line(scores)}"
        )
    accuracy, count = judged["test"][1].accuracy, len(splits.test)
    low, high = binomial(accuracy, count)
    console.say(
        f"{round(accuracy * count)} of {count} test images are right: {accuracy:.4f} "
        f"({low:.4f} to {high:.4f}, of images drawn at random)"
    )


def line(scores: dict[str, Evaluation]) -> str:
    return "  ".join(f"{name} {score.accuracy:.4f}" for name, score in scores.items())
