"""The article's training loop beside this trainer's, alternating, in one process on the same data.

    python benchmarks/article.py [repeats]

Prints seconds per epoch, the ratio with its spread over the repeats, and the floating-point rate of
training as a share of what this machine's own matrix products reach.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import MNIST

from factorial.settings.parsing import parse
from factorial.settings.places import CONF
from factorial.settings.schema import Config
from factorial.training import data, environment, trainer

SYSTEMS = {
    "linear float32": ["model=linear", "optimizer=sgd"],
    "mlp float32": ["model=mlp", "optimizer=adam"],
    "mlp bfloat16": ["model=mlp", "optimizer=adam", "device.precision=bfloat16"],
}
ROOT = Path(os.environ.get("FACTORIAL_DATA", "outputs/data"))


def main(repeats: int) -> None:
    device = environment.choose(configured([]).device)
    environment.enter(configured([]).device)
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {device}, {repeats} repeats"
    )
    rates = {
        "float32": matrix_rate(torch.float32, device),
        "bfloat16": matrix_rate(torch.bfloat16, device),
    }
    for name, rate in rates.items():
        print(f"matrix product {name}: {rate / 1e9:.0f} GFLOP/s")
    print("system           article s   ours s   ratio (min to max)      GFLOP/s   of matrix rate")
    for name, overrides in SYSTEMS.items():
        ours, theirs = (
            our_epoch(configured(overrides), device),
            article_epoch("mlp" in name, device),
        )
        ours(), theirs()  # warm-up
        pairs = [(theirs(), ours()) for _ in range(repeats)]
        ratios = sorted(theirs / ours for theirs, ours in pairs)
        seconds = statistics.median(ours for _, ours in pairs)
        rate = flops("mlp" in name) / seconds
        print(
            f"{name:15} {statistics.median(t for t, _ in pairs):10.2f} {seconds:8.3f}"
            f"   {statistics.median(ratios):5.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})"
            f" {rate / 1e9:17.0f} {rate / rates[name.split()[1]]:16.0%}"
        )


def configured(overrides: list[str]) -> Config:
    """The article's settings: 60,000 examples, batches of 1,000, nothing held out."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return parse(compose("config", ["experiment=article", "epochs.count=1000", *overrides]))


def our_epoch(config: Config, device: torch.device) -> Callable[[], float]:
    state = trainer.start(config, device)
    splits = data.load(config.data, device)
    rows = trainer.epochs(state, splits, config)

    def epoch() -> float:
        return next(rows).seconds

    return epoch


def article_epoch(hidden: bool, device: torch.device) -> Callable[[], float]:
    """Its way: images converted one by one, batched by a DataLoader, a loss read at each step."""
    dataset = MNIST(ROOT, train=True, transform=transforms.ToTensor())
    loader = DataLoader(dataset, batch_size=1000, shuffle=True, drop_last=True)
    layers = [nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)]
    model = nn.Sequential(*(layers if hidden else [nn.Linear(784, 10)])).to(device)
    kind = torch.optim.Adam if hidden else torch.optim.SGD
    optimizer = kind(model.parameters(), lr=0.001 if hidden else 0.1)

    def epoch() -> float:
        began, total = time.perf_counter(), 0.0
        for images, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images.reshape(-1, 784).to(device)), labels.to(device))
            loss.backward()
            optimizer.step()
            total += loss.item()
        return time.perf_counter() - began

    return epoch


def flops(hidden: bool) -> float:
    """Of one epoch's matrix products: forward, weights' gradients, and inputs' but the first's."""
    sizes = [(784, 256), (256, 256), (256, 10)] if hidden else [(784, 10)]
    products = [2 * rows * columns for rows, columns in sizes]
    return 60_000 * (3 * sum(products) - products[0])


def matrix_rate(dtype: torch.dtype, device: torch.device, size: int = 2048) -> float:
    """The best of twenty square matrix products, in FLOP/s."""
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(20):
        began = time.perf_counter()
        (left @ right)[0, 0].item()  # read, so that a GPU has finished
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
