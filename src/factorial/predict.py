"""Images read by a recorded run's model."""

import sys
from collections.abc import Sequence

import torch

from factorial import arguments, console, evidence, images, store, trained
from factorial.config import BadInput

SHOWN = 3  # classes with their probabilities


def main(typed: Sequence[str]) -> None:
    """`python predict.py run=ID FILE ...`: a line for each image, the likeliest classes first.

    Raises BadInput, and SystemExit(1) after the others where an image can't be read.
    """
    settings = arguments.read("predict", typed, bare="images")
    files = images.files(settings["images"])
    where = store.look_into(arguments.tracking(settings), settings["outputs"])
    if where.client is None:
        raise BadInput(f"outputs={where.outputs}: no runs are on record there")
    past = evidence.choose(where, settings["run"])
    model, config = trained.restore(where, past, settings)
    console.say(f"run {past.id}: {past.name}")
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
