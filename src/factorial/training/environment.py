"""Where a run executes: device, threads, determinism, derived randomness."""

import functools
import hashlib
import json
import os
import re

import torch
import torch.utils.deterministic

from factorial.settings.messages import BadInput
from factorial.settings.schema import Device

FOUND_THREADS = torch.get_num_threads()  # before anybody sets another number


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A seed for one purpose, in [0, 2**63): the head of SHA-256 over (seed, purpose)."""
    digest = hashlib.sha256(json.dumps([seed, *purpose]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def permutation(size: int, seed: int) -> torch.Tensor:
    """A random order of range(size), int64 on the CPU: the same whatever device trains."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))


def seed_draws(device: torch.device, seed: int) -> None:
    """Seed what a model draws from now on, on the CPU and on its device.

    As torch.manual_seed, which asks kinds of device that are not there too: half a millisecond.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


@functools.cache
def devices() -> list[str]:
    """The kinds of device that are here, the fastest first."""
    kinds = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return [kind for kind, here in kinds.items() if here] + ["cpu"]


def choose(settings: Device) -> torch.device:
    """The device that was asked for. Raises BadInput for one that is not here."""
    available = devices()
    kind = available[0] if settings.kind == "auto" else settings.kind
    if kind not in available:
        raise BadInput(f"device={kind}: allowed here is auto or {', '.join(available)}")
    return torch.device(kind)


def threads(settings: Device) -> int:
    """How many CPU threads a run gets: as asked or, for null, as many as torch finds cores."""
    return FOUND_THREADS if settings.threads is None else settings.threads


def enter(settings: Device) -> None:
    """Set this whole process to what a run was asked to run under: before its first number."""
    torch.set_num_threads(threads(settings))
    torch.set_default_dtype(torch.float32)
    torch.set_float32_matmul_precision("highest")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only so
    # as use_deterministic_algorithms(True), which imports a second of compiler beside
    torch.set_deterministic_debug_mode("error")
    # or it writes to new memory before it is used, which takes up to a tenth of a step
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def platform(settings: Device) -> str:
    """What, beside the recipe, decides the low bits of a result, as a file's name."""
    device = choose(settings)
    if device.type == "cuda":
        return re.sub(r"\W+", "-", torch.cuda.get_device_name(device))
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{device.type}-{capability}-{threads(settings)}-threads".replace(" ", "-")
