"""What a replay found: where it parts from the record, and what differs that may be why."""

import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from factorial.record.predictions import KINDS
from factorial.settings.names import flatten

IDENTICAL, CLOSE, DIFFERENT = "identical", "equal within tolerance", "different"
Row = tuple[int, str, Any]  # epoch, or 0 for a closing metric; its name; its value
NOTHING = "nothing"
DIGESTS = ("weights", *KINDS.values())  # tell whether, not how much
KNOWN = ("gpu", "cuda", "cudnn", "installed.", "env.")  # facts that not every machine has


class Parting(NamedTuple):
    """Where a value is not the recorded one; `place` is where the record has it."""

    epoch: int
    metric: str
    recorded: Any
    replayed: Any
    place: str

    def __str__(self) -> str:
        when = f"epoch {self.epoch}, " if self.epoch else "at the end, "
        values = f"{shown(self.recorded)} recorded ({self.place}), {shown(self.replayed)} here"
        return f"{when}{self.metric}: {values}"


class Difference(NamedTuple):
    """Something that is not as it was recorded; `kind` is what it belongs to."""

    kind: str  # record, config, data, code, or environment
    name: str
    recorded: Any
    here: Any

    def __str__(self) -> str:
        values = f"{shown(self.recorded)} recorded, {shown(self.here)} here"
        return f"{self.kind}: {printable(self.name)[:100]}: {values}"


class Verdict(NamedTuple):
    kind: str
    parting: Parting | None
    differences: list[Difference]


def judge(
    recorded: Mapping[str, Sequence[Row]],
    replayed: Sequence[Row],
    differences: list[Difference],
    tolerance: float,
) -> Verdict:
    """Equality is to the bit; tolerance only excuses what another environment may have done.

    A record that contradicts itself, or whose recipe is not of its config, is equal to nothing.
    """
    parted = list(partings(recorded, replayed))
    kinds = {difference.kind for difference in differences}
    if not parted:
        return Verdict(DIFFERENT if kinds & {"record", "config"} else IDENTICAL, None, differences)
    first = min(parted, key=lambda parting: parting.epoch or math.inf)
    # metrics drift as weights do: neither moves alone
    moved = {parting.metric == "weights" for parting in parted if parting.place not in KINDS}
    close = moved == {True, False} and all(is_close(parting, tolerance) for parting in parted)
    excused = kinds == {"environment"} and close
    return Verdict(CLOSE if excused else DIFFERENT, first, differences)


def partings(recorded: Mapping[str, Sequence[Row]], replayed: Sequence[Row]) -> Iterator[Parting]:
    """In the order of training, for each place of the record, of what is kept there."""
    for place, rows in recorded.items():
        here = {
            (epoch, metric): value for epoch, metric, value in replayed if is_kept(metric, place)
        }
        there = {(epoch, metric): value for epoch, metric, value in rows}
        for key in dict.fromkeys([*there, *here]):
            before, now = there.get(key, NOTHING), here.get(key, NOTHING)
            if not same(before, now):
                yield Parting(*key, before, now, place)


def is_kept(metric: str, place: str) -> bool:
    """Predictions lie in files of their own, the weights' digests not in MLflow."""
    if metric in KINDS.values() or place in KINDS:
        return metric == KINDS.get(place)
    return metric != "weights" or place != "MLflow"


def same(one: Any, other: Any) -> bool:
    both_nan = one != one and other != other
    return bool(type(one) is type(other) or (is_number(one) and is_number(other))) and (
        both_nan or bool(one == other)
    )


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_close(parting: Parting, tolerance: float) -> bool:
    """Within `tolerance`, which is relative above 1; digests of weights say nothing of size."""
    if parting.metric in DIGESTS:
        values = parting.recorded, parting.replayed
        return all(re.fullmatch(r"[0-9a-f]{64}", str(value)) for value in values)
    if not (is_finite(parting.recorded) and is_finite(parting.replayed)):
        return False
    return math.isclose(parting.recorded, parting.replayed, rel_tol=tolerance, abs_tol=tolerance)


def is_finite(value: Any) -> bool:
    """Whether a value is a number that a float can hold."""
    return is_number(value) and abs(value) <= sys.float_info.max


def of_recipes(recorded: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[Difference]:
    """`here` is the recipe of what runs now: the recorded config, with this data and code."""
    kinds = {"config": "config", "data": "data", "validation": "data", "code": "code"}
    old, new = flatten(dict(recorded)), flatten(dict(here))
    for key in sorted(old.keys() | new.keys()):
        part, _, name = key.partition(".")
        before, now = old.get(key, NOTHING), new.get(key, NOTHING)
        if before != now:
            yield Difference(kinds.get(part, "environment"), name or part, before, now)


def of_provenance(recorded: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[Difference]:
    """The commit and its patch are code only where the recipe's sources differ as well."""
    for key in sorted(recorded.keys() | here.keys()):
        before, now = recorded.get(key, NOTHING), here.get(key, NOTHING)
        if before == now or key.startswith("git."):
            continue
        if key == "cpu.features":
            old, new = set(str(before).split()), set(str(now).split())
            before, now = " ".join(sorted(old - new)), " ".join(sorted(new - old))
        known = key in here or key.startswith(KNOWN)
        yield Difference("environment" if known else "record", key, before, now)


def printable(text: str) -> str:
    """Without what would command a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def shown(value: Any) -> str:
    text = printable(str(value) if not isinstance(value, float) else repr(value))
    return (text[:12] if len(text) == 64 else text[:60]) or NOTHING
