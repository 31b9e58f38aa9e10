"""Which class is on an image: recorded runs' models read PNG and JPEG files."""

import sys
from collections.abc import Sequence

import torch

from factorial import console
from factorial.record.store import look_into
from factorial.reuse import ensemble, images, looks
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
    together = ensemble.restore(store, settings)
    config = together.configs[0]
    console.say(*(f"run {run.id}: {run.name}" for run in together.runs))
    seen = looks.of(store, together.runs[0], config.data)
    failed = False
    for file in files:
        try:
            pixels = torch.from_numpy(images.pixels(file, config.data.shape, config.data.name))
        except BadInput as error:
            print(f"error: {error}", file=sys.stderr)
            failed = True
            continue
        if seen.scale is not None:
            pixels = (pixels - seen.scale.mean) / seen.scale.std
        probabilities = together.probabilities(pixels[None])[0]
        best = probabilities.topk(min(SHOWN, len(probabilities)))
        first, *others = (
            f"{seen.names[label]} {share:.4f}"
            for share, label in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        )
        console.say(f"{file}  {first}  (then {', '.join(others)})")
    if failed:
        raise SystemExit(1)
