"""The words of a command but train, read against its file in conf/."""

import math
import os
import re
from collections.abc import Sequence
from typing import Any

from omegaconf import OmegaConf

from factorial.settings.messages import BadInput, no_option, no_setting, shown
from factorial.settings.parsing import check_address
from factorial.settings.places import CONF
from factorial.settings.rules import FILE, FOLDER, NAME, RANKED, TRUSTED, Rule, one_of, or_null
from factorial.settings.schema import Tracking

HELP = ("-h", "--help", "help")
# Numbers among the settings of the other commands: their kind, and their bounds
NUMBERS: dict[str, tuple[Any, ...]] = {
    "tolerance": (float, 0, 1),
    "threads": (int, 1, 1024),
    "sample": (int, 1),
    "best": (int, 1),
    "port": (int, 1, 65535),
    "most": (int, 1),
    "workers": (int, 1, 64),
    "steps": (int, 1, 10_000),
    "seed": (int, 0, 2**63 - 1),
    "grid": (int, 5, 201),
    "examples": (int, 1),
}
# Words that may stand in place of one
WORDS = {("sample", "all"), ("threads", "null"), ("best", "null")}
RULES = {
    "outputs": FOLDER,
    "folder": or_null(FOLDER),
    "ledger": or_null(FILE),
    "digest": or_null(FILE),
    "name": NAME,
    "rank_by": RANKED,
    "allow": or_null(
        Rule(
            "full names of classes, or of packages: a.b,c.d",
            lambda value: names(value) != [] and all(map(TRUSTED.holds, names(value))),
        )
    ),
}


def read(command: str, typed: Sequence[str], bare: str | None = None) -> dict[str, Any]:
    """The settings of `conf/COMMAND.yaml` with what was typed in their place. Raises BadInput.

    A word that sets none of them is the value of `bare`, or one of its values. Raises
    SystemExit, after its settings are shown, where help is asked for.
    """
    file = CONF / f"{command}.yaml"
    if set(typed) & set(HELP):
        print(f"factorial {command} [KEY=VALUE ...]\n\n{file.read_text().rstrip()}")
        raise SystemExit(0)
    settings: dict[str, Any] = OmegaConf.to_container(OmegaConf.load(file))  # type: ignore[assignment]
    if "tracking" in settings:
        settings["tracking.uri"] = None
    for word in typed:
        key, value = understood(word, settings, bare)
        settings[key] = value
    for key, rule in RULES.items():
        if key in settings:
            rule.check(key, settings[key])
    return settings


def understood(word: str, settings: dict[str, Any], bare: str | None) -> tuple[str, Any]:
    """The setting that a word sets, with its value from then on. Raises BadInput."""
    key, equals, value = word.partition("=")
    if key in settings and equals:
        if not value:
            raise BadInput(f"{word}: allowed is a value behind the sign")
        return key, plain(key, value, settings[key])
    if bare is not None and (os.path.exists(word) or is_value(word, settings)):
        return bare, added(word, bare, settings[bare])
    if key in settings:
        raise BadInput(f"{word}: allowed is {word}=VALUE")
    if word.startswith("-"):
        raise BadInput(no_option(word, [f"{name}=VALUE" for name in sorted(settings)]))
    raise BadInput(no_setting(key, key, settings))


def is_value(word: str, settings: dict[str, Any]) -> bool:
    """Whether a word looks neither like a setting nor like an option."""
    return not re.fullmatch(r"-.*|[\w-]+=.*|\s*", word, re.DOTALL) and word not in settings


def added(word: str, bare: str, value: Any) -> Any:
    """What `bare` is with one more word. Raises BadInput where it takes one alone."""
    if isinstance(value, list):
        return [*value, word]
    if value is not None:
        raise BadInput(f"{shown(word)}: allowed is one {bare} alone; put it into quotes")
    return word


def plain(key: str, value: str, default: Any) -> Any:
    """A word as its default is: a switch, a number, a list, text, or text that may be null.

    Raises BadInput.
    """
    if isinstance(default, bool):
        if value.lower() not in ("true", "false"):
            raise BadInput(f"{key}={shown(value)}: allowed is true or false")
        return value.lower() == "true"
    if key in NUMBERS and (key, value) not in WORDS:
        return number(key, value, *NUMBERS[key])
    if isinstance(default, list):
        return names(value)
    return None if default is None and value == "null" else value


def names(value: str | None) -> list[str]:
    """`a,b`, in brackets or not, as a list."""
    return [name.strip() for name in str(value or "").strip("[]").split(",") if name.strip()]


def number(key: str, value: Any, kind: type, least: float, most: float = math.inf) -> Any:
    """A whole number or any, from `least` to `most`. Raises BadInput."""
    what = "a whole number" if kind is int else "a number"
    limits = f"{least} or more" if most == math.inf else f"{least} to {most}"
    refusal = BadInput(f"{key}={shown(value)}: allowed is {what}, {limits}")
    if isinstance(value, bool) or (kind is int and isinstance(value, float)):
        raise refusal
    try:
        read = kind(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise refusal from error
    if not least <= read <= most:
        raise refusal
    return read


def tracking(settings: dict[str, Any]) -> Tracking:
    """Where the record is, by the settings `tracking` and `tracking.uri`. Raises BadInput."""
    kind = settings["tracking"]
    one_of("local", "server").check("tracking", kind)
    group = OmegaConf.load(CONF / "tracking" / f"{kind}.yaml")
    place = Tracking(kind, settings["tracking.uri"] or group.uri, "", None, None)
    check_address(place)
    return place
