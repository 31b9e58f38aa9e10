"""What the record holds of one run, read without trust: enough to execute it again."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from omegaconf import OmegaConf

from factorial.record import reading, untrusted
from factorial.record.reading import RecordedRun
from factorial.record.store import Store, artifact, points
from factorial.reuse.verdict import Difference
from factorial.settings.combination import Combination
from factorial.settings.messages import BadInput
from factorial.settings.names import GROUPS
from factorial.settings.places import CONF
from factorial.settings.recipe import digest

# what a record has no say in
OWN: dict[str, Any] = {
    "data.fallback": None,
    "keep": [],
    "plan": False,
    "fresh": True,
    "report": False,
    "tracking.kind": "off",
    "tracking.uri": None,
    "tracking.parent": None,
    "tracking.sweep": None,
}
# Where a class of this package stands whose place an older record names
MOVED = {"factorial.models.": "factorial.training.models."}
TIMES = ("epoch_seconds", "train/seconds")  # no two runs take the same


class RunFiles(NamedTuple):
    """A recorded run: its resolved config, recipe, provenance, and results by where they stand.

    `results` has a list of rows for each place that holds them, MLflow and metrics.json: each row
    is (epoch, metric, value), in the order of training; closing metrics come last, with epoch 0.
    """

    past: RecordedRun
    config: dict[str, Any]
    typed: list[str]
    recipe: dict[str, Any]
    provenance: dict[str, Any]
    results: Mapping[str, list[tuple[int, str, Any]]]


def choose(store: Store, prefix: str) -> RecordedRun:
    """The finished run whose id begins so; for `last` the newest. Raises BadInput."""
    runs = [past for past in reading.search(store, "") if is_run(past)]
    if not runs:
        raise BadInput(f"outputs={store.outputs}: no run of train.py is on record there")
    if prefix == "last":
        finished = [past for past in runs if past.status == "FINISHED"]
        return max(finished or runs, key=lambda past: past.touched)
    found = [past for past in runs if past.id.startswith(prefix)]
    if len(found) != 1:
        known = ", ".join(past.id[:12] for past in (found or runs)[-5:])
        many = "several runs begin so" if found else "no run begins so"
        raise BadInput(f"run={prefix}: {many}; allowed is one of {known}, or last")
    return found[0]


def is_run(past: RecordedRun) -> bool:
    return "command" not in past.tags and "replays" not in past.tags and "recipe" in past.tags


def read(store: Store, past: RecordedRun) -> RunFiles:
    """Raises BadInput for a run without a result, or whose files are not there or not plain."""
    require_result(past)
    metrics = untrusted.read_json(*named(store, past, "metrics.json"))
    overrides = untrusted.read(*named(store, past, "overrides.txt"))
    return RunFiles(
        past,
        config(store, past),
        overrides.splitlines(),
        untrusted.read_json(*named(store, past, "recipe.json")),
        untrusted.read_json(*named(store, past, "provenance.json")),
        {"MLflow": of_store(store, past), "metrics.json": of_file(metrics, past)},
    )


def require_result(past: RecordedRun) -> None:
    if past.status != "FINISHED":
        why = past.tags.get("failure", f"its status is {past.status}")
        raise BadInput(f"run={past.id}: it has no result ({why})")


def named(store: Store, past: RecordedRun, name: str) -> tuple[Any, str]:
    file = artifact(store, past.id, name)
    if file is None:
        raise BadInput(f"run={past.id}: {name} is not among its files")
    return file, f"run={past.id}: {name}"


def of_store(store: Store, past: RecordedRun) -> list[tuple[int, str, Any]]:
    names = [*reading.CURVES, *reading.layers(past.metrics)]
    rows = [
        (step, name, value)
        for name in names
        if name not in TIMES
        for step, value in points(store, [past.id], name).get(past.id, [])
    ]
    closing = [
        (0, name, value)
        for name, value in past.metrics.items()
        if not reading.is_curve(name) and name not in TIMES
    ]
    return in_order(rows) + closing


def of_file(metrics: dict[str, Any], past: RecordedRun) -> list[tuple[int, str, Any]]:
    try:
        rows = [
            (whole(row["epoch"]), str(name), value)
            for row in metrics["epochs"]
            for name, value in row.items()
            if name not in ("epoch", *TIMES)
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"run={past.id}: metrics.json holds no rows of epochs") from error
    if len({row[:2] for row in rows}) < len(rows):
        raise BadInput(f"run={past.id}: metrics.json has an epoch twice")
    closing = [(0, k, v) for k, v in metrics.items() if k not in ("epochs", *TIMES)]
    return in_order(rows) + closing


def whole(epoch: Any) -> int:
    if type(epoch) is not int:
        raise ValueError(f"{epoch} is no epoch")
    return epoch


def in_order(rows: Sequence[tuple[int, str, Any]]) -> list[tuple[int, str, Any]]:
    """By epoch; within one, the weights last: what is behind them comes first."""
    return sorted(rows, key=lambda row: (row[0], row[1] == "weights"))


def combination(
    past: RecordedRun, config: Mapping[str, Any], changes: Mapping[str, Any]
) -> Combination:
    """What was run, to be run here: folders, device and tracking are this machine's own."""
    part = config.get("data")
    name = part.get("name") if isinstance(part, dict) else None
    known = {file.stem for file in (CONF / "data").glob("*.yaml")}
    if not isinstance(name, str) or name not in known:
        raise BadInput(f"data.name={name}: allowed is one of {', '.join(sorted(known))}")
    here = OmegaConf.load(CONF / "data" / f"{name}.yaml")
    root = OmegaConf.create({"outputs": changes["outputs"], "data": here}).data.get("root")
    composed = OmegaConf.create(dict(config))
    facts = {
        f"data.{key}": OmegaConf.select(here, key)
        for key in ("examples", "shape", "classes", "white")
    }
    for key, value in (OWN | facts | {"data.root": root} | dict(changes)).items():
        OmegaConf.update(composed, key, value)
    choices = {group: past.params.get(group, "") for group in GROUPS}
    return Combination(composed, choices, [])


def config(store: Store, past: RecordedRun) -> dict[str, Any]:
    """The resolved config as recorded, not checked yet; what has moved since, in its new place."""
    found: dict[str, Any] = moved(untrusted.read_yaml(*named(store, past, "config.yaml")))
    return found


def moved(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: moved(value) for key, value in node.items()}
    if isinstance(node, list):
        return [moved(item) for item in node]
    for old, new in MOVED.items():
        if isinstance(node, str) and node.startswith(old):
            return new + node.removeprefix(old)
    return node


def tampered(store: Store, evidence: RunFiles, asked: Combination) -> list[Difference]:
    """Where the record contradicts itself."""
    past = evidence.past
    found = []
    if (made := digest(evidence.recipe)) != past.tags["recipe"]:
        name = "recipe.json against the run's recipe id"
        found.append(Difference("record", name, past.tags["recipe"], made))
    for name, value in past.metrics.items():
        written = points(store, [past.id], name).get(past.id, [])
        last = max(written)[1] if written else None
        if last != value or (not reading.is_curve(name) and len(written) > 1):
            found.append(Difference("record", f"{name}, MLflow's latest and last", value, last))
    for name in reading.CURVES:
        if name not in past.metrics and points(store, [past.id], name):
            found.append(Difference("record", f"{name}, MLflow's latest", "nothing", "its points"))
    for name, value in asked.params().items():
        recorded = past.params.get(name, str(value))
        if recorded != str(value) and name not in ("device", "threads"):
            found.append(Difference("record", f"{name}, MLflow's param", recorded, str(value)))
    return found
