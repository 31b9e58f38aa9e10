"""Which class is on an image: a recorded run's model reads PNG and JPEG files."""

import sys
from collections.abc import Sequence

import torch

from factorial import console
from factorial.record.store import look_into
from factorial.reuse import evidence, images, weights
from factorial.settings import words
from factorial.settings.messages import BadInput

SHOWN = 3  # classes with their probabilities


def main(typed: Sequence[str]) -> None:
    """A line for each image, the likeliest classes first.

    Raises BadInput, and SystemExit(1) after the others where an image can't be read.
    """
    settings = words.read("predict", typed, bare="images")
    files = images.files(settings["images"])
    store = look_into(words.tracking(settings), settings["outputs"])
    if store.client is None:
        raise BadInput(f"outputs={store.outputs}: no runs are on record there")
    run = evidence.choose(store, settings["run"])
    model, config = weights.restore(store, run, settings)
    console.say(f"run {run.id}: {run.name}")
    failed = False
    for file in files:
        try:
            pixels = images.read(file, config.data.shape, config.data.name)
        except BadInput as error:
            print(f"error: {error}", file=sys.stderr)
            failed = True
            continue
        with torch.inference_mode():
            probabilities = model(torch.from_numpy(pixels)[None]).softmax(1)[0]
        best = probabilities.topk(min(SHOWN, len(probabilities)))
        first, *others = (
            f"{label} {share:.4f}"
            for share, label in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        )
        console.say(f"{file}  {first}  (then {', '.join(others)})")
    if failed:
        raise SystemExit(1)
