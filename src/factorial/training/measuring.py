"""The metrics that a config asks for, found by their names and taken of logits and labels."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from factorial.settings.messages import BadInput
from factorial.settings.metrics import BETTER
from factorial.settings.schema import Config
from factorial.training.environment import derive_seed, seed_draws
from factorial.training.instantiate import function, said

Measures = Mapping[str, Callable[[Tensor, Tensor], Any]]


def measures(config: Config) -> Measures:
    """The functions of (logits, labels) that a config names. Raises BadInput."""
    return {
        name: function(
            f"metrics.{name}", {k: v for k, v in node.items() if k != BETTER}, config.allow
        )
        for name, node in config.metrics.items()
    }


def check(config: Config) -> None:
    """Raises BadInput for a metric that makes no number of logits and labels.

    Of every class there is an example, without which some metrics are none.
    """
    asked, classes = measures(config), config.data.classes
    draws = torch.Generator().manual_seed(0)
    measured(asked, torch.randn(classes, classes, generator=draws), torch.arange(classes))


def measured(asked: Measures, logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Of logits float32 [n, classes] and labels int64 [n] every metric, by name. Raises BadInput.

    Each function has copies of its own, on the CPU, and draws of its own.
    """
    values = {}
    for name, measure in asked.items():
        seed_draws(torch.device("cpu"), derive_seed(0, "metric", name))
        try:
            values[name] = float(measure(logits.to("cpu", copy=True), labels.to("cpu", copy=True)))
        except BadInput:
            raise
        except Exception as error:  # a function may raise anything
            raise BadInput(
                f"metrics.{name}: allowed is a function of (logits, labels) that gives a number "
                f"({said(error)})"
            ) from error
    return values
