"""The training loop: plain PyTorch, the step written once."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from factorial.config import Config
from factorial.data import Data, Split
from factorial.environment import derive_seed, permutation
from factorial.instantiate import instantiate

EVALUATED_AT_ONCE = 1000  # examples; has no influence on the result


@dataclass
class State:
    """What training changes."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler


class Evaluation(NamedTuple):
    """Mean cross-entropy per example, in nats, and the share that is classified correctly."""

    loss: float
    accuracy: float


class Epoch(NamedTuple):
    """One row of a learning curve; `validation` is None where a run holds nothing out."""

    epoch: int
    train_loss: float
    validation: Evaluation | None
    seconds: float


class Diverged(ArithmeticError):
    """The training loss is not finite any more."""


def start(config: Config, device: torch.device) -> State:
    """An untrained model, drawn from the seed alone, with its optimizer. Raises BadInput."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(config.seed, "init"))
        model = instantiate("model", config.model, config.data.shape, config.data.classes)
    model.to(device)
    optimizer = instantiate("optimizer", config.optimizer, model.parameters())
    return State(model, optimizer, instantiate("schedule", config.schedule, optimizer))


def fit(state: State, data: Data, config: Config, epochs: range) -> Iterator[Epoch]:
    """Train over `epochs`, yielding a row after each one. Raises Diverged.

    Randomness depends on (seed, purpose, epoch) alone, so stopping at any epoch boundary and
    going on later is bit-exact.
    """
    device = data.train.labels.device
    size = config.data.batch_size
    for epoch in epochs:
        began = time.perf_counter()
        order = permutation(len(data.train), derive_seed(config.seed, "order", epoch)).to(device)
        if config.data.drop_last:
            order = order[: len(order) // size * size]
        total = torch.zeros((), device=device)
        state.model.train()
        for index in order.split(size):
            images, labels = data.train[index]
            with autocast(device, config.device.precision):
                loss = F.cross_entropy(state.model(images), labels)
            state.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            state.optimizer.step()
            state.schedule.step()
            total += loss.detach() * len(index)
        train_loss = total.item() / len(order)  # the epoch's one sync with the device
        if not math.isfinite(train_loss):
            raise Diverged(f"the training loss is {train_loss} in epoch {epoch}")
        validation = evaluate(state.model, data.validation, config.device.precision)
        yield Epoch(epoch, train_loss, validation, time.perf_counter() - began)


@torch.inference_mode()
def evaluate(model: nn.Module, split: Split, precision: str) -> Evaluation | None:
    """Loss and accuracy on a whole split; None where it is empty."""
    if not len(split):
        return None
    device = split.labels.device
    loss = torch.zeros((), device=device)
    correct = torch.zeros((), device=device, dtype=torch.int64)
    model.eval()
    for index in torch.arange(len(split), device=device).split(EVALUATED_AT_ONCE):
        images, labels = split[index]
        with autocast(device, precision):
            logits = model(images)
        loss += F.cross_entropy(logits.float(), labels, reduction="sum")
        correct += (logits.argmax(1) == labels).sum()
    return Evaluation(loss.item() / len(split), correct.item() / len(split))


def autocast(device: torch.device, precision: str) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
