"""What a step may have beside: augmentation, smoothing, clipping, an average of the weights."""

import copy
import itertools

import pytest
import torch
import torch.nn.functional as F
from composing import CPU, configured, digits, put
from torch import Tensor
from torch.utils import deterministic

from factorial.results import Epoch
from factorial.settings.schema import Config
from factorial.training import environment, trainer
from factorial.training.augmentation import moved, moves
from factorial.training.data import Data
from factorial.training.environment import derive_seed, permutation

MLP = ["model.hidden=[16]", "optimizer=sgd"]
CNN = ["model=cnn", "model.channels=[4,4]", "optimizer=adam"]
SMALL = [*MLP, "data.batch_size=400"]
INGREDIENTS = {
    "augmentation": [*MLP, "augmentation=affine"],
    "smoothing": [*MLP, "label_smoothing=0.2"],
    "clipping": [*MLP, "clip_norm=0.1"],
    "average": [*MLP, "ema_decay=0.9"],
    "cnn": CNN,
    "all": [*CNN, "augmentation=affine", "label_smoothing=0.1", "clip_norm=0.5", "ema_decay=0.9",
            "schedule=one_cycle"],
}  # fmt: skip


def trained(*words: str, epochs: int = 1) -> tuple[trainer.State, Data, list[Epoch]]:
    config = put(configured(*words), "epochs.count", epochs)
    state, splits = trainer.start(config, CPU), digits(config)
    return state, splits, list(trainer.epochs(state, splits, config))


