"""A recorded run's model, with the weights that it ended with."""

from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from factorial.record import reading
from factorial.record.reading import RecordedRun
from factorial.record.store import Store, artifact
from factorial.reuse import evidence
from factorial.settings import words
from factorial.settings.messages import BadInput
from factorial.settings.schema import Config
from factorial.training.fingerprint import fingerprint
from factorial.training.instantiate import instantiate

FILE = "weights.safetensors"


def restore(store: Store, past: RecordedRun, settings: dict[str, Any]) -> tuple[nn.Module, Config]:
    """On the CPU, ready to predict. Raises BadInput."""
    evidence.require_result(past)
    changes = {
        "allow": words.names(settings["allow"]),
        "outputs": str(store.outputs),
        "device.kind": "cpu",
    }
    config = evidence.combination(past, evidence.config(store, past), changes).parse()
    model: nn.Module = instantiate(
        "model", config.model, config.allow, config.data.shape, config.data.classes
    )
    file = artifact(store, past.tags.get("cached", past.id), FILE)
    if file is None:
        raise BadInput(f"run={past.id}: {FILE} is not among its files")
    try:
        model.load_state_dict(load(file.read_bytes()))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadInput(f"run={past.id}: {FILE} is not of its model ({reason})") from error
    digests = reading.digests(store, past)
    if digests and digests[max(digests)] not in ("", fingerprint(model.state_dict())):
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
