"""What a command would do, without doing it: what is on record, what remains, how long it takes."""

from collections.abc import Sequence

import torch

from factorial import console, history, store
from factorial.config import Config
from factorial.grid import Job, level_row
from factorial.prepare import Ready
from factorial.progress import Standing, standing
from factorial.store import Store

# the params that decide how long an epoch takes
LIKE = ("model", "model.hidden", "data", "data.batch_size", "precision")


def show_plan(jobs: Sequence[Job], settings: Config) -> None:
    """A row for each: new, cached, resumes, continues, or invalid and why; then the total."""
    where = store.look_into(settings.tracking, settings.outputs)
    reached: dict[str, int] = {}
    rows, total, unknown = [], 0.0, 0
    for job in jobs:
        row = level_row(job, jobs)
        if job.ready is None:
            rows.append(row | {"plan": f"invalid: {job.reason}", "seconds": ""})
            continue
        now, remaining = ahead(job.ready, standing(job.ready, where), reached)
        seconds = remaining and estimate(job.ready, where, remaining)
        unknown += seconds is None
        total += seconds or 0.0
        rows.append(row | {"plan": now, "seconds": "?" if seconds is None else f"{seconds:.1f}"})
    console.show_rows(rows)
    missing = f", and {unknown} of a kind that is not on record yet" if unknown else ""
    console.say(f"{len(jobs)} combinations, about {total:.0f} s of training{missing}")


def ahead(ready: Ready, now: Standing, reached: dict[str, int]) -> tuple[str, int]:
    """What is to be done, and how many epochs that is, after the combinations before this one.

    `reached` is how far each trunk will be by then, and is brought up to date.
    """
    length, trunk = ready.config.epochs.count, ready.recipe.trunk
    if now.kind == "cached" and now.past is not None:
        return f"cached (run {now.past.id[:8]})", 0
    sibling = 0 if ready.config.fresh else min(reached.get(trunk, 0), length)
    reached[trunk] = max(reached.get(trunk, 0), length)
    if sibling == length > now.epoch:
        return "left behind by a longer run", 0
    if sibling > now.epoch:
        return f"continues the {sibling}-epoch run", length - sibling
    return str(now), length - now.epoch


def estimate(ready: Ready, where: Store, epochs: int) -> float | None:
    """Seconds that so many epochs took on record, where there are any of the kind."""
    params = ready.asked.params()
    like = {key: params[key] for key in LIKE if key in params}
    actual = {"device": ready.device.type, "threads": torch.get_num_threads()}
    each = history.seconds_per_epoch(where, like | actual)
    return None if each is None else each * epochs
