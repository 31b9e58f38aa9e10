"""What a model is worth: losses, accuracies and closing metrics, worked out elsewhere too."""

import math

import pytest
import torch
import torch.nn.functional as F
from composing import CPU, configured, digits, put
from sklearn.metrics import accuracy_score

from factorial.results import Epoch, Evaluation
from factorial.settings.schema import Config
from factorial.training import trainer
from factorial.training.data import Data, Split, whole
from factorial.training.examples import Examples


def trained(config: Config, epochs: int = 1) -> tuple[trainer.State, Data, list[Epoch]]:
    config = put(config, "epochs.count", epochs)
    state, splits = trainer.start(config, CPU), digits(config)
    return state, splits, list(trainer.epochs(state, splits, config))


def test_accuracy_and_loss_equal_those_of_scikit_learn_and_of_torch() -> None:
    config = configured("model=linear", "optimizer=sgd")
    state, splits, _ = trained(config, epochs=3)
    evaluation = trainer.evaluate(state.model, splits.test, "float32")
    images, labels = splits.test[torch.arange(len(splits.test))]
    with torch.no_grad():
        logits = state.model(images)
    assert evaluation is not None
    assert evaluation.accuracy == accuracy_score(labels.numpy(), logits.argmax(1).numpy())
    assert evaluation.loss == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)


def row_of(epoch: int, accuracy: float | None) -> Epoch:
    validation = None if accuracy is None else Evaluation(1.0, accuracy)
    return Epoch(epoch, 1.0, validation, 0.1, (), "")


@pytest.mark.parametrize(
    ("accuracies", "best"),
    [
        ([0.5], {"best/validation_accuracy": 0.5, "best/epoch": 1}),
        ([0.5, 0.9, 0.7, 0.9], {"best/validation_accuracy": 0.9, "best/epoch": 2}),
        ([0.0, 0.0], {"best/validation_accuracy": 0.0, "best/epoch": 1}),
        ([None, None], {}),
        ([], {}),
    ],
)
def test_the_best_epoch_is_the_first_with_the_highest_validation_accuracy(
    accuracies: list[float | None], best: dict[str, float]
) -> None:
    rows = [row_of(epoch, accuracy) for epoch, accuracy in enumerate(accuracies, start=1)]
    assert trainer.best(rows) == best


def examples(count: int) -> Split:
    drawn = torch.Generator().manual_seed(0)
    images = torch.randint(0, 17, (count, 1, 8, 8), dtype=torch.uint8, generator=drawn)
    return whole(Examples(images, torch.randint(0, 10, (count,), generator=drawn)), white=16)


def test_logits_are_those_of_each_example_in_order_in_float32() -> None:
    """2,500 examples, which are more than are evaluated at once."""
    model, split = trainer.start(configured(), CPU).model, examples(2500)
    for precision in ("float32", "bfloat16"):
        logits = trainer.predict(model, split, precision)
        assert logits.shape == (2500, 10) and logits.dtype == torch.float32
        assert not logits.requires_grad
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, precision == "bfloat16"):
            wanted = model(split.images.float() / 16).float()
        torch.testing.assert_close(logits, wanted, rtol=1e-2, atol=1e-2)
    exact = trainer.predict(model, split, "float32")
    assert not torch.equal(logits, exact)
    torch.testing.assert_close(exact, model(split.images.float() / 16), rtol=1e-5, atol=1e-6)


def test_to_predict_changes_nothing_and_drops_nothing() -> None:
    """Batch norm's running means are those of training, and every unit counts."""
    norm, drop = torch.nn.BatchNorm1d(64), torch.nn.Dropout(0.5)
    model, split = torch.nn.Sequential(torch.nn.Flatten(), norm, drop), examples(300)
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    logits = trainer.predict(model, split, "float32")
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    wanted = split.images.float().flatten(1) / 16 / (1 + norm.eps) ** 0.5
    torch.testing.assert_close(logits, wanted)


def test_nothing_held_out_is_no_evaluation() -> None:
    model = trainer.start(configured(), CPU).model
    assert trainer.evaluate(model, examples(0), "float32") is None
    assert trainer.evaluate(model, examples(1), "float32") is not None


def test_loss_and_accuracy_of_logits_that_can_be_worked_out_by_hand() -> None:
    """Three examples of two classes: softmax of (0, log 3) is (1/4, 3/4)."""
    logits = torch.tensor([[0.0, math.log(3)]] * 3)
    evaluation = trainer.judge(logits, torch.tensor([1, 1, 0]))
    assert evaluation.accuracy == 2 / 3
    assert evaluation.loss == pytest.approx((2 * math.log(4 / 3) + math.log(4)) / 3)


def test_closing_metrics_are_those_of_the_test_set_and_the_parameters() -> None:
    config = configured("model=mlp", "model.hidden=[16]")
    state, splits, _ = trained(config, epochs=2)
    closing, logits = trainer.final(state.model, splits.test, config)
    assert list(closing) == ["test/loss", "test/accuracy", "parameters"]
    assert closing["parameters"] == 64 * 16 + 16 + 16 * 10 + 10
    labels = splits.test.labels
    assert closing["test/accuracy"] == accuracy_score(labels.numpy(), logits.argmax(1).numpy())
    assert closing["test/loss"] == pytest.approx(F.cross_entropy(logits, labels).item())


def test_accuracy_as_published_is_that_on_pixels_that_are_not_divided() -> None:
    config = configured("data.test_unscaled=true", "optimizer.lr=0.01")
    state, splits, _ = trained(config, epochs=2)
    closing, logits = trainer.final(state.model, splits.test, config)
    with torch.no_grad():
        wanted = state.model(splits.test.images.float()).argmax(1)
    share = (wanted == splits.test.labels).sum().item() / 360
    assert closing["test/accuracy_as_published"] == share != closing["test/accuracy"]
    scaled = trainer.predict(state.model, splits.test, "float32")
    assert torch.equal(logits, scaled)
