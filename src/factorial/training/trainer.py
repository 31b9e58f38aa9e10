"""The training loop: plain PyTorch, the step written once."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from factorial.results import Diverged, Epoch, Evaluation, Position
from factorial.settings.messages import BadInput
from factorial.settings.schema import Config
from factorial.training import augmentation, stopping
from factorial.training.data import Data, Split
from factorial.training.environment import derive_seed, permutation, seed_draws
from factorial.training.fingerprint import fingerprint
from factorial.training.instantiate import instantiate
from factorial.training.measuring import Measures, measured, measures
from factorial.training.sizes import steps_per_epoch

EVALUATED_AT_ONCE = 1000  # examples, so that memory is bounded
NONE: Measures = MappingProxyType({})


@dataclass
class State:
    """What training changes: all that going on later needs, since randomness is derived."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    average: AveragedModel | None = None  # of the model, where one is evaluated
    epoch: int = 0  # whole epochs behind it
    batch: int = 0  # batches of the next one behind it,
    # what they add up to: their loss over examples, their gradients' norms over batches, seconds
    loss: Tensor = field(default_factory=lambda: torch.zeros(()))
    gradients: Tensor = field(default_factory=lambda: torch.zeros(()))
    seconds: float = 0.0
    scores: list[float] = field(default_factory=list)  # of each epoch, where a metric may stop it

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.batch)

    @property
    def evaluated(self) -> nn.Module:
        """The model that predicts: of averaged weights, where they are averaged."""
        return self.model if self.average is None else self.average.module

    def tree(self) -> dict[str, Any]:
        """Plain values and the state's own tensors, which training changes, in nested dicts."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "epoch": self.epoch,
            "batch": self.batch,
            "loss": self.loss,
            "gradients": self.gradients,
            "seconds": self.seconds,
            "scores": self.scores,
        }

    def restore(self, tree: Mapping[str, Any]) -> None:
        """Take over what `tree` gave, on this state's own device."""
        self.model.load_state_dict(tree["model"])
        self.optimizer.load_state_dict(tree["optimizer"])
        self.schedule.load_state_dict(tree["schedule"])
        if self.average is not None:
            self.average.load_state_dict(tree["average"])
        self.epoch, self.batch = tree["epoch"], tree["batch"]
        self.loss, self.gradients = tree["loss"], tree["gradients"]
        self.seconds, self.scores = tree["seconds"], tree["scores"]


def start(config: Config, device: torch.device) -> State:
    """An untrained model, drawn from the seed alone, with its optimizer. Raises BadInput."""
    facts = (config.data.shape, config.data.classes)
    with torch.random.fork_rng(devices=[]):
        seed_draws(device, derive_seed(config.seed, "init"))
        model = instantiate("model", config.model, config.allow, *facts)
    if next(model.parameters(), None) is None:
        name = config.model["_target_"]
        raise BadInput(f"model._target_={name}: allowed is a model that has parameters")
    model.to(device)
    optimizer = instantiate("optimizer", config.optimizer, config.allow, model.parameters())
    schedule = instantiate("schedule", config.schedule, config.allow, optimizer)
    return State(model, optimizer, schedule, averaged(model, config.ema_decay))


def averaged(model: nn.Module, decay: float | None) -> AveragedModel | None:
    """The exponential moving average of a model's weights and buffers; the first step copies.

    Behind n steps its decay is (1 + n) / (10 + n), at most `decay` (as of TensorFlow's
    ExponentialMovingAverage with num_updates): a short run's average holds little of its start.
    """
    if decay is None:
        return None

    def blend(averages: Any, weights: Any, steps: Any) -> None:
        behind = int(average.n_averaged)  # on the CPU, unlike `steps`: no wait for the device
        get_ema_multi_avg_fn(min(decay, (1 + behind) / (10 + behind)))(averages, weights, steps)

    average = AveragedModel(model, multi_avg_fn=blend, use_buffers=True)
    return average


def fit(state: State, data: Data, config: Config) -> Iterator[Position | Epoch]:
    """Train from where `state` is to the end of the last epoch, or until stopping ends it. Raises
    Diverged.

    Yields after every batch: the position within an epoch, the epoch's row at its end. Randomness
    depends on (seed, purpose, epoch, batch) alone, so to stop at any yield and go on later is
    bit-exact.
    """
    device, asked = data.train.labels.device, measures(config)
    for epoch in range(state.epoch + 1, config.epochs.count + 1):
        if stopping.is_over(state.scores, config):
            return
        order = permutation(len(data.train), derive_seed(config.seed, "order", epoch)).to(device)
        moves = augmentation.moves(config.augmentation, len(data.train), config.seed, epoch)
        moves = None if moves is None else moves.to(device)
        batches = order.split(config.data.batch_size)[: steps_per_epoch(config.data)]
        state.loss, state.gradients = state.loss.to(device), state.gradients.to(device)
        state.model.train()
        for index in batches[state.batch :]:
            began = time.perf_counter()
            seed_draws(device, derive_seed(config.seed, "forward", epoch, state.batch))
            images, labels = data.train[index]
            if moves is not None:
                images = augmentation.moved(images, moves[index])
            with autocast(device, config.device.precision):
                logits = state.model(images)
                loss = F.cross_entropy(logits, labels, label_smoothing=config.label_smoothing)
            state.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if config.clip_norm is not None:
                nn.utils.clip_grad_norm_(state.model.parameters(), config.clip_norm)
            state.optimizer.step()
            state.schedule.step()
            if state.average is not None:
                state.average.update_parameters(state.model)
            state.loss = state.loss + loss.detach() * len(index)
            state.gradients = state.gradients + gradient_norms(state.model)
            state.batch += 1
            state.seconds += time.perf_counter() - began
            if state.batch < len(batches):
                yield state.position
        yield end_epoch(state, data, config, asked, examples=sum(map(len, batches)))


