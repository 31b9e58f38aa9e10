"""A recorded run's model, with the weights that it ended with."""

from dataclasses import replace
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from factorial import console
from factorial.record import reading, untrusted
from factorial.record.reading import RecordedRun
from factorial.record.store import Store, artifact
from factorial.reuse import evidence
from factorial.settings import words
from factorial.settings.messages import BadInput
from factorial.settings.names import flatten
from factorial.settings.recipe import code, is_own
from factorial.settings.schema import Config, targets
from factorial.settings.sources import behind
from factorial.training.data import Scale
from factorial.training.fingerprint import fingerprint
from factorial.training.instantiate import instantiate

FILE = "weights.safetensors"


def restore(store: Store, run: RecordedRun, settings: dict[str, Any]) -> tuple[nn.Module, Config]:
    """On the CPU, ready to predict, with images of the shape that it was made for. Raises BadInput.

    A model of one's own from before images had an axis of channels does without one.
    """
    evidence.require_result(run)
    recorded = evidence.config(store, run)
    config = evidence.combination(run, recorded, changes(store, settings)).parse()
    if recorded["data"].get("shape") == config.data.shape[1:]:
        config = replace(config, data=replace(config.data, shape=config.data.shape[1:]))
    model: nn.Module = instantiate(
        "model", config.model, config.allow, config.data.shape, config.data.classes
    )
    file = artifact(store, run.source, FILE)
    if file is None:
        copied = f", of which run {run.id} is a copy" if run.source != run.id else ""
        raise BadInput(f"run={run.source}{copied}: {FILE} is not among its files")
    try:
        model.load_state_dict(load(file.read_bytes()))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadInput(f"run={run.id}: {FILE} is not of its model ({reason})") from error
    digests = reading.digests(store, run)
    if digests and digests[max(digests)] not in ("", fingerprint(model.state_dict())):
        raise BadInput(f"run={run.id}: {FILE} is not what it was when the run ended")
    if modules := rewritten(store, run, config):
        console.warn(
            f"run {run.id}: {', '.join(modules)} changed since it was trained: what its model says "
            f"may be another"
        )
    return model.eval(), config


def rewritten(store: Store, run: RecordedRun, config: Config) -> list[str]:
    """The modules of the user's, behind the model's class, that are not those on record.

    The weights fit another forward pass as well, so nothing else tells.
    """
    file = artifact(store, run.source, "recipe.json")
    names = [str(name) for _, name in targets(config.model, "model") if is_own(str(name))]
    if file is None or not names:
        return []
    recorded = flatten(untrusted.read_json(file, f"run={run.id}: recipe.json"))
    modules = [module for name in names for module in behind(name).files]
    here = code([behind(name) for name in names])
    return [name for name in dict.fromkeys(modules) if recorded.get(f"code.{name}") != here[name]]


def changes(store: Store, settings: dict[str, Any]) -> dict[str, Any]:
    """What this machine decides of a run whose model is used, and not its record."""
    return {
        "allow": words.names(settings["allow"]),
        "outputs": str(store.outputs),
        "device.kind": "cpu",
    }


class Served(nn.Module):
    """Pixels as stored, float32 [n, *shape], 0 to `white` -> probabilities [n, classes].

    Any other pixel, one that is no number too, is refused with a RuntimeError, which MLflow's
    server answers with 400.
    """

    def __init__(self, model: nn.Module, white: int, scale: Scale | None = None) -> None:
        super().__init__()
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.model, self.white = model, white
        mean, std = scale or (torch.zeros(()), torch.ones(()))
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        # in the exported graph too, where a condition of Python would be gone
        allowed = (pixels >= 0) & (pixels <= self.white)
        torch._assert_async(allowed.all(), f"pixels: allowed are 0 to {self.white}")
        logits: torch.Tensor = self.model((pixels / self.white - self.mean) / self.std)
        return logits.softmax(1)
