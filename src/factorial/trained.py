"""A recorded run's model, with the weights that it ended with."""

from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from factorial import arguments, checkpoint, evidence, history, store
from factorial.config import BadInput, Config
from factorial.history import Past
from factorial.instantiate import instantiate
from factorial.store import Store

FILE = "weights.safetensors"


def restore(where: Store, past: Past, settings: dict[str, Any]) -> tuple[nn.Module, Config]:
    """On the CPU, ready to predict. Raises BadInput."""
    evidence.require_result(past)
    changes = {
        "allow": arguments.names(settings["allow"]),
        "outputs": str(where.outputs),
        "device.kind": "cpu",
    }
    config = evidence.combination(past, evidence.config(where, past), changes).config
    model: nn.Module = instantiate(
        "model", config.model, config.allow, config.data.shape, config.data.classes
    )
    file = store.artifact(where, past.tags.get("cached", past.id), FILE)
    if file is None:
        raise BadInput(f"run={past.id}: {FILE} is not among its files")
    try:
        model.load_state_dict(load(file.read_bytes()))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadInput(f"run={past.id}: {FILE} is not of its model ({reason})") from error
    digests = history.digests(where, past)
    if digests and digests[max(digests)] not in ("", checkpoint.digest(model.state_dict())):
        raise BadInput(f"run={past.id}: {FILE} is not what it was when the run ended")
    return model.eval(), config


class Served(nn.Module):
    """Pixels as stored, float32 [n, *shape], 0 to `white` -> probabilities [n, classes]."""

    def __init__(self, model: nn.Module, white: int) -> None:
        super().__init__()
        self.model, self.white = model, white

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(pixels / self.white)
        return logits.softmax(1)
