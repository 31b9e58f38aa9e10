"""What the record holds of one run, read without trust: enough to execute it again."""

import hashlib
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf
from safetensors import SafetensorError
from safetensors.torch import load

from factorial.record import predictions, reading, untrusted
from factorial.record.reading import RecordedRun
from factorial.record.store import Store, artifact, points
from factorial.reuse.verdict import Row
from factorial.settings.combination import Combination
from factorial.settings.messages import BadInput
from factorial.settings.names import GROUPS
from factorial.settings.places import CONF
from factorial.training.fingerprint import fingerprint

# what a record has no say in
OWN: dict[str, Any] = {
    "data.fallback": None,
    "keep": [],
    "recipe": [],
    "plan": False,
    "fresh": True,
    "report": False,
    "rank_by": "validation/accuracy",
    "tracking.kind": "off",
    "tracking.uri": None,
    "tracking.parent": None,
    "tracking.sweep": None,
    "name": None,
    "note": None,
    "tags": {},
}
# What a record may be too old to say, as it was for every run then
UNSAID: dict[str, Any] = {
    "augmentation": {"shift": 0, "rotation": 0, "scale": 0, "shear": 0, "elastic": 0},
    "label_smoothing": 0.0,
    "clip_norm": None,
    "ema_decay": None,
    "data": {"normalisation": "none"},
    "metrics": {},
    "stopping": {"metric": None, "patience": 1, "min_delta": 0.0},
}
# Where the data lie, which is this machine's to say
PLACES = ("root", "file", "cache")
# Where a class of this package stands whose place an older record names
MOVED = {"factorial.models.": "factorial.training.models."}
TIMES = ("epoch_seconds", "train/seconds")  # no two runs take the same


class RunFiles(NamedTuple):
    """A recorded run: its resolved config, recipe, provenance, and results by where they stand.

    `results` has a list of rows for each place that holds them: each row is (epoch, metric, value),
    in the order of training; what belongs to no epoch comes last, with epoch 0. `weights` is the
    digest of the weights' file, None where there is none.
    """

    run: RecordedRun
    config: dict[str, Any]
    recipe: dict[str, Any]
    provenance: dict[str, Any]
    results: Mapping[str, list[Row]]
    weights: str | None


def choose(store: Store, prefix: str) -> RecordedRun:
    """The finished run whose id begins so; for `last` the newest. Raises BadInput."""
    everything = reading.search(store, "")
    runs = [run for run in everything if is_run(run)]
    if not runs:
        raise BadInput(f"outputs={store.outputs}: no run of train.py is on record there")
    if prefix == "last":
        finished = [run for run in runs if run.status == "FINISHED"]
        return max(finished or runs, key=lambda run: run.touched)
    chosen = [run for run in runs if run.id.startswith(prefix)]
    if len(chosen) == 1:
        return chosen[0]
    if not chosen and any(is_sweep(run, prefix) for run in everything):
        raise BadInput(
            f"run={prefix}: that is a sweep; allowed is one of its runs, or sweep={prefix}"
        )
    known = ", ".join(run.id[:12] for run in (chosen or runs)[-5:])
    many = "several runs begin so" if chosen else "no run begins so"
    raise BadInput(f"run={prefix}: {many}; allowed is one of {known}, or last")


def is_run(run: RecordedRun) -> bool:
    return "command" not in run.tags and "replays" not in run.tags and "recipe" in run.tags


def is_sweep(run: RecordedRun, prefix: str) -> bool:
    names = (run.id, run.tags.get("sweep", ""))
    return "command" in run.tags and any(name.startswith(prefix) for name in names)


def read(store: Store, run: RecordedRun) -> RunFiles:
    """Raises BadInput for a run without a result, or whose files are not there or not plain."""
    require_result(run)
    metrics = untrusted.read_json(*named(store, run, "metrics.json"))
    results = {"MLflow": of_store(store, run), "metrics.json": of_file(metrics, run)}
    for name, kind in predictions.KINDS.items():
        seen = artifact(store, run.source, name)
        if seen is not None:
            results[name] = [(0, kind, hashlib.sha256(seen.read_bytes()).hexdigest())]
    return RunFiles(
        run,
        config(store, run),
        untrusted.read_json(*named(store, run, "recipe.json")),
        untrusted.read_json(*named(store, run, "provenance.json")),
        results,
        weights(store, run),
    )


