"""What is kept of a run's predictions, against scikit-learn."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from composing import configured, digits
from running import artifacts, bring
from safetensors.numpy import load, save
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


# Held-out examples


def test_what_is_held_out_is_kept_as_the_test_set_is(outputs: Path) -> None:
    """Against the accuracy on record, and the images that are held out."""
    made = bring(outputs, "model=linear", "epochs=2")
    file = artifacts(outputs, made.run_id) / "held-out.safetensors"
    stored, read = load(file.read_bytes()), predictions.read(file)
    images = digits(configured("model=linear")).validation.images.numpy()
    assert (stored["labels"] == stored["predicted"]).mean() == pytest.approx(made.validation)
    assert stored["digest"].tobytes() == hashlib.sha256(images.tobytes()).digest()
    wrong = np.flatnonzero(stored["labels"] != stored["predicted"])
    expected = sorted(wrong.tolist(), key=lambda i: -stored["losses"][i].item())
    assert stored["hardest"].tolist() == expected
    assert (predictions.pixels(file) == images[expected]).all()
    assert read is not None and read.kept.tolist() == expected
    assert (read.labels == stored["labels"]).all() and (read.predicted == stored["predicted"]).all()


def test_nothing_is_kept_of_what_is_not_held_out(outputs: Path) -> None:
    made = bring(outputs, "model=linear", "epochs=1", "data.validation_share=0")
    kept = {file.name for file in artifacts(outputs, made.run_id).iterdir()}
    assert "predictions.safetensors" in kept and "held-out.safetensors" not in kept


def test_pixels_of_what_was_held_out_have_a_limit() -> None:
    labels = np.zeros(1000, dtype=np.int64)
    logits = np.tile(np.array([[0.0, 1.0]], dtype=np.float32), (1000, 1))
    images = np.ones((1000, 1, 28, 28), dtype=np.uint8)
    assert load(predictions.pack_held_out(logits, labels, images))["images"].shape[0] == 255


def test_equal_images_in_the_same_order_are_told_from_others(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (5, 1, 4, 4), dtype=np.uint8)
    logits, labels = np.eye(5, dtype=np.float32), np.arange(5)

    def digest(images: np.ndarray, labels: np.ndarray = labels) -> str:
        file = tmp_path / predictions.HELD_OUT
        file.write_bytes(predictions.pack_held_out(logits, labels, images))
        found = predictions.read(file)
        assert found is not None
        return found.images

    assert digest(images) == digest(images.copy(), labels[::-1])
    assert digest(images) != digest(images[::-1])


def test_a_file_without_a_digest_is_of_the_same_images_where_its_classes_are(
    made: tuple[torch.Tensor, Predictions], tmp_path: Path
) -> None:
    _, found = made
    file = tmp_path / predictions.FILE
    read = []
    for labels in (found.labels, found.labels[::-1].copy()):
        file.write_bytes(save(found._replace(labels=labels)._asdict()))
        read.append(predictions.read(file))
    first, other = read
    assert first is not None and other is not None and first.images != other.images
    assert first.kept.tolist() == found.hardest.tolist()


@pytest.mark.parametrize("content", [b"", b"no such format", bytes(100)])
def test_a_damaged_file_is_not_read(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / predictions.HELD_OUT
    assert predictions.read(file) is None
    file.write_bytes(content)
    assert predictions.read(file) is None


def test_what_contradicts_itself_is_not_read(
    made: tuple[torch.Tensor, Predictions], tmp_path: Path
) -> None:
    _, found = made
    file = tmp_path / predictions.FILE
    file.write_bytes(save(found._asdict()))
    assert predictions.read(file) is not None
    for broken in (
        found._replace(labels=found.labels[:0], predicted=found.predicted[:0]),
        found._replace(predicted=found.predicted[:-1]),
        found._replace(hardest=found.hardest + 1000),
        found._replace(hardest=found.hardest - 1000),
        found._replace(images=found.images[:1]),
        found._replace(images=found.images[:, 0, 0]),
        found._replace(images=np.zeros((), dtype=np.uint8)),
        found._replace(images=found.images.astype(np.float32)),
        found._replace(hardest=found.hardest.astype(np.float32)),
        found._replace(hardest=found.hardest[:, None]),
    ):
        file.write_bytes(save(broken._asdict()))
        assert predictions.read(file) is None


def test_so_many_images_are_not_fewer_whatever_a_file_calls_them(tmp_path: Path) -> None:
    """A record from elsewhere may state any digest: what is compared is of one length."""
    found = []
    for count in (4, 5):
        images, logits = np.zeros((count, 1, 2, 2), dtype=np.uint8), np.eye(count, dtype=np.float32)
        stored = load(predictions.pack_held_out(logits, np.arange(count), images))
        file = tmp_path / f"{count}.safetensors"
        file.write_bytes(save(stored | {predictions.DIGEST: np.zeros(32, dtype=np.uint8)}))
        found.append(predictions.read(file))
    first, other = found
    assert first is not None and other is not None and first.images != other.images
