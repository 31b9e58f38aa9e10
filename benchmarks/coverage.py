"""How often the 95 % intervals of shares of the variance hold the share that was planted.

    python benchmarks/coverage.py [sweeps]

Simulated 2 x 2 sweeps: strong, weak and no effects, one effect alone, each with equal spreads and
with spreads of 10:1, and 3, 5 and 10 seeds. So many sweeps leave +-1.96 sqrt(0.05 x 0.95 / sweeps)
around 95 %.
"""

import itertools
import sys

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from factorial.comparison import anova

Effects = tuple[float, float, float]  # of model, of optimizer, of both beyond their sum
EFFECTS: dict[str, Effects] = {
    "strong": (0.04, 0.02, 0.01),
    "weak": (0.006, 0.003, -0.001),
    "one alone": (0.04, 0.0, 0.0),
    "none": (0.0, 0.0, 0.0),
}
SPREADS = {"equal": [0.003] * 4, "10:1": [0.001, 0.001, 0.003, 0.01]}
CELLS = list(itertools.product(("linear", "mlp"), ("sgd", "adam")))
FACTORS = ["model", "optimizer"]


def main(sweeps: int) -> None:
    print("effects    spreads  seeds   model  optimizer  both")
    for (name, effects), (spread, spreads), seeds in itertools.product(
        EFFECTS.items(), SPREADS.items(), (3, 5, 10)
    ):
        shares = "   ".join(f"{held:6.1%}" for held in coverage(effects, spreads, seeds, sweeps))
        print(f"{name:10} {spread:7} {seeds:6}   {shares}", flush=True)


def coverage(
    effects: Effects, spreads: list[float], seeds: int, sweeps: int
) -> NDArray[np.float64]:
    """The share of sweeps whose interval holds the truth, for each of the three terms."""
    rng = np.random.default_rng(30)
    truth, hits = planted(effects, spreads), np.zeros(3)
    for _ in range(sweeps):
        table = anova.analyse(sweep(rng, effects, spreads, seeds), FACTORS, "score").table[:3]
        hits += (table["low"].to_numpy() <= truth) & (truth <= table["high"].to_numpy())
    return hits / sweeps


def planted(effects: Effects, spreads: list[float]) -> NDArray[np.float64]:
    """The terms' shares of the variance, were there endless seeds."""
    model, optimizer, both = effects
    terms = np.square([(model + both / 2) / 2, (optimizer + both / 2) / 2, both / 4])
    return terms / (terms.sum() + np.mean(np.square(spreads)))


def sweep(
    rng: np.random.Generator, effects: Effects, spreads: list[float], seeds: int
) -> pd.DataFrame:
    rows = [
        (model, optimizer, str(seed), mean(effects, model, optimizer) + rng.normal(0, spread))
        for (model, optimizer), spread in zip(CELLS, spreads, strict=True)
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows, columns=[*FACTORS, "seed", "score"])


def mean(effects: Effects, model: str, optimizer: str) -> float:
    levels = (model == "mlp", optimizer == "adam", model == "mlp" and optimizer == "adam")
    return sum(effect for effect, present in zip(effects, levels, strict=True) if present)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
