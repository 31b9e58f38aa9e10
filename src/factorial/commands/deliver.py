"""Send a tracking server what it was not there to take."""

from collections.abc import Sequence

from factorial import console
from factorial.record import spool
from factorial.record.store import look_into
from factorial.settings import words
from factorial.settings.messages import BadInput


def main(typed: Sequence[str]) -> None:
    """Raises BadInput, and SystemExit(1) where something is left."""
    settings = words.read("deliver", typed)
    tracking = words.tracking(settings)
    if tracking.kind != "server":
        raise BadInput(f"tracking={tracking.kind}: allowed is server; what is local was never sent")
    taken, left = spool.deliver(look_into(tracking, settings["outputs"]))
    for file, why in left.items():
        console.warn(f"{file}: {why}")
    runs = {file.parents[1].name for file in taken}
    console.say(f"{len(runs)} runs delivered, {len(left)} files left")
    if left:
        raise SystemExit(1)
