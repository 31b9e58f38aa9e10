"""Augmented images: as SciPy maps them, and within the bounds that were asked for."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from composing import configured
from scipy.ndimage import map_coordinates
from torch import Tensor

from factorial.settings.schema import Augmentation
from factorial.training.augmentation import moved, moves

EVERYTHING = Augmentation(shift=2, rotation=10, scale=0.1, shear=10, elastic=0)


def made(settings: Augmentation, examples: int = 2000, seed: int = 0, epoch: int = 1) -> Tensor:
    drawn = moves(settings, examples, seed, epoch)
    assert drawn is not None and drawn.shape == (examples, 2, 3) and drawn.dtype == torch.float32
    return drawn


def by_scipy(image: Tensor, move: Tensor) -> Tensor:
    """[height, width]: each pixel from where the move says, between its four neighbours."""
    height, width = image.shape
    rows, columns = np.mgrid[:height, :width]
    x, y = columns - (width - 1) / 2, rows - (height - 1) / 2
    (a, b, c), (d, e, f) = move.double().tolist()
    places = [d * x + e * y + f + (height - 1) / 2, a * x + b * y + c + (width - 1) / 2]
    return torch.from_numpy(
        map_coordinates(image.double().numpy(), places, order=1, mode="grid-constant")
    ).float()


@pytest.mark.parametrize("shape", [(12, 12), (8, 13), (13, 8)])
def test_pixels_come_from_where_the_move_says(shape: tuple[int, int]) -> None:
    images = torch.rand(40, 3, *shape, generator=torch.Generator().manual_seed(0))
    drawn = made(Augmentation(shift=3, rotation=60, scale=0.4, shear=30, elastic=0), examples=40)
    wanted = [
        torch.stack([by_scipy(channel, move) for channel in image])
        for image, move in zip(images, drawn, strict=True)
    ]
    torch.testing.assert_close(moved(images, drawn), torch.stack(wanted), rtol=0, atol=2e-5)


def test_a_shift_is_by_whole_pixels_in_either_direction_and_leaves_black_behind() -> None:
    images = torch.rand(1, 1, 6, 9)
    right_and_up = torch.tensor([[[1.0, 0, -2], [0, 1, 1]]])
    wanted = torch.zeros_like(images)
    wanted[..., :-1, 2:] = images[..., 1:, :-2]
    torch.testing.assert_close(moved(images, right_and_up), wanted, rtol=0, atol=1e-5)
    offsets = made(Augmentation(shift=2, rotation=0, scale=0, shear=0, elastic=0))
    assert torch.equal(offsets[:, :, :2], torch.eye(2).expand(2000, 2, 2))
    for axis in (0, 1):
        shares = torch.bincount((offsets[:, axis, 2] + 2).long(), minlength=5) / 2000
        assert len(shares) == 5
        torch.testing.assert_close(shares, torch.full((5,), 0.2), rtol=0, atol=0.04)


def angle_scale_shear(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of R(angle) [[1, tan(shear)], [0, 1]] / scale: degrees, a factor, degrees; each [n]."""
    scale = 1 / torch.linalg.det(matrix).sqrt()
    angle = torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0])
    cosine, sine = angle.cos(), angle.sin()
    slope = (cosine * matrix[:, 0, 1] + sine * matrix[:, 1, 1]) * scale
    return torch.rad2deg(angle), scale, torch.rad2deg(slope.atan())


@pytest.mark.parametrize(
    ("settings", "most"),
    [
        (Augmentation(shift=0, rotation=30, scale=0, shear=0, elastic=0), (30, 0, 0)),
        (Augmentation(shift=0, rotation=0, scale=0.25, shear=0, elastic=0), (0, 0.25, 0)),
        (Augmentation(shift=0, rotation=0, scale=0, shear=20, elastic=0), (0, 0, 20)),
        (Augmentation(shift=1, rotation=30, scale=0.25, shear=20, elastic=0), (30, 0.25, 20)),
    ],
)
def test_what_is_drawn_fills_its_bounds_evenly(
    settings: Augmentation, most: tuple[float, float, float]
) -> None:
    angle, scale, shear = angle_scale_shear(made(settings)[:, :, :2])
    for drawn, bound in zip((angle, scale - 1, shear), most, strict=True):
        assert drawn.abs().max() <= bound + 1e-3
        if bound:
            assert drawn.mean().abs() < 0.05 * bound
            assert drawn.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)  # uniform
    together = torch.stack([angle, scale, shear])[torch.tensor(most) > 0]
    if len(together) > 1:  # each its own
        assert (together.corrcoef() - torch.eye(len(together))).abs().max() < 0.1


