"""Training state on disk: written whole or not at all, read without pickle, checked before use."""

import contextlib
import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

log = logging.getLogger(__name__)

FORMAT = 1  # of what the metadata hold; a newer one is left alone
SPARES = 2  # states under way that are kept: the newest, and one before it in case of damage


class Position(NamedTuple):
    """How far training is: whole epochs, then batches of the next one."""

    epoch: int
    batch: int


class Damaged(ValueError):
    """A checkpoint that is not what it was when it was written, or belongs elsewhere."""


class Newer(ValueError):
    """A checkpoint of a later version of this program."""


class Trunk:
    """The checkpoints of one trunk under one arithmetic (device, threads), in one folder.

    `kept-E` is the state after epoch E, where a run ends; `under-way-E-B` a state within a run.
    """

    def __init__(self, outputs: Path, trunk: str, arithmetic: str) -> None:
        self.trunk = trunk
        self.folder = outputs / "checkpoints" / trunk / arithmetic

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
        found = [(position(file), file) for file in self.folder.glob("*.safetensors")]
        return sorted((p, f) for p, f in found if p <= Position(last, 0))[::-1]

    def load(self, last: int) -> tuple[Position, dict[str, Any]] | None:
        """The furthest intact state at or before the end of epoch `last`.

        A damaged one is set aside with a warning, and the next one taken.
        """
        for where, file in self.positions(last):
            try:
                return where, read(file, self.trunk)
            except Damaged as error:
                log.warning("%s is damaged (%s): set aside, going on from before it", file, error)
                os.replace(file, file.with_suffix(".damaged"))
            except Newer as error:
                log.warning("%s %s: not used", file, error)
        return None

    def save(self, where: Position, state: dict[str, Any], kept: bool) -> None:
        """Raises OSError; what was there before is intact then."""
        name = f"kept-{where.epoch}" if kept else f"under-way-{where.epoch}-{where.batch}"
        write(self.folder / f"{name}.safetensors", state, self.trunk)
        passed = [f for _, f in self.positions(where.epoch + 1) if f.name.startswith("under-way")]
        passed = [file for file in passed if position(file) <= where]
        for file in passed[0 if kept else SPARES :]:
            file.unlink(missing_ok=True)


def position(file: Path) -> Position:
    epoch, batch = [*re.findall(r"\d+", file.stem), "0"][:2]
    return Position(int(epoch), int(batch))


def write(file: Path, state: dict[str, Any], trunk: str) -> None:
    """To a temporary name, flushed to the disk, then renamed."""
    tensors: dict[str, Tensor] = {}
    document = json.dumps(pack(state, tensors))
    metadata = {"format": str(FORMAT), "trunk": trunk, "document": document}
    metadata["sha256"] = fingerprint(metadata, tensors)
    replace(file, save(tensors, metadata))


def replace(file: Path, content: bytes) -> None:
    """Write a file so that a reader finds the old one or the new one, whatever happens."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(file)) from error


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
    if metadata.pop("sha256", "") != fingerprint(metadata, tensors):
        raise Damaged("its digest is another")
    if metadata["trunk"] != trunk:
        raise Damaged("it belongs to another recipe")
    state: dict[str, Any] = unpack(json.loads(metadata["document"]), tensors)
    return state


def digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of named tensors: names, dtypes, shapes and bytes."""
    return fingerprint({}, {name: value.cpu().contiguous() for name, value in weights.items()})


def fingerprint(metadata: dict[str, str], tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(f"{name}{tensors[name].dtype}{list(tensors[name].shape)}".encode())
        digest.update(content(tensors[name]))
    return digest.hexdigest()


def content(tensor: Tensor) -> Any:
    """The bytes of a contiguous CPU tensor of any dtype."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data if tensor.numel() else b""


def pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """JSON for a nested state; its tensors go to `tensors`, copied to the CPU."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, dict):  # as pairs, for JSON would turn a number as a key into text
        return {"pairs": [[key, pack(item, tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [pack(item, tensors) for item in value]
    return value


def unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [unpack(item, tensors) for item in value]
    if isinstance(value, dict) and "tensor" in value:
        return tensors[value["tensor"]]
    if isinstance(value, dict):
        return {key: unpack(item, tensors) for key, item in value["pairs"]}
    return value