def require_result(run: RecordedRun) -> None:
    if run.status != "FINISHED":
        why = run.tags.get("failure", f"its status is {run.status}")
        raise BadInput(f"run={run.id}: it has no result ({why})")


def require_data(run: RecordedRun, recorded: Any, here: str) -> None:
    """Raises BadInput where the digest on record is not that of the data that lie here."""
    if recorded != here:
        raise BadInput(
            f"run={run.id}: it learnt from other data than lie here (SHA-256 {recorded}, not "
            f"{here}); allowed are the same"
        )


def named(store: Store, run: RecordedRun, name: str) -> tuple[Path, str]:
    file = artifact(store, run.id, name)
    if file is None:
        raise BadInput(f"run={run.id}: {name} is not among its files")
    return file, f"run={run.id}: {name}"


def weights(store: Store, run: RecordedRun) -> str | None:
    """The digest of the weights that a run ended with; None where their file is gone."""
    file = artifact(store, run.source, "weights.safetensors")
    if file is None:
        return None
    try:
        return fingerprint(load(file.read_bytes()))
    except (OSError, SafetensorError) as error:
        raise BadInput(f"run={run.source}: weights.safetensors is damaged ({error})") from error


def of_store(store: Store, run: RecordedRun) -> list[Row]:
    rows = [
        (step, name, as_logged(value))
        for name in reading.curves(run.metrics)
        if name not in TIMES
        for step, value in points(store, [run.id], name).get(run.id, [])
    ]
    closing = [
        (0, name, as_logged(value))
        for name, value in run.metrics.items()
        if not reading.is_curve(name) and name not in TIMES
    ]
    return in_order(rows) + closing


def as_logged(value: float) -> float:
    """MLflow keeps an infinite value as the largest number that there is."""
    largest = sys.float_info.max
    return math.copysign(math.inf, value) if abs(value) == largest else value


def of_file(metrics: dict[str, Any], run: RecordedRun) -> list[Row]:
    try:
        rows = [
            (whole(row["epoch"]), str(name), value)
            for row in metrics["epochs"]
            for name, value in row.items()
            if name not in ("epoch", *TIMES)
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"run={run.id}: metrics.json holds no rows of epochs") from error
    if len({row[:2] for row in rows}) < len(rows):
        raise BadInput(f"run={run.id}: metrics.json has an epoch twice")
    closing = [(0, k, v) for k, v in metrics.items() if k not in ("epochs", *TIMES)]
    return in_order(rows) + closing


def whole(epoch: Any) -> int:
    if type(epoch) is not int:
        raise ValueError(f"{epoch} is no epoch")
    return epoch


def in_order(rows: Sequence[Row]) -> list[Row]:
    """By epoch; within one, the weights last: what is behind them comes first."""
    return sorted(rows, key=lambda row: (row[0], row[1] == "weights"))


def combination(
    run: RecordedRun, config: Mapping[str, Any], changes: Mapping[str, Any]
) -> Combination:
    """What was run, to be run here: folders, device and tracking are this machine's own."""
    part = config.get("data")
    name = part.get("name") if isinstance(part, dict) else None
    known = {file.stem for file in (CONF / "data").glob("*.yaml")}
    if not isinstance(name, str) or name not in known:
        raise BadInput(f"data.name={name}: allowed is one of {', '.join(sorted(known))}")
    here: Any = OmegaConf.load(CONF / "data" / f"{name}.yaml")
    place = OmegaConf.create({"outputs": changes["outputs"], "data": here}).data
    places = {f"data.{key}": place[key] for key in PLACES if key in place}
    composed: Any = OmegaConf.merge(UNSAID, dict(config))
    facts = {
        f"data.{key}": here[key]
        for key in ("examples", "shape", "classes", "white")
        if here[key] is not None
    }
    for key, value in (OWN | facts | places | dict(changes)).items():
        OmegaConf.update(composed, key, value, merge=False)
    choices = {group: run.params.get(group, "") for group in GROUPS}
    return Combination(composed, choices, [])


def config(store: Store, run: RecordedRun) -> dict[str, Any]:
    """The resolved config as recorded, not checked yet; what has moved since, in its new place."""
    recorded: dict[str, Any] = moved(untrusted.read_yaml(*named(store, run, "config.yaml")))
    return recorded


def moved(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: moved(value) for key, value in node.items()}
    if isinstance(node, list):
        return [moved(item) for item in node]
    for old, new in MOVED.items():
        if isinstance(node, str) and node.startswith(old):
            return new + node.removeprefix(old)
    return node
