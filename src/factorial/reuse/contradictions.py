"""Where a record says one thing in one place and another in the next: it is equal to nothing."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from factorial.record import reading
from factorial.record.reading import RecordedRun
from factorial.record.store import Store, points
from factorial.reuse.evidence import RunFiles, moved
from factorial.reuse.verdict import NOTHING, Difference, Row, same
from factorial.runs.trial import Trial
from factorial.settings import recipe
from factorial.settings.combination import Combination
from factorial.settings.messages import OPEN
from factorial.settings.schema import Data
from factorial.training import sizes


def comparable(document: Mapping[str, Any], trial: Trial) -> dict[str, Any]:
    """A recipe with what it leaves out because it follows: the defaults of the classes that run
    here, which were vetted, and whether an incomplete batch is dropped where there is none.

    Under other code or versions the defaults may have been others: what is left out was then as
    the config says.
    """
    here = trial.config
    classes = ("code", "versions")
    alike = all(document.get(name) == trial.recipe.document[name] for name in classes)
    whole: dict[str, Any] = moved(dict(document))
    settings = whole.get("config")
    if not isinstance(settings, dict):
        return whole
    for part in OPEN:
        target, given = getattr(here, part)["_target_"], settings.get(part)
        if isinstance(given, dict) and given.get("_target_") == target:
            said = {} if alike else getattr(here, part)
            settings[part] = recipe.one_spelling({**recipe.defaults(target), **said, **given})
    if isinstance(settings.get("data"), dict) and divides_evenly(here.data):
        settings["data"]["drop_last"] = False
    return whole


def divides_evenly(data: Data) -> bool:
    return sizes.training_examples(data) % data.batch_size == 0


def contradictions(store: Store, files: RunFiles, combination: Combination) -> list[Difference]:
    """Where the record says one thing in one place and another in the next."""
    run = files.run
    return [
        *of_identity(files),
        *of_weights(files),
        *of_places(files.results),
        *of_latest(store, run),
        *of_params(run, combination),
    ]


def of_identity(files: RunFiles) -> Iterator[Difference]:
    said, made = files.run.tags["recipe"], recipe.digest(files.recipe)
    if not said.startswith(made):  # of 0.1.0 it is the whole digest
        yield Difference("record", "recipe.json against the run's recipe id", said, made)


def of_weights(files: RunFiles) -> Iterator[Difference]:
    """The weights' file against the digest after the last epoch."""
    digests = [value for _, name, value in files.results["metrics.json"] if name == "weights"]
    last = digests[-1] if digests else ""
    if files.weights is not None and last not in ("", files.weights):
        yield Difference("record", "weights.safetensors against metrics.json", last, files.weights)


def of_places(results: Mapping[str, Sequence[Row]]) -> Iterator[Difference]:
    """MLflow's metrics against those of the file."""
    first, second = (
        {(epoch, name): value for epoch, name, value in results[place] if name != "weights"}
        for place in ("MLflow", "metrics.json")
    )
    for epoch, name in sorted(first.keys() | second.keys()):
        one, other = (place.get((epoch, name), NOTHING) for place in (first, second))
        if not same(one, other):
            at = f"in epoch {epoch}" if epoch else "at the end"
            yield Difference("record", f"{name} {at}, MLflow against metrics.json", one, other)


def of_latest(store: Store, run: RecordedRun) -> Iterator[Difference]:
    """What MLflow shows of a metric against the points that it keeps."""
    for name, value in run.metrics.items():
        kept = points(store, [run.id], name).get(run.id, [])
        last = max(kept)[1] if kept else None
        if not same(last, value) or (not reading.is_curve(name) and len(kept) > 1):
            yield Difference("record", f"{name}, MLflow's latest and last", value, last)
    for name in reading.CURVES:
        if name not in run.metrics and points(store, [run.id], name):
            yield Difference("record", f"{name}, MLflow's latest", NOTHING, "its points")


def of_params(run: RecordedRun, combination: Combination) -> Iterator[Difference]:
    for name, value in combination.params().items():
        recorded = run.params.get(name, str(value))
        if recorded != str(value) and name not in ("device", "threads"):
            yield Difference("record", f"{name}, MLflow's param", recorded, str(value))
