"""Image files as the data set has its images: grey, light on dark, centred, of one size."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from factorial.settings.messages import BadInput
from factorial.training.pixels import DAMAGED, decode

FORMATS = ("PNG", "JPEG")
SUFFIXES = (".png", ".jpg", ".jpeg")
# The share of the side that a digit fills: MNIST's fit 20 pixels of 28 (LeCun et al., 1998)
FILLED = {"mnist": 20 / 28, "kmnist": 1.0, "fashion_mnist": 1.0, "digits": 1.0}
INK = 0.15  # of the brightest pixel: what is darker is background
Array = NDArray[np.float32]


def files(words: Sequence[str]) -> list[Path]:
    """The files that are named, and those in folders that are. Raises BadInput."""
    if not words:
        raise BadInput("no image is named: allowed are PNG and JPEG files, or folders of them")
    files: list[Path] = []
    for path in map(Path, words):
        inside = sorted(f for f in path.glob("*") if f.suffix.lower() in SUFFIXES)
        if path.is_dir() and not inside:
            raise BadInput(f"{path}: no PNG or JPEG file is in this folder")
        if not path.exists():
            raise BadInput(f"{path}: there is no such file or folder")
        files += inside if path.is_dir() else [path]
    return files


def pixels(file: Path, shape: Sequence[int], data: str) -> Array:
    """An image as the data set has its own: float32 [*shape], 0 to 1. Raises BadInput.

    Digits and the like are drawn light on dark; what else there is, is as it is, resized.
    """
    if data in FILLED:
        return read(file, shape[-2:], data).reshape(shape)
    mode = {1: "L", 3: "RGB"}.get(shape[0])
    if mode is None or len(shape) != 3:
        raise BadInput(f"data.shape={list(shape)}: allowed are [1 or 3, height, width]")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BadInput(f"{file}: can't be read ({error.strerror}); allowed is an image") from error
    image: Array = decode(content, file, mode, shape[-2:]).float().div(255).numpy()
    return image


def read(file: Path, shape: Sequence[int], data: str) -> Array:
    """An image as float32 [height, width], 0 to 1, drawn light on dark. Raises BadInput."""
    try:
        with Image.open(file, formats=FORMATS) as opened:
            grey = to_grey(opened)
    except DAMAGED as error:
        raise BadInput(f"{file}: no image that can be read; allowed are PNG and JPEG") from error
    background = np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    if background - grey.min() > grey.max() - background:  # dark on light, as on paper
        grey, background = 1 - grey, 1 - background
    grey = (grey - background).clip(min=0).astype(np.float32)
    if grey.max() < 0.05:
        raise BadInput(f"{file}: nothing is drawn on it")
    return grey if grey.shape == tuple(shape) else fitted(grey, shape, FILLED[data])


def to_grey(image: Image.Image) -> Array:
    """Luminance, 0 to 1, upright as its camera says; what is transparent is white."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits
        return (np.asarray(image).clip(0, 65_535) / 65_535).astype(np.float32)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return (np.asarray(image.convert("L")) / 255).astype(np.float32)


def fitted(grey: Array, shape: Sequence[int], filled: float) -> Array:
    """What is drawn, cut out, scaled to a share of the side, its centre of mass in the middle."""
    grey = grey / grey.max()
    rows, columns = (np.flatnonzero((grey > INK).any(axis=axis)) for axis in (1, 0))
    drawn = grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = filled * min(shape[0] / drawn.shape[0], shape[1] / drawn.shape[1])
    size = [max(1, round(length * scale)) for length in drawn.shape[::-1]]
    small = Image.fromarray(drawn).resize((size[0], size[1]), Image.Resampling.BOX)
    cut = np.asarray(small, dtype=np.float32).clip(0, 1)
    cut = cut / cut.max()  # thin strokes fade when they are made small
    result = np.zeros(tuple(shape), dtype=np.float32)
    corner = [
        int(np.clip(round(side / 2 - mass), 0, side - length))
        for side, mass, length in zip(shape, centre(cut), cut.shape, strict=True)
    ]
    result[corner[0] : corner[0] + cut.shape[0], corner[1] : corner[1] + cut.shape[1]] = cut
    return result


def centre(image: Array) -> list[float]:
    """The centre of mass: (row, column), in pixels from the upper left corner."""
    weights = image.sum()
    return [
        float((image.sum(axis=1 - axis) * (np.arange(image.shape[axis]) + 0.5)).sum() / weights)
        for axis in (0, 1)
    ]
