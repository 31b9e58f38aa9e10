"""Which precision multiplies faster on a device: a moment's matrix products, not a run's time."""

import time
from collections.abc import Mapping

import torch

SIDE = 512
SECONDS = 0.025  # for each precision
WORTH = 1.2  # times as fast: what is less is noise
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def advice(device: torch.device, asked: str) -> str | None:
    """A line where the precision that is asked for is the slower one here; else None."""
    return slower({name: rate(device, kind) for name, kind in PRECISIONS.items()}, asked)


def slower(rates: Mapping[str, float], asked: str) -> str | None:
    """`rates` are floating-point operations a second."""
    best = max(rates, key=lambda name: rates[name])
    if rates[best] < WORTH * rates[asked]:
        return None
    measured = ", ".join(f"{name} {rates[name] / 1e9:.0f}" for name in rates)
    said = f"device.precision={asked} is the slower one here"
    return f"{said}: GFLOP/s of matrix products are {measured}"


def rate(device: torch.device, kind: torch.dtype) -> float:
    """Floating-point operations a second of a square product, after one to warm up."""
    left = torch.ones(SIDE, SIDE, device=device, dtype=kind)
    multiply(left)
    count, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < SECONDS:
        multiply(left)
        count += 1
    return 2 * SIDE**3 * count / passed


def multiply(left: torch.Tensor) -> None:
    (left @ left)[0, 0].item()  # waits for the device
