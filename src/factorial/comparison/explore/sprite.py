"""The images that some settings read and others do not, all in one small picture."""

import base64
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from factorial.comparison.pairs import majority
from factorial.comparison.readings import Reading, gathered
from factorial.record.predictions import Array, pixels

MOST = 400  # images
BYTES = 100_000  # of their picture
SIDE = 32  # pixels of an image, of those that are larger
ACROSS = 40  # images beside each other


class Sprite(NamedTuple):
    """A PNG of equal tiles, `ACROSS` in a row: the images `shown` of the first set of images, then
    those of the next, by their places in the set."""

    content: bytes
    size: tuple[int, int]  # of a tile: width, height
    shown: list[list[int]]

    def document(self) -> dict[str, Any]:
        uri = f"data:image/png;base64,{base64.b64encode(self.content).decode()}"
        return {"uri": uri if self.content else "", "size": self.size, "across": ACROSS}


def drawn(sets: Sequence[Sequence[Reading]]) -> Sprite:
    """Of each set's runs those images that tell most settings apart, as far as there is room."""
    most = MOST // len(sets)
    while True:
        shown = [telling(runs)[:most] for runs in sets]
        tiles = [tile for runs, places in zip(sets, shown, strict=True)
                 for tile in taken(runs, places)]  # fmt: skip
        shapes = {tile.shape for tile in tiles}
        if len(shapes) != 1 or not is_drawable(tiles[0]):
            return Sprite(b"", (1, 1), [[] for _ in sets])
        made = Sprite(png(tiles), (tiles[0].shape[1], tiles[0].shape[0]), shown)
        if len(made.content) <= BYTES:
            return made
        most = most * 3 // 4


def telling(runs: Sequence[Reading]) -> list[int]:
    """The images whose pixels are kept and that some settings read and others do not: those first
    that part the most pairs of settings."""
    settings = gathered(runs)
    right = np.stack([majority(np.stack([run.correct for run in mine]))
                      for mine in settings.values()]).sum(axis=0)  # fmt: skip
    parted = right * (len(settings) - right)
    kept = np.zeros(len(right), dtype=bool)
    for run in runs:
        kept[run.read.kept] = True
    order = np.argsort(-parted, kind="stable")
    return [int(image) for image in order if parted[image] and kept[image]]


def taken(runs: Sequence[Reading], places: Sequence[int]) -> list[Array]:
    """Their pixels: uint8 [height, width, channels], dark on light where they are grey."""
    found: dict[int, Array] = {}
    wanted = set(places)
    for run in runs:
        here = [(row, image) for row, image in enumerate(run.read.kept.tolist())
                if image in wanted]  # fmt: skip
        if here:
            wanted -= {image for _, image in here}
            images = pixels(run.file)
            found |= {image: images[row].transpose(1, 2, 0) for row, image in here}
    white = max((int(image.max()) for image in found.values()), default=1) or 1
    return [shrunk(image, white) for image in (found[place] for place in places)]


def shrunk(image: Array, white: int) -> Array:
    if not is_drawable(image):
        return image
    scaled = (image.astype(np.float32) * (255 / white)).astype(np.uint8)
    picture = Image.fromarray(255 - scaled[..., 0] if scaled.shape[2] == 1 else scaled)
    picture.thumbnail((SIDE, SIDE))
    small = np.asarray(picture)
    return small[..., None] if small.ndim == 2 else small


def is_drawable(image: Array) -> bool:
    return image.shape[2] in (1, 3)


def png(tiles: Sequence[Array]) -> bytes:
    height, width, channels = tiles[0].shape
    down = -(-len(tiles) // ACROSS)
    sheet = np.full((down * height, ACROSS * width, channels), 255, dtype=np.uint8)
    for place, tile in enumerate(tiles):
        row, column = divmod(place, ACROSS)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = tile
    file = io.BytesIO()
    Image.fromarray(sheet[..., 0] if channels == 1 else sheet).save(file, "PNG", optimize=True)
    return file.getvalue()
