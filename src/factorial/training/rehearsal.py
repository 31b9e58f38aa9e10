"""One step on two blank examples: what can't train is refused before anything is recorded."""

from dataclasses import replace

import torch

from factorial.results import Diverged
from factorial.settings.messages import OPEN, BadInput
from factorial.settings.schema import Config
from factorial.training.data import Data, Split, whole
from factorial.training.examples import Examples
from factorial.training.instantiate import said
from factorial.training.trainer import autocast, fit, start


def rehearse(config: Config, device: torch.device) -> None:
    """Raises BadInput with the shapes and the class's own words, where a step is not possible."""
    short = two_examples(config)
    images = torch.zeros(2, *short.data.shape, dtype=torch.uint8, device=device)
    labels = torch.zeros(2, dtype=torch.int64, device=device)
    blank = whole(Examples(images, labels), short.data.white)
    require_logits(short, blank, device)
    state = start(short, device)
    try:
        for _ in fit(state, Data("blank", "", train=blank, validation=blank, test=blank), short):
            pass
    except Diverged:
        pass  # a result, if real images do it too
    except Exception as error:  # a class may raise anything
        names = ", ".join(f"{part}._target_={getattr(config, part)['_target_']}" for part in OPEN)
        raise BadInput(f"{names}: one step and an evaluation fail ({said(error)})") from error


def two_examples(config: Config) -> Config:
    """Without metrics, of which some are none on blank images, and so without what they stop."""
    data = replace(config.data, examples=2, batch_size=2, validation_share=0.0)
    epochs, stopping = replace(config.epochs, count=1), replace(config.stopping, metric=None)
    return replace(config, data=data, epochs=epochs, metrics={}, stopping=stopping)


def require_logits(config: Config, blank: Split, device: torch.device) -> None:
    """Raises BadInput for a model that does not make logits of images."""
    images, _ = blank[torch.arange(2, device=device)]
    called = f"model._target_={config.model['_target_']}: called with {described(images)} it"
    model = start(config, device).model
    try:
        with autocast(device, config.device.precision):
            logits = model(images)
    except Exception as error:
        raise BadInput(f"{called} fails ({said(error)})") from error
    allowed = (2, config.data.classes)
    if not (isinstance(logits, torch.Tensor) and logits.is_floating_point()) or (
        logits.shape != allowed
    ):
        raise BadInput(f"{called} gives {described(logits)}; allowed are floats {list(allowed)}")


def described(value: object) -> str:
    """A tensor by dtype and shape, anything else by its class."""
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    return f"a {type(value).__name__}"
