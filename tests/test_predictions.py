"""What is kept of a run's predictions, against scikit-learn."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import configured, digits
from safetensors.numpy import save
from sklearn.metrics import confusion_matrix, log_loss

from factorial.record import predictions
from factorial.record.predictions import Predictions
from factorial.training import trainer


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.Tensor, Predictions]:
    config = configured("model=linear", "optimizer=sgd")
    state, splits = trainer.start(config, torch.device("cpu")), digits(config)
    next(trainer.fit(state, splits, config))
    logits = trainer.final(state.model, splits.test, config)[1]
    file = tmp_path_factory.mktemp("run") / predictions.FILE
    seen = (logits, splits.test.labels, splits.test.images)
    file.write_bytes(predictions.pack(*(tensor.numpy() for tensor in seen)))
    found = predictions.unpack(file)
    assert found is not None
    return logits, found


def test_the_confusion_matrix_is_scikit_learns(made: tuple[torch.Tensor, Predictions]) -> None:
    _, found = made
    expected = confusion_matrix(found.labels, found.predicted, labels=range(10))
    assert predictions.confusion(found).tolist() == expected.tolist()


@pytest.mark.parametrize(("classes", "dtype"), [(256, "uint8"), (257, "uint16")])
def test_a_class_has_room_for_its_number(tmp_path: Path, classes: int, dtype: str) -> None:
    labels = np.arange(classes)
    packed = predictions.pack(np.eye(classes, dtype=np.float32), labels, np.zeros((classes, 1)))
    (file := tmp_path / "file").write_bytes(packed)
    found = predictions.unpack(file)
    assert found is not None and found.labels.dtype == found.predicted.dtype == dtype
    assert found.labels.tolist() == found.predicted.tolist() == labels.tolist()


def test_losses_are_cross_entropies(made: tuple[torch.Tensor, Predictions]) -> None:
    logits, found = made
    expected = log_loss(found.labels, logits.double().softmax(1), labels=range(10))
    assert found.losses.mean().item() == pytest.approx(expected, rel=1e-5)


def test_the_hardest_are_the_misread_with_the_highest_loss(
    made: tuple[torch.Tensor, Predictions],
) -> None:
    _, found = made
    wrong = [i for i in range(360) if found.labels[i] != found.predicted[i]]
    expected = sorted(wrong, key=lambda i: -found.losses[i].item())[: predictions.SHOWN]
    assert found.hardest.tolist() == expected
    assert (found.images == digits(configured()).test.images.numpy()[found.hardest]).all()


@pytest.mark.parametrize("content", [b"", b"no such format", bytes(100)])
def test_a_damaged_file_is_as_good_as_none(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / predictions.FILE
    assert predictions.unpack(file) is None
    file.write_bytes(content)
    assert predictions.unpack(file) is None


def test_a_file_that_contradicts_itself_is_as_good_as_none(
    made: tuple[torch.Tensor, Predictions], tmp_path: Path
) -> None:
    _, found = made
    file = tmp_path / predictions.FILE
    for broken in (
        found._replace(labels=found.labels[:0]),
        found._replace(predicted=found.predicted[:-1]),
        found._replace(hardest=found.hardest + 1000),
        found._replace(images=found.images[:1]),
    ):
        file.write_bytes(save(broken._asdict()))
        assert predictions.unpack(file) is None
