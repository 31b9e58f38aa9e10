"""What a command would do, without doing it: what is on record, what remains, how long it takes."""

from collections.abc import Sequence

from factorial import console
from factorial.record import reading
from factorial.record.store import Store, look_into
from factorial.runs import probe
from factorial.runs.members import Member, level_rows
from factorial.runs.progress import Progress, progress_of
from factorial.runs.trial import Trial
from factorial.settings.names import is_within
from factorial.settings.schema import Config

# The params that decide how long an epoch takes
LIKE = ("model", "data", "data.batch_size", "precision", "augmentation", "ema_decay")


def show_plan(members: Sequence[Member], settings: Config) -> None:
    """A row for each: new, cached, resumes, continues, or invalid and why; then the total."""
    store = look_into(settings.tracking, settings.outputs)
    reached: dict[str, int] = {}
    rows, total, unknown = [], 0.0, 0
    for member, row in zip(members, level_rows(members), strict=True):
        if member.trial is None:
            rows.append(row | {"plan": f"invalid: {member.reason}", "seconds": ""})
            continue
        plan, remaining = ahead(member.trial, progress_of(member.trial, store), reached)
        seconds = remaining and estimate(member.trial, store, remaining)
        unknown += seconds is None
        total += seconds or 0.0
        rows.append(row | {"plan": plan, "seconds": "?" if seconds is None else f"{seconds:.1f}"})
    console.show_rows(rows)
    missing = f", and {unknown} of a kind that is not on record yet" if unknown else ""
    console.say(f"{len(members)} combinations, about {total:.0f} s of training{missing}")
    trials = [member.trial for member in members if member.trial]
    asked = {trial.config.device.precision: trial.device for trial in trials}
    console.note(*filter(None, (probe.advice(device, name) for name, device in asked.items())))


def ahead(trial: Trial, progress: Progress, reached: dict[str, int]) -> tuple[str, int]:
    """What is to be done, and how many epochs that is, after the combinations before this one.

    `reached` is how far each trunk will be by then, and is brought up to date.
    """
    length, trunk = trial.config.epochs.count, trial.recipe.trunk
    if progress.state == "cached" and progress.result is not None:
        return f"cached (run {progress.result.id[:8]})", 0
    sibling = 0 if trial.config.fresh else min(reached.get(trunk, 0), length)
    reached[trunk] = max(reached.get(trunk, 0), length)
    if sibling == length > progress.epoch:
        return "left behind by a longer run", 0
    if sibling > progress.epoch:
        return f"continues the {sibling}-epoch run", length - sibling
    return str(progress), length - progress.epoch


def estimate(trial: Trial, store: Store, epochs: int) -> float | None:
    """Seconds that so many epochs took on record, where there are any of the kind."""
    params = trial.combination.params()
    like = {key: value for key, value in params.items() if key in LIKE or is_within(key, ["model"])}
    each = reading.seconds_per_epoch(store, like | trial.actual)
    return None if each is None else each * epochs