def batches(config: Config, splits: Data) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Places, images and labels of the first epoch."""
    order = permutation(len(splits.train), derive_seed(0, "order", 1))
    return [(index, *splits.train[index]) for index in order.split(config.data.batch_size)]


def equal(left: torch.nn.Module, right: torch.nn.Module) -> bool:
    one, other = left.state_dict(), right.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.slow
@pytest.mark.parametrize("name", INGREDIENTS)
def test_stopped_in_mid_epoch_and_gone_on_equals_never_stopped(name: str) -> None:
    words = [*INGREDIENTS[name], "data.batch_size=400", "epochs.count=3"]
    straight, splits, rows = trained(*words, epochs=3)
    config = configured(*words)
    first, second = trainer.start(config, CPU), trainer.start(config, CPU)
    stopped = list(itertools.islice(trainer.fit(first, splits, config), 6))
    assert (first.epoch, first.batch) == (1, 2)
    torch.rand(17)
    second.restore(copy.deepcopy(first.tree()))
    later = list(trainer.fit(second, splits, config))
    assert equal(straight.model, second.model)
    assert equal(straight.evaluated, second.evaluated)
    resumed = [row for row in (*stopped, *later) if isinstance(row, Epoch)]
    assert [row._replace(seconds=0) for row in rows] == [row._replace(seconds=0) for row in resumed]


@pytest.mark.parametrize("name", INGREDIENTS)
def test_each_changes_what_is_trained_and_one_seed_gives_equal_bits(name: str) -> None:
    words = [*INGREDIENTS[name], "data.batch_size=400"]
    first, again = trained(*words)[0], trained(*words)[0]
    assert equal(first.evaluated, again.evaluated)
    assert not equal(first.evaluated, trained(*words, "seed=1")[0].evaluated)
    if MLP[0] in words:
        assert not equal(first.evaluated, trained(*SMALL)[0].evaluated)


def test_each_batch_is_of_examples_moved_as_their_places_say() -> None:
    config = configured(*SMALL, "augmentation=affine")
    state, splits, _ = trained(*SMALL, "augmentation=affine")
    beside = trainer.start(config, CPU)
    drawn = moves(config.augmentation, len(splits.train), 0, 1)
    assert drawn is not None
    for index, images, labels in batches(config, splits):
        pictures = images.reshape(-1, 1, 8, 8)
        loss = F.cross_entropy(beside.model(moved(pictures, drawn[index])), labels)
        beside.optimizer.zero_grad()
        loss.backward()
        beside.optimizer.step()
    assert equal(state.model, beside.model)


def test_validation_and_test_images_are_never_moved() -> None:
    """A step that changes nothing: the evaluation is that of images as they are."""
    words = [*SMALL, "optimizer.lr=1e-30"]
    (plain,), (augmented,) = trained(*words)[2], trained(*words, "augmentation=affine")[2]
    assert augmented.validation == plain.validation
    assert augmented.train_loss != plain.train_loss


def test_a_smoothed_loss_is_partly_of_all_classes() -> None:
    """(1 - s) * -log p(label) + s * mean over classes of -log p (Szegedy et al., 2016)."""
    words = [*SMALL, "optimizer.lr=1e-30", "data.batch_size=1293"]
    state, splits, (row,) = trained(*words, "label_smoothing=0.3")
    images, labels = splits.train[torch.arange(1293)]
    with torch.no_grad():
        logs = -state.model(images).log_softmax(1)
    expected = 0.7 * logs.gather(1, labels[:, None]).mean() + 0.3 * logs.mean()
    assert row.train_loss == pytest.approx(expected.item(), rel=1e-5)
    plain = trained(*words)[2][0]
    assert row.validation == plain.validation  # which is of the labels alone


def test_gradients_are_scaled_to_the_norm_where_they_are_longer() -> None:
    """g * min(1, most / |g|), |g| over all parameters together (Pascanu et al., 2013)."""
    for most in (0.05, 1e6):
        config = configured(*SMALL, f"clip_norm={most}")
        state, splits, _ = trained(*SMALL, f"clip_norm={most}")
        beside, lengths = trainer.start(config, CPU), []
        for _, images, labels in batches(config, splits):
            beside.optimizer.zero_grad()
            F.cross_entropy(beside.model(images), labels).backward()
            gradients = [weight.grad for weight in beside.model.parameters()]
            length = torch.cat([g.flatten() for g in gradients if g is not None]).norm()
            lengths.append(length.item())
            for gradient in gradients:
                assert gradient is not None
                gradient.mul_(min(1.0, most / lengths[-1]))
            beside.optimizer.step()
        assert (max(lengths) > most) is (most < 1)
        for one, other in zip(state.model.parameters(), beside.model.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_what_is_evaluated_is_the_average_of_the_weights_behind_each_step() -> None:
    """a = d * a + (1 - d) * w, from the first step's weights on, d growing with the steps behind it
    to the decay asked for; the model goes its way."""
    config = configured(*SMALL, "ema_decay=0.25")
    state, splits, (row,) = trained(*SMALL, "ema_decay=0.25")
    plain, _, _ = trained(*SMALL)
    assert equal(state.model, plain.model)
    beside, average, decays = trainer.start(config, CPU), [], []
    for step, (_, images, labels) in enumerate(batches(config, splits)):
        beside.optimizer.zero_grad()
        F.cross_entropy(beside.model(images), labels).backward()
        beside.optimizer.step()
        weights = [weight.detach().clone() for weight in beside.model.parameters()]
        decays.append(min(0.25, (1 + step) / (10 + step)))
        average = [
            decays[-1] * a + (1 - decays[-1]) * w
            for a, w in zip(average or weights, weights, strict=True)
        ]
    assert decays[1] < 0.25 == decays[-1]
    for one, other in zip(state.evaluated.parameters(), average, strict=True):
        torch.testing.assert_close(one.detach(), other, rtol=1e-5, atol=1e-6)
    assert row.validation == trainer.evaluate(state.evaluated, splits.validation, "float32")
    assert row.validation != trainer.evaluate(state.model, splits.validation, "float32")


def test_statistics_of_batch_norm_are_averaged_with_the_weights() -> None:
    words = ["model=cnn", "model.channels=[4,4]", "data.batch_size=400"]
    state, _, _ = trained(*words, "ema_decay=0.5")
    own, averaged = (dict(module.named_buffers()) for module in (state.model, state.evaluated))
    means = [name for name in own if name.endswith("running_mean")]
    assert len(means) == 2
    assert not any(torch.equal(own[name], averaged[name]) for name in means)


@pytest.mark.parametrize("name", INGREDIENTS)
def test_no_step_reads_memory_before_it_is_written(name: str, outputs: object) -> None:
    """Filled with NaN first, or left as it was, it gives the same bits."""
    words = [*INGREDIENTS[name], "data.batch_size=400"]
    environment.enter(configured(*words).device)
    assert not deterministic.fill_uninitialized_memory
    left, _, _ = trained(*words)
    deterministic.fill_uninitialized_memory = True
    assert torch.empty(3).isnan().all()
    filled, _, _ = trained(*words)
    assert equal(left.evaluated, filled.evaluated)
