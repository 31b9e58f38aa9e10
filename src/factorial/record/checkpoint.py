"""Training state on disk: written whole or not at all, read without pickle, checked before use."""

import contextlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from factorial.record.files import write_atomically
from factorial.results import Position
from factorial.training.fingerprint import fingerprint

log = logging.getLogger(__name__)

FORMAT = 2  # of what the metadata hold; a newer one is left alone
FLAT = 2  # axes: of more, format 1 does not say in which order they lie in memory
SPARES = 2  # states under way that are kept: the newest, and one before it in case of damage


class Damaged(ValueError):
    """A checkpoint that is not what it was when it was written, or belongs elsewhere."""


class Newer(ValueError):
    """A checkpoint of a later version of this program."""


class Trunk:
    """The checkpoints of one trunk on one platform (device, threads), in one folder.

    `final-E` is the state after epoch E, where a run ends; `partial-E-B` a state within a run.
    """

    def __init__(self, outputs: Path, trunk: str, platform: str) -> None:
        self.trunk = trunk
        self.folder = outputs / "checkpoints" / trunk / platform

    @contextlib.contextmanager
    def lock(self, waiting: Callable[[str], None]) -> Iterator[None]:
        """One process at a time trains a trunk; the system frees the lock of one that dies."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder.parent / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waiting(f"waiting: another process trains trunk {self.trunk[:8]}")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def positions(self, last: int) -> list[tuple[Position, Path]]:
        """What lies here at or before the end of epoch `last`, furthest first."""
        placed = [(position(file), file) for file in self.folder.glob("*.safetensors")]
        near = [(place, file) for place, file in placed if place and place <= Position(last, 0)]
        return sorted(near, reverse=True)

    def load(self, last: int) -> tuple[Position, dict[str, Any]] | None:
        """The furthest intact state at or before the end of epoch `last`.

        A damaged one is set aside with a warning, and the next one taken.
        """
        for place, file in self.positions(last):
            try:
                return place, read(file, self.trunk)
            except Damaged as error:
                log.warning("%s is damaged (%s): set aside, going on from before it", file, error)
                os.replace(file, file.with_suffix(".damaged"))
            except Newer as error:
                log.warning("%s %s: not used", file, error)
        return None

    def save(self, place: Position, state: dict[str, Any], final: bool) -> None:
        """Raises OSError; what was there before is intact then."""
        name = f"final-{place.epoch}" if final else f"partial-{place.epoch}-{place.batch}"
        write(self.folder / f"{name}.safetensors", state, self.trunk)
        partial = [
            file
            for passed, file in self.positions(place.epoch + 1)
            if passed <= place and file.name.startswith("partial")
        ]
        for file in partial[0 if final else SPARES :]:
            file.unlink(missing_ok=True)


def position(file: Path) -> Position | None:
    """Where a checkpoint stands, by its name; None for any other file."""
    match = re.fullmatch(r"final-(\d{1,9})|partial-(\d{1,9})-(\d{1,9})", file.stem)
    if match is None:
        return None
    return Position(int(match[1] or match[2]), int(match[3] or 0))


def write(file: Path, state: dict[str, Any], trunk: str) -> None:
    """To a temporary name, flushed to the disk, then renamed."""
    tensors: dict[str, Tensor] = {}
    document = json.dumps(pack(state, tensors))
    metadata = {"format": str(FORMAT), "trunk": trunk, "document": document}
    metadata["sha256"] = fingerprint(tensors, metadata)
    write_atomically(file, save(tensors, metadata))


def read(file: Path, trunk: str) -> dict[str, Any]:
    """Raises Damaged and Newer."""
    try:
        with safe_open(file, framework="pt") as stored:
            metadata = stored.metadata() or {}
            if metadata.get("format", "").isdigit() and int(metadata["format"]) > FORMAT:
                raise Newer(f"has format {metadata['format']}, this program writes {FORMAT}")
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise Damaged(str(error)) from error
    if metadata.pop("sha256", "") != fingerprint(tensors, metadata):
        raise Damaged("its digest is another")
    if metadata["trunk"] != trunk:
        raise Damaged("it belongs to another recipe")
    if metadata["format"] == "1" and any(one.ndim > FLAT for one in tensors.values()):
        raise Damaged("it does not say how its tensors lie in memory")
    state: dict[str, Any] = unpack(json.loads(metadata["document"]), tensors)
    return state


def pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """JSON for a nested state; its tensors go to `tensors`, copied to the CPU.

    With how each lies in memory: fused optimizers go through a weight's bytes and those of its
    moments side by side.
    """
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name, "stride": torch.empty_like(value, device="meta").stride()}
    if isinstance(value, dict):  # as pairs, for JSON would turn a number as a key into text
        return {"pairs": [[key, pack(item, tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [pack(item, tensors) for item in value]
    return value


def unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [unpack(item, tensors) for item in value]
    if isinstance(value, dict) and "stride" in value:
        tensor = tensors[value["tensor"]]
        return torch.empty_strided(tensor.shape, value["stride"], dtype=tensor.dtype).copy_(tensor)
    if isinstance(value, dict) and "tensor" in value:  # of format 1
        return tensors[value["tensor"]]
    if isinstance(value, dict):
        return {key: unpack(item, tensors) for key, item in value["pairs"]}
    return value
