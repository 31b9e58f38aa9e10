"""Pixels less their mean, by their deviation: of the images that are trained on, and no others."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from composing import CPU, configured, digits

from factorial.reuse.weights import Served
from factorial.training import data, trainer
from factorial.training.data import Split, whole
from factorial.training.examples import Examples


def everything(split: Split) -> torch.Tensor:
    return split[torch.arange(len(split))][0]


def test_off_by_default_pixels_are_divided_by_white_alone() -> None:
    split = digits(configured()).train
    assert split.scale is None
    assert torch.equal(everything(split), split.images.float() / 16)


def test_the_images_that_are_trained_on_have_mean_0_and_deviation_1() -> None:
    """By NumPy in double precision; the others are scaled by the same numbers."""
    splits = digits(configured("data.normalisation=standard"))
    pixels = splits.train.images.numpy() / 16
    mean, std = pixels.mean(), pixels.std()
    for split in (splits.train, splits.validation, splits.test):
        wanted = (split.images.numpy() / 16 - mean) / std
        assert np.allclose(everything(split).numpy(), wanted, atol=1e-6)
    assert everything(splits.train).double().mean().item() == pytest.approx(0, abs=1e-6)
    assert everything(splits.train).double().std().item() == pytest.approx(1, abs=1e-4)
    plain = digits(configured())
    everyone = torch.cat([plain.train.images, plain.validation.images]).numpy() / 16
    assert (
        splits.document()["mean"]
        == [pytest.approx(mean, rel=1e-6)]
        != [pytest.approx(everyone.mean(), rel=1e-6)]
    )


def coloured() -> Split:
    drawn = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (30, 3, 4, 5), dtype=torch.uint8, generator=drawn)
    images[:, 1] //= 4
    images[:, 2] = 7
    return whole(Examples(images, torch.arange(30) % 3), white=255)


def test_each_channel_has_its_own_and_one_that_never_varies_is_only_shifted() -> None:
    split = coloured()
    mean, std = data.statistics(split)
    pixels = split.images.numpy() / 255
    assert np.allclose(mean.flatten(), pixels.mean((0, 2, 3)), rtol=1e-6)
    assert np.allclose(std.flatten()[:2], pixels.std((0, 2, 3))[:2], rtol=1e-6)
    assert std.flatten()[2] == 1


def test_the_order_of_the_examples_does_not_matter() -> None:
    split = coloured()
    turned = split.at(torch.arange(29, -1, -1))
    for one, other in zip(data.statistics(split), data.statistics(turned), strict=True):
        assert torch.equal(one, other)


def test_unscaled_is_as_stored_whatever_the_scale() -> None:
    split = digits(configured("data.normalisation=standard", "data.test_unscaled=true")).test
    assert torch.equal(everything(split.unscaled()), split.images.float())


def test_it_changes_what_is_trained() -> None:
    losses = set()
    for kind in ("none", "standard"):
        config = configured(f"data.normalisation={kind}", "epochs.count=1")
        state = trainer.start(config, CPU)
        (row,) = trainer.epochs(state, digits(config), config)
        losses.add(row.train_loss)
    assert len(losses) == 2


def test_a_served_model_scales_the_pixels_as_it_was_trained() -> None:
    split = coloured()
    scale = data.statistics(split)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(60, 3))
    served = Served(model, 255, scale)(split.images.float())
    images = everything(replace(split, scale=scale))
    torch.testing.assert_close(served, model(images).softmax(1))