def epochs(state: State, data: Data, config: Config) -> Iterator[Epoch]:
    """The rows of `fit` alone."""
    return (event for event in fit(state, data, config) if isinstance(event, Epoch))


def end_epoch(state: State, data: Data, config: Config, asked: Measures, examples: int) -> Epoch:
    """Evaluate, and make ready for the next epoch."""
    began = time.perf_counter()
    sums = torch.cat([state.loss.reshape(1), state.gradients])
    loss, *gradients = sums.tolist()  # the epoch's one sync with the device
    train_loss = loss / examples
    if not math.isfinite(train_loss):
        raise Diverged(f"the training loss is {train_loss} in epoch {state.epoch + 1}")
    row = Epoch(
        epoch=state.epoch + 1,
        train_loss=train_loss,
        validation=evaluate(state.evaluated, data.validation, config.device.precision, asked),
        seconds=state.seconds + time.perf_counter() - began,
        gradients=tuple(norm / state.batch for norm in gradients),
        weights=fingerprint(state.evaluated.state_dict()),
    )
    state.epoch, state.batch, state.seconds = row.epoch, 0, 0.0
    state.loss, state.gradients = torch.zeros_like(state.loss), torch.zeros(())
    state.scores = [*state.scores, *stopping.score(row, config)]
    return row


def gradient_norms(model: nn.Module) -> Tensor:
    """The Euclidean norm of the gradient of each layer's weights, first layer first: [layers].

    Layers that are trained; 0 for one that had no part in this loss.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    norms = [
        weight.new_zeros(()) if weight.grad is None else weight.grad.norm()
        for weight in trained
        if weight.ndim > 1
    ]
    return torch.stack(norms) if norms else trained[0].new_zeros(0)


@torch.inference_mode()
def predict(model: nn.Module, split: Split, precision: str) -> Tensor:
    """The logits of a whole split that is not empty: float32 [n, classes].

    Leaves the model in evaluation mode.
    """
    device = split.labels.device
    seed_draws(device, derive_seed(0, "evaluation"))  # for a model that draws even then
    model.eval()
    logits = []
    for index in torch.arange(len(split), device=device).split(EVALUATED_AT_ONCE):
        with autocast(device, precision):
            logits.append(model(split[index][0]).float())
    return torch.cat(logits)


def evaluate(
    model: nn.Module, split: Split, precision: str, asked: Measures = NONE
) -> Evaluation | None:
    """Loss, accuracy and what else is asked for on a whole split; None where it is empty."""
    return judge(predict(model, split, precision), split.labels, asked) if len(split) else None


def judge(logits: Tensor, labels: Tensor, asked: Measures = NONE) -> Evaluation:
    """Logits float32 [n, classes] against labels int64 [n]."""
    correct = (logits.argmax(1) == labels).sum()
    loss = F.cross_entropy(logits, labels).item()
    return Evaluation(loss, correct.item() / len(labels), measured(asked, logits, labels))


def final(model: nn.Module, test: Split, config: Config) -> tuple[dict[str, float], Tensor]:
    """Loss, accuracy and the metrics on the test set, what the model costs in parameters, and its
    logits.

    Where asked for, accuracy on unscaled pixels too.
    """
    logits = predict(model, test, config.device.precision)
    scaled = judge(logits, test.labels, measures(config))
    closing = {f"test/{name}": value for name, value in scaled.named.items()}
    if config.data.test_unscaled:
        unscaled = predict(model, test.unscaled(), config.device.precision)
        closing["test/accuracy_as_published"] = judge(unscaled, test.labels).accuracy
    closing["parameters"] = sum(parameter.numel() for parameter in model.parameters())
    return closing, logits


def best(rows: Sequence[Epoch]) -> dict[str, float]:
    """The first epoch with the highest validation accuracy; nothing where nothing is held out."""
    held_out = [(row.validation.accuracy, -row.epoch) for row in rows if row.validation is not None]
    if not held_out:
        return {}
    accuracy, negative = max(held_out)
    return {"best/validation_accuracy": accuracy, "best/epoch": -negative}


def autocast(device: torch.device, precision: str) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
