"""An image file as pixels: upright, of one mode and size."""

import io
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from factorial.settings.messages import BadInput

FORMATS = ("PNG", "JPEG", "BMP", "PPM", "WEBP")
# What Pillow raises for what is damaged
DAMAGED = (
    OSError, ValueError, SyntaxError, EOFError, struct.error, UnidentifiedImageError,
    Image.DecompressionBombError,
)  # fmt: skip


def decode(content: bytes, file: Path, mode: str, size: Sequence[int] | None) -> Tensor:
    """uint8 [channels, height, width], of `size` if that is given: resized by Pillow's bilinear
    filter, whatever its proportions. Raises BadInput, which names the file.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            image = converted(opened, mode)
    except DAMAGED as error:
        raise BadInput(
            f"{file}: no image that can be read; allowed are {', '.join(FORMATS)}"
        ) from error
    if size is not None and image.size != (size[1], size[0]):
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(image))
    return pixels.reshape(image.height, image.width, -1).permute(2, 0, 1).contiguous()


def converted(image: Image.Image, mode: str) -> Image.Image:
    """L or RGB, upright as its camera says, white where it is transparent."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits, of which Pillow would keep the lower ones
        high = np.asarray(image).clip(0, 65_535) / 257
        image = Image.fromarray(high.round().astype(np.uint8))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert(mode)
