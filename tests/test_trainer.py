"""The training step against closed forms, torch's own classes and scikit-learn."""

import copy
import itertools
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from composing import CPU, configured, digits, put
from torch.optim import lr_scheduler

from factorial.results import Epoch
from factorial.settings.places import CONF
from factorial.settings.schema import Config
from factorial.training import trainer
from factorial.training.data import Data
from factorial.training.environment import derive_seed, permutation

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.001),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.01),
    "adadelta": lambda p: torch.optim.Adadelta(p, lr=1.0),
    "adam": lambda p: torch.optim.Adam(p, lr=0.001),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.001, weight_decay=0.01),
    "nadam": lambda p: torch.optim.NAdam(p, lr=0.001),
    "radam": lambda p: torch.optim.RAdam(p, lr=0.001),
}


def trained(config: Config, epochs: int = 1) -> tuple[trainer.State, Data, list[Epoch]]:
    config = put(config, "epochs.count", epochs)
    state, splits = trainer.start(config, CPU), digits(config)
    return state, splits, list(trainer.epochs(state, splits, config))


def weights(state: trainer.State) -> list[torch.Tensor]:
    """And buffers."""
    return [value.clone() for value in state.model.state_dict().values()]


def equal(left: trainer.State, right: trainer.State) -> bool:
    return all(map(torch.equal, weights(left), weights(right)))


@pytest.mark.parametrize("model", ["linear", "mlp"])
def test_untrained_loss_is_near_log_of_the_number_of_classes(model: str) -> None:
    config = configured(f"model={model}")
    evaluation = trainer.evaluate(trainer.start(config, CPU).model, digits(config).test, "float32")
    assert evaluation is not None
    assert evaluation.loss == pytest.approx(math.log(10), abs=0.25)


def test_one_sgd_step_equals_the_closed_form() -> None:
    """Softmax regression: dL/dW = mean of (softmax(Wx + b) - onehot(y)) x^T; W -= lr dL/dW."""
    config = configured("model=linear", "optimizer=sgd", "data.batch_size=1293")
    before = trainer.start(config, CPU)
    weight, bias = (parameter.double() for parameter in weights(before))
    after, splits, _ = trained(config)
    images, labels = splits.train[torch.arange(len(splits.train))]
    inputs = images.flatten(1).double()
    error = (inputs @ weight.T + bias).softmax(1) - F.one_hot(labels, 10)
    expected = weight - 0.1 * error.T @ inputs / len(labels), bias - 0.1 * error.mean(0)
    for actual, wanted in zip(weights(after), expected, strict=True):
        torch.testing.assert_close(actual.double(), wanted, rtol=0, atol=1e-6)


