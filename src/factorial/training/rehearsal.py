"""One step on two blank examples: what can't train is refused before anything is recorded."""

from dataclasses import replace

import torch

from factorial.settings.messages import BadInput
from factorial.settings.schema import Config
from factorial.training.data import Data, Split
from factorial.training.trainer import autocast, fit, start

# What a class raises that is not made for these images, or wants to be called in another way.
# Nothing else is caught: where memory runs out, it is not the class's fault.
MISFITS = (TypeError, ValueError, RuntimeError, AttributeError, LookupError, NotImplementedError)


def rehearse(config: Config, device: torch.device) -> None:
    """Raises BadInput with the shapes and the class's own words, where a step is not possible."""
    settings = replace(config.data, examples=2, batch_size=2, drop_last=False, validation_share=0.0)
    images = torch.zeros(2, *settings.shape, dtype=torch.uint8, device=device)
    blank = Split(images, torch.zeros(2, dtype=torch.int64, device=device), settings.white)
    empty = Split(images[:0], blank.labels[:0], settings.white)
    state = start(config, device)
    called = f"called with float32 images {list(images.shape)}"
    try:
        with torch.random.fork_rng(devices=[]), autocast(device, config.device.precision):
            logits = state.model(blank[torch.arange(2, device=device)][0])
    except MISFITS as error:
        raise BadInput(f"{of(config, 'model')}: {called} it fails ({said(error)})") from error
    shape = getattr(logits, "shape", type(logits).__name__)
    if shape != (2, settings.classes):
        given = list(shape) if isinstance(shape, torch.Size) else shape
        raise BadInput(
            f"{of(config, 'model')}: {called} it gives {given}; allowed are logits "
            f"{[2, settings.classes]}"
        )
    try:
        short = replace(config, data=settings, epochs=replace(config.epochs, count=1))
        next(fit(state, Data("blank", "", blank, empty, empty), short))
    except ArithmeticError:
        pass  # to diverge is a result
    except MISFITS as error:
        names = f"{of(config, 'optimizer')}, {of(config, 'schedule')}"
        raise BadInput(f"{names}: one step fails ({said(error)})") from error


def of(config: Config, part: str) -> str:
    return f"{part}._target_={getattr(config, part)['_target_']}"


def said(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
