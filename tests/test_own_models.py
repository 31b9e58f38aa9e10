"""Models that users bring: layers without a part, frozen ones, what draws, what diverges."""

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from composing import CPU, configured, digits, put
from running import artifacts, bring, trial
from safetensors.torch import load_file

from factorial.results import Epoch
from factorial.settings.messages import BadInput
from factorial.settings.schema import Config
from factorial.training import trainer
from factorial.training.data import Data
from factorial.training.environment import derive_seed, permutation


def trained(config: Config, epochs: int = 1) -> tuple[trainer.State, Data, list[Epoch]]:
    config = put(config, "epochs.count", epochs)
    state, splits = trainer.start(config, CPU), digits(config)
    return state, splits, list(trainer.epochs(state, splits, config))


def test_an_infinite_loss_is_not_finite_either() -> None:
    with pytest.raises(trainer.Diverged, match="the training loss is inf in epoch 1"):
        trained(own("Hopeless", "data.batch_size=1293"))


def test_gradient_norms_are_means_over_the_batches_of_each_layers_own() -> None:
    """By torch's autograd, batch by batch, on a copy that is trained beside."""
    config = configured("model=mlp", "model.hidden=[16]", "optimizer=sgd", "data.batch_size=500")
    (row,) = trained(config)[2]
    beside, splits = trainer.start(config, CPU), digits(config)
    norms = []
    for index in permutation(len(splits.train), derive_seed(0, "order", 1)).split(500):
        images, labels = splits.train[index]
        weights = [beside.model[1].weight, beside.model[3].weight]
        beside.optimizer.zero_grad()
        loss = F.cross_entropy(beside.model(images), labels)
        norms.append([g.square().sum().sqrt() for g in torch.autograd.grad(loss, weights)])
        F.cross_entropy(beside.model(images), labels).backward()
        beside.optimizer.step()
    expected = torch.tensor(norms).mean(0).tolist()
    assert row.gradients == pytest.approx(expected, rel=1e-5)


class Odd(torch.nn.Module):
    """A layer that is trained, one that has no part in the loss, one that is frozen, a scale."""

    def __init__(self, shape: list[int], classes: int) -> None:
        super().__init__()
        self.used, self.unused = torch.nn.Linear(64, classes), torch.nn.Linear(64, classes)
        self.frozen = torch.nn.Linear(64, classes).requires_grad_(False)
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        flat = images.flatten(1)
        return (self.used(flat) + self.frozen(flat)) * self.scale


class OnlyScales(torch.nn.Module):
    """Parameters, of which none is a layer's matrix."""

    def __init__(self, shape: list[int], classes: int) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)[:, : len(self.scale)] * self.scale


class Drawing(torch.nn.Linear):
    """Draws in evaluation too, as Monte Carlo dropout does."""

    def __init__(self, shape: list[int], classes: int) -> None:
        super().__init__(64, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(F.dropout(images.flatten(1), 0.5, training=True))


class OnceOnly(Odd):
    """Of which a layer has a part in the first batch alone."""

    used_up = False

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = super().forward(images)
        if not self.used_up:
            logits, self.used_up = logits + self.unused(images.flatten(1)), True
        return logits


class Hopeless(Odd):
    """The first class has probability 0, so the loss of its examples is infinite."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = super().forward(images)
        return torch.cat([torch.full_like(logits[:, :1], -math.inf), logits[:, 1:]], dim=1)


class Tied(torch.nn.Module):
    """Two layers with one matrix, as an encoder that reads twice has."""

    def __init__(self, shape: list[int], classes: int) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(64, 64), torch.nn.Linear(64, 64)
        self.second.weight = self.first.weight
        self.last = torch.nn.Linear(64, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.last(self.second(self.first(images.flatten(1)).relu()).relu())
        return logits


class Closed(torch.nn.Linear):
    """Made for one data set."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__(64, classes)


class ByName(torch.nn.Linear):
    """Takes no argument by its place."""

    def __init__(self, *, shape: list[int], classes: int) -> None:
        super().__init__(64, classes)


class Empty(torch.nn.Flatten):
    """A model that has nothing to train."""

    def __init__(self, shape: list[int], classes: int) -> None:
        super().__init__()


def own(name: str, *words: str) -> Config:
    target = f"model._target_=test_own_models.{name}"
    return configured("model=linear", target, "allow=[test_own_models]", *words)


def test_a_layer_without_a_gradient_has_norm_0_and_one_that_is_not_trained_has_none() -> None:
    (row,) = trained(own("Odd"))[2]
    assert len(row.gradients) == 2
    assert row.gradients[0] > 0 and row.gradients[1] == 0
    assert trained(own("OnlyScales"))[2][0].gradients == ()


def test_a_batch_moves_no_layer_that_had_no_part_in_it() -> None:
    """Adam's momentum would, were the gradient 0 instead of none."""
    config = own("OnceOnly")
    state = trainer.start(config, CPU)
    start, training = state.model.unused.weight.clone(), trainer.fit(state, digits(config), config)
    next(training)
    moved = state.model.unused.weight.clone()
    next(training)
    assert not torch.equal(moved, start)
    assert torch.equal(state.model.unused.weight, moved)


def test_a_model_that_draws_in_evaluation_draws_the_same_again() -> None:
    config = own("Drawing")
    state, splits, _ = trained(config)
    first = trainer.final(state.model, splits.test, config)[1]
    torch.rand(17)
    assert torch.equal(trainer.final(state.model, splits.test, config)[1], first)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Closed", "ByName"])
def test_a_class_without_places_for_shape_and_classes_is_told_of_them(
    tmp_path: Path, name: str
) -> None:
    line = (
        rf"^model\._target_=test_own_models\.{name}: takes \(.*\).*; allowed is what takes the "
        rf"shape of an image and the number of classes first$"
    )
    with pytest.raises(BadInput, match=line):
        trial(tmp_path, f"model._target_=test_own_models.{name}")


def test_a_model_without_parameters_is_refused() -> None:
    line = r"model\._target_=test_own_models\.Empty: allowed is a model that has parameters"
    with pytest.raises(BadInput, match=line):
        trainer.start(own("Empty"), CPU)


@pytest.mark.slow
def test_a_matrix_that_layers_share_is_recorded_under_each_name(tmp_path: Path) -> None:
    outcome = bring(tmp_path, "model._target_=test_own_models.Tied", "epochs=1")
    assert outcome.status == "FINISHED", outcome.reason
    kept = load_file(artifacts(tmp_path, outcome.run_id) / "weights.safetensors")
    assert kept.keys() >= {"first.weight", "second.weight"}
    assert torch.equal(kept["first.weight"], kept["second.weight"])
