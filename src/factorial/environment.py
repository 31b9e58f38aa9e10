"""Where a run executes: device, threads, determinism, derived randomness."""

import functools
import hashlib
import json
import os
import re

import torch

from factorial.config import BadInput, Device


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A seed for one purpose, in [0, 2**63): the head of SHA-256 over (seed, purpose)."""
    digest = hashlib.sha256(json.dumps([seed, *purpose]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def permutation(size: int, seed: int) -> torch.Tensor:
    """A random order of range(size), int64 on the CPU: the same whatever device trains."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))


@functools.cache
def devices() -> list[str]:
    """The kinds of device that are here, the fastest first."""
    kinds = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return [kind for kind, here in kinds.items() if here] + ["cpu"]


def prepare(settings: Device) -> torch.device:
    """Set threads and determinism of this process. Raises BadInput for an absent device."""
    available = devices()
    kind = available[0] if settings.kind == "auto" else settings.kind
    if kind not in available:
        raise BadInput(f"device={kind}: allowed here is auto or {', '.join(available)}")
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only so
    torch.use_deterministic_algorithms(True)
    return torch.device(kind)


def arithmetic(device: torch.device) -> str:
    """What, beside the recipe, decides the low bits of a result, as a file's name."""
    if device.type == "cuda":
        return re.sub(r"\W+", "-", torch.cuda.get_device_name(device))
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{device.type}-{capability}-{torch.get_num_threads()}-threads".replace(" ", "-")
