"""Data as tensors: splits that are disjoint, stratified and complete, of the published files."""

import os
from pathlib import Path

import pytest
import sklearn.datasets
import torch
import torchvision.datasets
from composing import CPU, configured, digits

from factorial.training import data, downloads, examples
from factorial.training import digits as scikit


def rows(split: data.Split) -> list[bytes]:
    return [image.numpy().tobytes() for image in split.images]


def test_the_splits_are_disjoint_and_complete() -> None:
    splits = digits(configured())
    sizes = [len(split) for split in (splits.train, splits.validation, splits.test)]
    assert sizes == [1293, 144, 360]
    assert len(set(rows(splits.train) + rows(splits.validation) + rows(splits.test))) == 1797


def test_the_validation_split_is_stratified() -> None:
    labels = torch.arange(10).repeat_interleave(torch.arange(10, 110, 10))
    drawn = labels[examples.stratified(labels, size=55, seed=3)]
    assert torch.equal(torch.bincount(drawn), torch.arange(1, 11))


def test_a_stratified_draw_has_the_size_asked_for_and_no_index_twice() -> None:
    labels = torch.randint(0, 7, (997,), generator=torch.Generator().manual_seed(0))
    for size in (0, 1, 100, 996):
        assert len(set(examples.stratified(labels, size, seed=1).tolist())) == size


def test_the_test_set_does_not_depend_on_the_seed_of_the_validation_split() -> None:
    first, second = (digits(configured(f"data.seed={seed}")) for seed in (0, 1))
    assert torch.equal(first.test.images, second.test.images)
    assert not torch.equal(first.validation.images, second.validation.images)
    assert first.digest == second.digest


def test_a_batch_is_scaled_to_0_1_and_unscaled_as_stored() -> None:
    split = digits(configured()).test
    everything = torch.arange(len(split))
    assert split[everything][0].max() == 1.0
    assert split.unscaled()[everything][0].max() == 16.0
    assert split.images.dtype == torch.uint8


def test_digits_are_those_of_scikit_learn_with_and_without_its_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    theirs = sklearn.datasets.load_digits()
    direct = scikit.table()
    monkeypatch.setattr(scikit, "FILE", "sklearn/elsewhere.csv.gz")
    for table in (direct, scikit.table()):
        assert (table[:, :-1].reshape(-1, 8, 8) == theirs.images).all()
        assert (table[:, -1] == theirs.target).all()


@pytest.mark.mnist
def test_mnist_is_what_torchvision_reads() -> None:
    root = Path(os.environ["FACTORIAL_DATA"])
    for ours, train in zip(downloads.open_dataset("mnist", root), (True, False), strict=True):
        theirs = torchvision.datasets.MNIST(root, train=train)
        assert torch.equal(ours.images[:, 0], theirs.data)
        assert torch.equal(ours.labels, theirs.targets)


@pytest.mark.mnist
def test_mnist_has_the_published_sizes() -> None:
    from factorial.settings.combination import Combination
    from factorial.settings.parsing import parse

    splits = data.load(parse(Combination.compose([]).composed).data, CPU)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [
        54000,
        6000,
        10000,
    ]
    shares = torch.bincount(splits.validation.labels) / 6000
    whole = torch.bincount(torch.cat([splits.train.labels, splits.validation.labels])) / 60000
    torch.testing.assert_close(shares, whole, rtol=0, atol=1 / 6000)
