"""What a value may be: a rule says it in words, and holds or not, with no conversion of types."""

import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from factorial.settings.messages import BadInput, shown

LONGEST = 255  # bytes in a file's name
LONGEST_TEXT = 8000  # characters of a tag: MLflow cuts a longer one silently
# What looks like no text: it was put into quotes
OTHER_THAN_TEXT = re.compile(r"[-+]?\d+(\.\d*)?|true|false|null")


class Rule(NamedTuple):
    allowed: str
    holds: Callable[[Any], bool]

    def check(self, key: str, value: Any) -> None:
        """Raises BadInput."""
        if not self.holds(value):
            note = " (text)" if is_text(value) and OTHER_THAN_TEXT.fullmatch(value) else ""
            raise BadInput(f"{key}={shown(value)}{note}: allowed is {self.allowed}")


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_finite(value: Any) -> bool:
    return is_number(value) and math.isfinite(value)


def is_text(value: Any) -> bool:
    """Something to be seen, in signs that can be: no line breaks, no bytes that are not UTF-8."""
    return isinstance(value, str) and value.isprintable() and value == value.strip() != ""


def is_path(value: Any) -> bool:
    """Whether there may be something of this name: what stands above it is a folder."""
    if not is_text(value) or any(len(os.fsencode(part)) > LONGEST for part in Path(value).parts):
        return False
    path = Path(value).absolute()
    return next(filter(os.path.lexists, path.parents), path).is_dir()


def spelled(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def one_of(*options: str) -> Rule:
    return Rule(f"one of {', '.join(options)}", lambda value: value in options)


def whole(least: int, most: int | None = None) -> Rule:
    limits = f"{least} or more" if most is None else f"{least} to {most}"
    top = math.inf if most is None else most
    return Rule(f"a whole number, {limits}", lambda n: type(n) is int and least <= n <= top)


def many(rule: Rule, what: str) -> Rule:
    return Rule(
        f"a list of {what}", lambda some: isinstance(some, list) and all(map(rule.holds, some))
    )


def or_null(rule: Rule) -> Rule:
    return Rule(f"{rule.allowed}, or null", lambda value: value is None or rule.holds(value))


BOOLEAN = Rule("true or false", lambda value: isinstance(value, bool))
SEED = Rule("a whole number, 0 to 2**63 - 1", whole(0, 2**63 - 1).holds)
SHARE = Rule("a number in [0, 1)", lambda share: is_number(share) and 0 <= share < 1)
DEGREES = Rule("degrees, 0 to 180", lambda angle: is_number(angle) and 0 <= angle <= 180)
SLOPE = Rule("degrees, 0 to 80", lambda angle: is_number(angle) and 0 <= angle <= 80)
PIXELS = Rule("pixels, 0 to 1000", lambda n: is_number(n) and 0 <= n <= 1000)
PART_OF_1 = Rule("a number in (0, 1)", lambda share: is_number(share) and 0 < share < 1)
SECONDS = Rule("seconds, 0 or more", lambda time: is_number(time) and 0 <= time < math.inf)
POSITIVE = Rule("a finite number above 0", lambda n: is_number(n) and 0 < n < math.inf)
NAME = Rule("a name of 1 to 200 signs", lambda name: is_text(name) and len(name) <= 200)
TEXT = Rule(
    f"text of 1 to {LONGEST_TEXT:,} signs",
    lambda text: is_text(text) and len(text) <= LONGEST_TEXT,
)
FOLDER = Rule(
    "a folder", lambda path: is_path(path) and (os.path.isdir(path) or not os.path.lexists(path))
)
FILE = Rule("a file", lambda path: is_path(path) and not os.path.isdir(path))
SIZE = Rule(
    "[height, width], in pixels, 1 to 4096",
    lambda size: many(whole(1, 4096), "").holds(size) and len(size) == 2,
)
ANY = Rule("any value", lambda _: True)
TAGS = Rule("KEY: VALUE, such as paper: table 3", lambda tags: isinstance(tags, dict))
PART = Rule("the settings of a class", lambda part: isinstance(part, dict))
WORD = r"[^\W\d]\w*"
CLASS = Rule("the full name of a class, such as torch.optim.Adam", spelled(rf"{WORD}(\.{WORD})+"))
GIVER = Rule("the full name of a function or class, such as my_data.MySet", CLASS.holds)
FUNCTION = Rule(
    "the full name of a function, such as my_metrics.brier", spelled(rf"{WORD}(\.{WORD})+")
)
TRUSTED = Rule("the full name of a class, or of a package", spelled(rf"{WORD}(\.{WORD})*"))
RUN = Rule("a run's id", spelled("[0-9a-f]{32}"))
DIGEST = Rule("a part of a recipe, PART-DIGEST", spelled("[a-z]+-[0-9a-f]{16}"))
SWEEP = Rule("a sweep's id", spelled("[0-9a-f]{20}"))
DIFFERENCE = Rule("a number, 0 or more", lambda n: is_number(n) and 0 <= n < math.inf)
MEASURED = Rule("the name of a metric, such as loss", spelled("[a-z][a-z0-9_]*"))
RANKED = Rule(
    "a metric of the validation examples, such as validation/loss: the test set has no say in what "
    "is best",
    spelled(r"validation/[a-z][a-z0-9_]*"),
)
ADDRESS = Rule(
    "an MLflow server's address, such as http://127.0.0.1:5000", spelled(r"https?://\S+")
)
