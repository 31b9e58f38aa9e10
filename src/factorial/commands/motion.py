"""How optimizers move, on classic surfaces or in recorded runs: a page, animations and tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from factorial.comparison.folder import require_own
from factorial.motion import page
from factorial.motion.asked import understood
from factorial.settings import words
from factorial.settings.messages import BadInput

OF_SURFACES = {"optimizer", "surface", "lr", "steps", "seed", "tolerance"}
OF_RUNS = {
    "best", "every", "grid", "examples", "allow", "threads", "data", "tracking", "tracking.uri",
}  # fmt: skip


def main(typed: Sequence[str]) -> None:
    """Raises BadInput."""
    settings = words.read("motion", typed)
    keys = [word.partition("=")[0] for word in typed]
    named = [key for key in ("run", "sweep") if settings[key] is not None]
    if len(named) > 1:
        raise BadInput(f"run={settings['run']} and sweep={settings['sweep']}: allowed is one")
    foreign = [key for key in keys if key in (OF_SURFACES if named else OF_RUNS)]
    if foreign:
        which = f"without {named[0]}" if named else "with run=ID,ID, or sweep=ID"
        raise BadInput(f"{foreign[0]}: allowed is that {which}")
    if named == ["run"] and "best" in keys:
        raise BadInput(f"best={settings['best']}: allowed with sweep=ID, for it is of a sweep")
    if named:
        of_runs(settings)
    else:
        page.publish(understood(settings), settings["folder"], settings["outputs"])


def of_runs(settings: dict[str, Any]) -> None:
    from factorial.motion import plane_page  # here: a record takes two seconds to open
    from factorial.record.store import look_into
    from factorial.reuse import ways

    folder = Path(settings["folder"] or Path(settings["outputs"]) / "motion-of-runs").resolve()
    require_own(folder, plane_page.FILES, plane_page.WHOSE)
    store = look_into(words.tracking(settings), settings["outputs"])
    if store.client is None:
        raise BadInput(f"outputs={store.outputs}: no runs are on record there")
    plane_page.publish(ways.scene(store, settings), folder)
