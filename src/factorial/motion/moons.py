"""Noisy moons: the two weights of a logistic regression, each step on a mini-batch."""

import functools
import itertools
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from sklearn.datasets import make_moons
from torch import Tensor

from factorial.motion.surface import Loss, Surface, Window
from factorial.training.environment import derive_seed, permutation

EXAMPLES, BATCH = 200, 8
NOISE = 0.25  # the standard deviation around the moons


@functools.cache
def examples() -> tuple[Tensor, Tensor]:
    """Centred features [200, 2] and classes [200], float64: the same moons whatever the seed."""
    features, classes = make_moons(EXAMPLES, noise=NOISE, random_state=0)
    centred = torch.from_numpy(features - features.mean(axis=0))
    return centred, torch.from_numpy(classes).double()


def cross_entropy(weights: Tensor, features: Tensor, classes: Tensor) -> Tensor:
    """Mean over the examples, in nats, for weights [..., 2] without a bias."""
    logits = weights @ features.T
    return (F.softplus(logits) - classes * logits).mean(-1)


@functools.cache
def best() -> tuple[Tensor, float]:
    """The weights [2] that fit all examples best, by Newton's method, and their cross entropy."""
    features, classes = examples()
    weights = torch.zeros(2, dtype=torch.float64)
    for _ in range(20):
        shares = torch.sigmoid(features @ weights)
        gradient = features.T @ (shares - classes)
        curvature = features.T @ (features * (shares * (1 - shares))[:, None])
        weights = weights - torch.linalg.solve(curvature, gradient)
    return weights, cross_entropy(weights, features, classes).item()


def loss(weights: Tensor) -> Tensor:
    """Of all examples, above what is left at best."""
    return cross_entropy(weights, *examples()) - best()[1]


def batches(seed: int) -> Iterator[Loss]:
    """The loss of each mini-batch in turn: epoch after epoch in an order of its own."""
    features, classes = examples()
    for epoch in itertools.count(1):
        order = permutation(EXAMPLES, derive_seed(seed, "order", epoch))
        for index in order.split(BATCH):
            few, theirs = features[index], classes[index]
            yield functools.partial(cross_entropy, features=few, classes=theirs)


def surface() -> Surface:
    across, along = best()[0].tolist()
    return Surface(
        title="Noisy moons",
        formula="the cross entropy of a logistic regression with two weights on scikit-learn's "
        f"two moons ({EXAMPLES} examples), {BATCH} examples a step",
        lesson="A real fit: each step is told the gradient of eight examples, the same eight for "
        "all. Nobody comes to rest at the minimum; how far one is tossed about there is set by the "
        "learning rate, and momentum carries the noise on.",
        axes=("weight 1", "weight 2"),
        start=(-3.0, 2.5),
        minima=((across, along),),
        window=Window(-4.0, 4.0, -6.0, 4.0),
        loss=loss,
        descended=batches,
    )
