"""Images that took long to decode, kept in a file that is never more than a copy of them."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import torch
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor


def cached(folder: Path, key: str, make: Callable[[], Tensor]) -> Tensor:
    """What `make` gives, or what it gave when this key was asked for before.

    A file that is damaged is made again; of those who make it at once, and of those who are killed
    on the way, none leaves half of one. Raises what `make` raises, with nothing written.
    """
    file = folder / f"images-{key}.safetensors"
    images = kept(file)
    if images is None:
        images = make()
        keep(file, images)
    return images


def kept(file: Path) -> Tensor | None:
    """None where the file is not there, or not what it was when it was written."""
    try:
        stored = load(file.read_bytes())
        images, digest = stored["images"], stored["digest"]
    except (FileNotFoundError, SafetensorError, KeyError):
        return None
    return images if torch.equal(digest, digest_of(images)) else None


def keep(file: Path, images: Tensor) -> None:
    """Raises OSError, where there is no room for it."""
    content = save({"images": images, "digest": digest_of(images)})
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.parent / ".images.lock"):
        incoming = file.with_name(".images.incoming")  # what a killed process left is written over
        with incoming.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(incoming, file)


def digest_of(images: Tensor) -> Tensor:
    """SHA-256 of shape and bytes: uint8 [32]."""
    digest = hashlib.sha256(str(list(images.shape)).encode())
    digest.update(images.contiguous().numpy().data)
    return torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8)
