"""Training images shifted, turned, stretched, sheared and bent at random: one grid a batch."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from factorial.settings.schema import Augmentation
from factorial.training.environment import derive_seed

DRAWN = 5  # numbers for each example: rotation, scale, shear, shift to the right, shift downwards
KNOTS = 4  # along each axis: where an elastic displacement is drawn


def moves(settings: Augmentation, examples: int, seed: int, epoch: int) -> Tensor | None:
    """Where each pixel of an augmented image comes from: float32 [examples, 2, 3 or more], on the
    CPU.

    A matrix and an offset, in pixels from the centre, for each example by its place in the split:
    whatever the batches, an example is moved alike. Where images are bent, each row goes on with
    displacements of KNOTS x KNOTS places, in pixels, to the right and downwards. None where nothing
    moves.
    """
    if not any(vars(settings).values()):
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
    affine = torch.cat([matrix, -shift.reshape(-1, 2, 1)], dim=2)
    if not settings.elastic:
        return affine
    knots = torch.rand(examples, 2, KNOTS**2, generator=generator) * 2 - 1
    return torch.cat([affine, knots * settings.elastic], dim=2)


def moved(images: Tensor, moves: Tensor) -> Tensor:
    """Images float32 [n, channels, height, width], each by its move [n, 2, 3 or more]; bilinear.

    Displacements at the knots are bicubic between them, the outer ones at the corners of the image
    (coarse grids as of Ronneberger et al. 2015, section 3.1). What comes from beyond the border
    is 0.
    """
    height, width = images.shape[-2:]
    # grids reach from -1 to 1 on both axes, whatever the image's sides
    units = moves.new_tensor([[1, height / width, 2 / width], [width / height, 1, 2 / height]])
    grid = F.affine_grid(moves[..., :3] * units, list(images.shape), align_corners=False)
    if moves.shape[2] > 3:
        knots = moves[..., 3:].unflatten(2, (KNOTS, KNOTS))
        bent = F.interpolate(knots, (height, width), mode="bicubic", align_corners=True)
        grid = grid + bent.movedim(1, 3) * moves.new_tensor([2 / width, 2 / height])
    return F.grid_sample(images, grid, align_corners=False)
