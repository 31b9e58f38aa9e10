"""Early stopping: training ends when a validation metric has not improved for some epochs."""

import math
from collections.abc import Sequence

from factorial.results import Epoch
from factorial.settings.metrics import directions
from factorial.settings.schema import Config


def waited(rows: Sequence[float], higher: bool, min_delta: float) -> tuple[int, int]:
    """The place of the best value, from 1, and how many came after it: (0, n) where none is one.

    A value is better than the best one before it by more than `min_delta`, and a number.
    """
    best, place = -math.inf, 0
    for number, value in enumerate(rows, start=1):
        oriented = value if higher else -value
        if oriented - best > min_delta:
            best, place = oriented, number
    return place, len(rows) - place


def score(row: Epoch, config: Config) -> list[float]:
    """What stopping goes by in an epoch: one value, or none where nothing stops."""
    metric = config.stopping.metric
    if metric is None:
        return []
    assert row.validation is not None, "refused by sizes.check"
    return [row.validation.named[metric]]


def is_over(scores: Sequence[float], config: Config) -> bool:
    """Whether as many epochs as `patience` have gone by without a better value."""
    return after(scores, config)[1] >= config.stopping.patience


def after(scores: Sequence[float], config: Config) -> tuple[int, int]:
    metric = config.stopping.metric
    higher = metric is not None and directions(config.metrics)[metric]
    return waited(scores, higher, config.stopping.min_delta)


def outcome(rows: Sequence[Epoch], config: Config) -> dict[str, float]:
    """Where a run that may stop early ended, and its best epoch by what stops it."""
    if config.stopping.metric is None:
        return {}
    best, _ = after([value for row in rows for value in score(row, config)], config)
    return {"stopping/epoch": len(rows), "stopping/best_epoch": best}


def said(rows: Sequence[Epoch], config: Config) -> str:
    """Why training ended before its last epoch; nothing where it did not."""
    scores = [value for row in rows for value in score(row, config)]
    if len(rows) == config.epochs.count or not is_over(scores, config):
        return ""
    best, since = after(scores, config)
    value = f"{scores[best - 1]:.4f} in epoch {best}" if best else "none"
    return (
        f"after epoch {len(rows)} of {config.epochs.count}: validation/{config.stopping.metric} "
        f"has not improved for {since} epoch{'s' if since > 1 else ''} (best {value})"
    )
