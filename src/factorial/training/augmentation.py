"""Training images shifted, turned, stretched and sheared at random: one affine grid a batch."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from factorial.settings.schema import Augmentation
from factorial.training.environment import derive_seed

DRAWN = 5  # numbers for each example: rotation, scale, shear, shift to the right, shift downwards


def moves(settings: Augmentation, examples: int, seed: int, epoch: int) -> Tensor | None:
    """Where each pixel of an augmented image comes from: float32 [examples, 2, 3], on the CPU.

    A matrix and an offset, in pixels from the centre, for each example by its place in the split:
    whatever the batches, an example is moved alike. None where nothing moves.
    """
    if not any((settings.shift, settings.rotation, settings.scale, settings.shear)):
        return None
    generator = torch.Generator().manual_seed(derive_seed(seed, "augmentation", epoch))
    drawn = torch.rand(examples, DRAWN, generator=generator) * 2 - 1
    angle, shear = (
        drawn[:, column] * math.radians(most)
        for column, most in ((0, settings.rotation), (2, settings.shear))
    )
    scale = 1 + drawn[:, 1] * settings.scale
    shift = (drawn[:, 3:] * (settings.shift + 0.5)).round().clamp(-settings.shift, settings.shift)
    cosine, sine, slope = angle.cos(), angle.sin(), shear.tan()
    turned = torch.stack([cosine, cosine * slope - sine, sine, sine * slope + cosine], dim=1)
    matrix = turned.reshape(-1, 2, 2) / scale.reshape(-1, 1, 1)
    return torch.cat([matrix, -shift.reshape(-1, 2, 1)], dim=2)


def moved(images: Tensor, moves: Tensor) -> Tensor:
    """Images float32 [n, channels, height, width], each by its move [n, 2, 3]; bilinear.

    What comes from beyond the border is 0.
    """
    height, width = images.shape[-2:]
    # grids reach from -1 to 1 on both axes, whatever the image's sides
    units = moves.new_tensor([[1, height / width, 2 / width], [width / height, 1, 2 / height]])
    grid = F.affine_grid(moves * units, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)
