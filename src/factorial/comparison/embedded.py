"""A figure within a page: as it is drawn, or, where that is large, as a picture of few colours."""

import base64
import io
from pathlib import Path

from PIL import Image

LARGE = 60_000  # bytes: a page of hundreds of settings has to stay small; the file lies beside it
COLORS = 32


def uri(folder: Path, name: str) -> str:
    """Of NAME.svg, or of NAME.png where the drawing is large and the picture is smaller."""
    drawn = (folder / f"{name}.svg").read_bytes()
    if len(drawn) > LARGE:
        picture = fewer(folder / f"{name}.png")
        if len(picture) < len(drawn):
            return f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    return f"data:image/svg+xml;base64,{base64.b64encode(drawn).decode()}"


def fewer(file: Path) -> bytes:
    """A PNG with fewer colours."""
    made = io.BytesIO()
    with Image.open(file) as picture:
        few = picture.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
        few.save(made, "PNG", optimize=True)
    return made.getvalue()
