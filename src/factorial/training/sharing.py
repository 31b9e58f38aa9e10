"""Tensors in memory that processes share: written once, sealed, and mapped by each of them."""

import mmap
import os
from multiprocessing import reduction
from typing import Any

import torch
from torch import Tensor


def is_possible() -> bool:
    """Linux alone has memory that can be sealed."""
    return hasattr(os, "memfd_create")


class Sealed:
    """A CPU tensor's bytes, which nobody can change any more; a process started with it as an
    argument gets the tensor in its place.
    """

    def __init__(self, tensor: Tensor) -> None:
        import fcntl  # not on Windows

        self.dtype, self.shape = tensor.dtype, tensor.shape
        self.file = os.memfd_create("factorial", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        with open(self.file, "wb", closefd=False) as memory:
            memory.write(tensor.contiguous().numpy().data)
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
        fcntl.fcntl(self.file, fcntl.F_ADD_SEALS, seals)

    def __reduce__(self) -> tuple[Any, ...]:
        return mapped, (reduction.DupFd(self.file), self.dtype, self.shape)

    def __del__(self) -> None:
        os.close(self.file)


def mapped(file: Any, dtype: torch.dtype, shape: torch.Size) -> Tensor:
    """The tensor: what this process should write to it would be a copy of its own."""
    descriptor = file.detach()
    memory = mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY)
    os.close(descriptor)  # the mapping has one of its own
    return torch.frombuffer(memory, dtype=dtype).reshape(shape)