def keys(side: int) -> np.ndarray:
    """[side, 4]: how much each knot weighs at each pixel, the outer ones at the ends: Keys' cubic
    convolution (1981) with a = -0.75, neighbours beyond the border as those on it."""
    weights = np.zeros((side, 4))
    for place in range(side):
        at = place * 3 / (side - 1)
        for knot in range(math.floor(at) - 1, math.floor(at) + 3):
            away = abs(at - knot)
            near = 1.25 * away**3 - 2.25 * away**2 + 1
            far = -0.75 * away**3 + 3.75 * away**2 - 6 * away + 3
            weights[place, min(max(knot, 0), 3)] += near if away <= 1 else far
    return weights


def by_keys(knots: Tensor, height: int, width: int) -> np.ndarray:
    """[4, 4] -> [height, width]."""
    return keys(height) @ knots.double().numpy() @ keys(width).T


def test_a_bent_image_comes_from_where_the_move_and_the_field_between_the_knots_say() -> None:
    height, width = 13, 17
    images = torch.rand(20, 1, height, width, generator=torch.Generator().manual_seed(0))
    settings = Augmentation(shift=2, rotation=20, scale=0.2, shear=20, elastic=2)
    drawn = moves(settings, 20, seed=0, epoch=1)
    assert drawn is not None and drawn.shape == (20, 2, 3 + 16)
    rows, columns = np.mgrid[:height, :width].astype(float)
    rows, columns = rows - (height - 1) / 2, columns - (width - 1) / 2
    for image, move, got in zip(images[:, 0], drawn, moved(images, drawn)[:, 0], strict=True):
        (a, b, c), (d, e, f) = move[:, :3].double().tolist()
        right, down = (by_keys(knots.reshape(4, 4), height, width) for knots in move[:, 3:])
        x, y = a * columns + b * rows + c + right, d * columns + e * rows + f + down
        wanted = map_coordinates(
            image.double().numpy(),
            [y + (height - 1) / 2, x + (width - 1) / 2],
            order=1,
            mode="grid-constant",
        )
        torch.testing.assert_close(got.double(), torch.from_numpy(wanted), rtol=0, atol=2e-5)


def test_displacements_fill_their_bounds_evenly_and_leave_what_else_is_drawn_as_it_was() -> None:
    drawn = moves(replace(EVERYTHING, elastic=1.5), 2000, seed=0, epoch=1)
    assert drawn is not None
    assert torch.equal(drawn[..., :3], made(EVERYTHING))
    bent = drawn[..., 3:]
    assert 1.49 < bent.abs().max() <= 1.5
    assert bent.std(dim=0).sub(1.5 / math.sqrt(3)).abs().max() < 0.06  # uniform
    assert bent.flatten(1).T.corrcoef().sub(torch.eye(32)).abs().max() < 0.12  # each its own


def test_nothing_is_drawn_where_nothing_moves() -> None:
    assert moves(configured().augmentation, 10, seed=0, epoch=1) is None


def test_moves_are_of_the_seed_and_the_epoch_and_of_nothing_else() -> None:
    first = made(EVERYTHING)
    torch.rand(17)
    assert torch.equal(first, made(EVERYTHING))
    assert not torch.equal(first, made(EVERYTHING, seed=1))
    assert not torch.equal(first, made(EVERYTHING, epoch=2))
    assert len(first.unique(dim=0)) == 2000


@pytest.mark.slow
def test_the_options_of_the_group() -> None:
    assert configured("augmentation=shift").augmentation == Augmentation(2, 0, 0, 0, 0)
    assert configured("augmentation=affine").augmentation == Augmentation(2, 10, 0.1, 10, 0)
    assert configured("augmentation=elastic").augmentation == Augmentation(1, 7, 0.1, 5, 1)
    turned = configured("augmentation.rotation=5.5").augmentation
    assert turned == Augmentation(0, 5.5, 0, 0, 0)
