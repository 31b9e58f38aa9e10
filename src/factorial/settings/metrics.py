"""What is measured of a model's logits: names, and which way is better."""

from collections.abc import Mapping
from typing import Any

from factorial.settings.messages import BadInput, shown
from factorial.settings.rules import BOOLEAN, FUNCTION, Rule, spelled

# What every run has, and whether higher is better
ALWAYS = {"loss": False, "accuracy": True}
TAKEN = (*ALWAYS, "accuracy_as_published")
VALIDATION = "validation/"  # and a metric's name: as it is on record
BETTER = "higher_is_better"  # of a metric's node; the rest are its function and arguments
METRICS = Rule("metrics by name, each with its function", lambda part: isinstance(part, dict))
METRIC = Rule(f"its _target_, {BETTER}, and arguments", lambda part: isinstance(part, dict))
is_name = spelled(r"[a-z][a-z0-9_]{0,59}")


def check(metrics: Mapping[Any, Any]) -> None:
    """Raises BadInput for what is no metric, but for what its function itself says."""
    for name, node in metrics.items():
        if not is_name(name) or name in TAKEN:
            raise BadInput(
                f"metrics.{shown(name)}: allowed is a name of a to z, 0 to 9 and _, up to 60 "
                f"signs, other than {', '.join(TAKEN)}"
            )
        METRIC.check(f"metrics.{name}", node)
        FUNCTION.check(f"metrics.{name}._target_", node.get("_target_"))
        BOOLEAN.check(f"metrics.{name}.{BETTER}", node.get(BETTER))


def check_stopping(metric: str | None, metrics: Mapping[str, Any]) -> None:
    """Raises BadInput for a metric that a run will not have."""
    if metric is not None and metric not in (known := directions(metrics)):
        raise BadInput(
            f"stopping.metric={shown(metric)}: allowed is null, or one of {', '.join(known)}, "
            f"which this run has; metrics=NAME adds one"
        )


def check_ranking(rank_by: str, metrics: Mapping[str, Any]) -> None:
    """Raises BadInput for a metric that a run will not have."""
    known = [f"{VALIDATION}{name}" for name in directions(metrics)]
    if rank_by not in known:
        raise BadInput(
            f"rank_by={shown(rank_by)}: allowed is one of {', '.join(known)}, which this run has; "
            f"metrics=NAME adds one"
        )


def directions(metrics: Mapping[str, Any]) -> dict[str, bool]:
    """Every metric that a run has, and whether higher is better."""
    return ALWAYS | {name: node[BETTER] for name, node in metrics.items()}
