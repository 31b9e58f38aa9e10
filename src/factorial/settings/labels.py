"""What a user calls a run or a sweep to find it again: no part of what it is."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from factorial.settings.messages import BadInput, shown, typed
from factorial.settings.names import flatten
from factorial.settings.rules import LONGEST_TEXT, TEXT, is_number

# The tags that say what Factorial knows of a run, and how the names of MLflow's and git's begin
TAKEN = (
    "cached", "combinations", "command", "continued_from", "diverged", "failure", "owner", "pruned",
    "recipe", "replays", "resumed_from_epoch", "search", "stopped", "sweep", "trial", "trunk",
    "verdict",
)  # fmt: skip
BEGINNINGS = ("git.", "mlflow.")
LONGEST_KEY = 250  # of a tag to MLflow
KEY = rf"(?=.{{1,{LONGEST_KEY}}}$)\w[\w-]*(\.\w[\w-]*)*"


class Labels(NamedTuple):
    """A name, a note, and tags under keys of the user's own."""

    name: str | None
    note: str | None
    tags: Mapping[str, str]


def is_taken(key: str) -> bool:
    return key in TAKEN or key.startswith(BEGINNINGS)


def read_tags(tags: Mapping[str, Any]) -> dict[str, str]:
    """Tags by their dotted keys, a number or a switch as text. Raises BadInput."""
    leaves = flatten(tags) if tags else {}
    taken = [key for key in leaves if is_taken(str(key))]
    if taken:
        names = ", ".join(f"tags.{key}" for key in taken)
        raise BadInput(
            f"{names}: allowed are other keys than {', '.join(TAKEN)}, and what begins with "
            f"{' or '.join(BEGINNINGS)}: Factorial and MLflow write those"
        )
    return {key: text_of(str(key), value) for key, value in leaves.items()}


def check_key(key: str) -> None:
    """Raises BadInput."""
    if not re.fullmatch(KEY, key):
        raise BadInput(
            f"tags.{shown(key)}: allowed is a key of letters, digits, _, - and ., {LONGEST_KEY} "
            f"signs at most"
        )


def text_of(key: str, value: Any) -> str:
    """Raises BadInput."""
    check_key(key)
    text = typed(value) if isinstance(value, bool) or is_number(value) else value
    if not TEXT.holds(text):
        raise BadInput(
            f"tags.{key}={shown(value)}: allowed is a number, true, false, or text of 1 to "
            f"{LONGEST_TEXT:,} signs"
        )
    return str(text)