def test_the_training_loss_is_the_mean_over_examples_whatever_the_last_batch() -> None:
    """With a learning rate that changes nothing, every batch meets the same weights."""
    config = configured("optimizer=sgd", "optimizer.lr=1e-30", "data.batch_size=500")
    state, splits, (row,) = trained(config)
    whole = trainer.evaluate(state.model, splits.train, "float32")
    assert whole is not None
    assert row.train_loss == pytest.approx(whole.loss, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_optimizer_steps_like_the_class_that_it_names(name: str) -> None:
    assert set(OPTIMIZERS) == {file.stem for file in (CONF / "optimizer").glob("*.yaml")}
    config = configured("model=linear", f"optimizer={name}", "data.drop_last=true")
    reference = trainer.start(config, CPU).model
    optimizer = OPTIMIZERS[name](reference.parameters())
    state, splits, _ = trained(config)
    for index in permutation(len(splits.train), derive_seed(0, "order", 1)).split(100)[:-1]:
        images, labels = splits.train[index]
        optimizer.zero_grad()
        F.cross_entropy(reference(images), labels).backward()
        optimizer.step()
    for actual, wanted in zip(weights(state), reference.parameters(), strict=True):
        torch.testing.assert_close(actual, wanted.detach(), rtol=1e-4, atol=1e-5)


def test_another_optimizer_of_torch_needs_no_code() -> None:
    config = configured(
        "model=linear", "optimizer=rmsprop", "optimizer._target_=torch.optim.Adamax"
    )
    assert isinstance(trainer.start(config, CPU).optimizer, torch.optim.Adamax)


@pytest.mark.parametrize(
    ("name", "reference"),
    {
        "constant": lambda optimizer, steps: lr_scheduler.LambdaLR(optimizer, lambda step: 1.0),
        "cosine": lambda optimizer, steps: lr_scheduler.CosineAnnealingLR(optimizer, steps),
        "one_cycle": lambda optimizer, steps: lr_scheduler.OneCycleLR(optimizer, 0.1, steps),
    }.items(),
)
def test_each_schedule_is_the_one_of_torch_over_the_whole_run(name: str, reference) -> None:
    config = configured("model=linear", "optimizer=sgd", f"schedule={name}", "epochs.count=2")
    state = trainer.start(config, CPU)
    optimizer = torch.optim.SGD(trainer.start(config, CPU).model.parameters(), lr=0.1)
    expected = reference(optimizer, config.steps)
    optimizer.step()
    for _ in range(config.steps - 1):
        assert state.schedule.get_last_lr() == pytest.approx(expected.get_last_lr(), abs=1e-12)
        state.optimizer.step()
        state.schedule.step()
        expected.step()


def test_one_seed_gives_equal_bits_and_two_seeds_do_not() -> None:
    first, again, other = (trained(configured(f"seed={seed}"))[0] for seed in (0, 0, 1))
    assert equal(first, again)
    assert not equal(first, other)


def test_weights_do_not_depend_on_what_was_drawn_before() -> None:
    config, drawn = configured(), torch.get_rng_state()
    first = trainer.start(config, CPU)
    assert torch.equal(torch.get_rng_state(), drawn)
    torch.rand(17)
    assert equal(first, trainer.start(config, CPU))


@pytest.mark.parametrize("schedule", ["constant", "one_cycle"])
def test_stopped_at_any_batch_and_gone_on_equals_never_stopped(schedule: str) -> None:
    words = ("model.hidden=[32]", "optimizer=adam", f"schedule={schedule}", "epochs.count=3")
    config = configured(*words)
    straight, splits, rows = trained(config, epochs=3)
    first = trainer.start(config, CPU)
    stopped = list(itertools.islice(trainer.fit(first, splits, config), 20))
    assert (first.epoch, first.batch) == (1, 7)
    second = trainer.start(config, CPU)
    second.restore(copy.deepcopy(first.tree()))
    later = list(trainer.fit(second, splits, config))
    assert equal(straight, second)
    resumed = [row for row in (*stopped, *later) if isinstance(row, Epoch)]
    assert [row._replace(seconds=0) for row in rows] == [row._replace(seconds=0) for row in resumed]


def test_events_are_the_positions_within_an_epoch_and_its_row_at_the_end() -> None:
    config = configured("model=linear", "data.batch_size=500", "epochs.count=2")
    state, seen = trainer.start(config, CPU), []
    for event in trainer.fit(state, digits(config), config):
        assert isinstance(event, Epoch) or event == state.position
        seen.append(tuple(state.position))
    assert seen == [(0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0)]


def test_what_a_state_holds_is_all_in_its_tree_and_back() -> None:
    config = configured("optimizer=momentum", "schedule=cosine", "data.batch_size=500")
    state, splits = trainer.start(config, CPU), digits(config)
    list(itertools.islice(trainer.fit(state, splits, config), 2))
    tree = copy.deepcopy(state.tree())
    other = trainer.start(configured("optimizer=momentum", "schedule=cosine", "seed=1"), CPU)
    other.restore(tree)
    assert equal(state, other)
    for one, again in ((state.optimizer, other.optimizer), (state.schedule, other.schedule)):
        assert str(one.state_dict()) == str(again.state_dict())
    assert (other.epoch, other.batch, other.position) == (0, 2, (0, 2))
    assert other.seconds == state.seconds > 0
    assert other.loss == state.loss > 0
    assert other.gradients.tolist() == state.gradients.tolist() and len(state.gradients) == 3


def test_going_on_leaves_the_sums_that_it_was_given_as_they_are() -> None:
    config = configured("model=linear", "data.batch_size=500")
    first, splits = trainer.start(config, CPU), digits(config)
    next(trainer.fit(first, splits, config))
    tree = first.tree()
    loss, gradients = tree["loss"].clone(), tree["gradients"].clone()
    second = trainer.start(config, CPU)
    second.restore(tree)
    next(trainer.fit(second, splits, config))
    assert torch.equal(tree["loss"], loss) and torch.equal(tree["gradients"], gradients)


@pytest.mark.parametrize("stopped_after", [0, 2, 15, 20])
def test_the_seconds_of_an_epoch_are_those_of_its_batches_and_its_evaluation(
    stopped_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that goes a second on whenever it is read: 13 batches and an evaluation."""
    monkeypatch.setattr(trainer.time, "perf_counter", itertools.count().__next__)
    config = configured("model=linear", "epochs.count=2")
    first, splits = trainer.start(config, CPU), digits(config)
    events = list(itertools.islice(trainer.fit(first, splits, config), stopped_after))
    second = trainer.start(config, CPU)
    second.restore(first.tree())
    events += trainer.fit(second, splits, config)
    assert [event.seconds for event in events if isinstance(event, Epoch)] == [14, 14]


def test_randomness_inside_a_model_is_derived_too() -> None:
    """Dropout and batch norm, stopped in mid-epoch, go on as if they had not been."""

    def dropping(config: Config) -> trainer.State:
        state = trainer.start(config, CPU)
        state.model.insert(1, torch.nn.Dropout(0.5))
        state.model.insert(2, torch.nn.BatchNorm1d(64))
        return state

    config = configured("model=linear", "epochs.count=2")
    splits, straight, first, second = digits(config), *(dropping(config) for _ in range(3))
    list(trainer.fit(straight, splits, config))
    list(itertools.islice(trainer.fit(first, splits, config), 5))
    torch.rand(17)
    second.restore(copy.deepcopy(first.tree()))
    list(trainer.fit(second, splits, config))
    assert equal(straight, second)


MODELS = sorted(file.stem for file in (CONF / "model").glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize(("model", "optimizer"), itertools.product(MODELS, OPTIMIZERS))
def test_every_model_trains_with_every_optimizer(model: str, optimizer: str) -> None:
    config = configured(f"model={model}", f"optimizer={optimizer}")
    before, (after, _, rows) = trainer.start(config, CPU), trained(config)
    assert not equal(before, after)
    assert math.isfinite(rows[0].train_loss)


def test_bfloat16_keeps_weights_in_float32_and_comes_close() -> None:
    exact, splits, _ = trained(configured("model.hidden=[32]"), epochs=8)
    config = configured("model.hidden=[32]", "device.precision=bfloat16")
    rounded, _, _ = trained(config, epochs=8)
    assert {parameter.dtype for parameter in rounded.model.parameters()} == {torch.float32}
    shares = [trainer.evaluate(exact.model, splits.test, "float32")]
    shares += [trainer.evaluate(rounded.model, splits.test, "bfloat16")]
    accuracies = [share.accuracy for share in shares if share is not None]
    assert accuracies[1] == pytest.approx(accuracies[0], abs=0.03)


def test_a_loss_that_is_not_finite_ends_training() -> None:
    with pytest.raises(trainer.Diverged, match=r"the training loss is (nan|inf) in epoch 1"):
        trained(configured("optimizer=sgd", "optimizer.lr=1e30"))


def test_a_later_epoch_that_diverges_is_named() -> None:
    state, splits, _ = trained(configured("model=linear"))
    state.model[1].weight.data.fill_(math.nan)
    with pytest.raises(trainer.Diverged, match="the training loss is nan in epoch 2"):
        next(trainer.epochs(state, splits, configured("model=linear", "epochs.count=2")))


def test_without_validation_there_is_no_validation_row() -> None:
    config = configured("data.validation_share=0")
    _, splits, (row,) = trained(config)
    assert len(splits.train) == 1437
    assert row.validation is None


def test_the_step_stands_once() -> None:
    sources = Path(trainer.__file__).parent.glob("*.py")
    assert sum(source.read_text().count(".backward()") for source in sources) == 1


def test_without_the_last_batch_the_training_loss_is_the_mean_over_the_others() -> None:
    words = ("model=linear", "optimizer=sgd", "optimizer.lr=1e-30", "data.drop_last=true")
    state, splits, (row,) = trained(configured(*words))
    order = torch.randperm(
        1293, generator=torch.Generator().manual_seed(derive_seed(0, "order", 1))
    )
    images, labels = splits.train[order[:1200]]
    with torch.no_grad():
        wanted = F.cross_entropy(state.model(images), labels).item()
    assert row.train_loss == pytest.approx(wanted, rel=1e-5)
