"""The words of the commands beside train.py: `key=value`, against the command's file in conf/."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from factorial.config import CONF, BadInput, Tracking, unknown

HELP = ("-h", "--help", "help")


def read(command: str, typed: Sequence[str], bare: str | None = None) -> dict[str, Any]:
    """The settings of `conf/COMMAND.yaml` with what was typed in their place. Raises BadInput.

    A word that sets none of them is the value of `bare`, or one of its values. Raises
    SystemExit, after its settings are shown, where help is asked for.
    """
    file = CONF / f"{command}.yaml"
    if set(typed) & set(HELP):
        print(f"python {command}.py [KEY=VALUE ...]\n\n{file.read_text().rstrip()}")
        raise SystemExit(0)
    settings: dict[str, Any] = OmegaConf.to_container(OmegaConf.load(file))  # type: ignore[assignment]
    settings["tracking.uri"] = None
    for word in typed:
        key, equals, value = word.partition("=")
        if key in settings and equals and not value:
            raise BadInput(f"{word}: allowed is a value behind the sign")
        if key in settings and equals:
            settings[key] = plain(key, value, settings[key])
        elif bare is not None and (not re.fullmatch(r"\w+=.*", word) or Path(word).exists()):
            many = isinstance(settings[bare], list)
            if not many and settings[bare] is not None:
                raise BadInput(f"{word}: allowed is one {bare} alone; put it into quotes")
            settings[bare] = [*settings[bare], word] if many else word
        else:
            raise BadInput(unknown(key, list(settings)))
    return settings


def plain(key: str, value: str, default: Any) -> Any:
    """A word as its default is: a switch, text, or text that may be null. Raises BadInput."""
    if isinstance(default, bool):
        if value.lower() not in ("true", "false"):
            raise BadInput(f"{key}={value}: allowed is true or false")
        return value.lower() == "true"
    return None if default is None and value == "null" else value


def names(value: str | None) -> list[str]:
    """`a,b` as a list."""
    return [name for name in str(value or "").strip("[]").split(",") if name]


def number(key: str, value: Any, kind: type, least: float, most: float = math.inf) -> Any:
    """A whole number or any, from `least` to `most`. Raises BadInput."""
    what = "a whole number" if kind is int else "a number"
    limits = f"{least} or more" if most == math.inf else f"{least} to {most}"
    refusal = BadInput(f"{key}={str(value)[:60]}: allowed is {what}, {limits}")
    if isinstance(value, bool) or (kind is int and isinstance(value, float)):
        raise refusal
    try:
        found = kind(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise refusal from error
    if not least <= found <= most:
        raise refusal
    return found


def tracking(settings: dict[str, Any]) -> Tracking:
    """Where the record is, by the settings `tracking` and `tracking.uri`. Raises BadInput."""
    kinds = ("local", "server")
    if settings["tracking"] not in kinds:
        raise BadInput(f"tracking={settings['tracking']}: allowed is one of {', '.join(kinds)}")
    group = OmegaConf.load(CONF / "tracking" / f"{settings['tracking']}.yaml")
    uri = settings["tracking.uri"] or group.uri
    return Tracking(group.kind, uri, "", None, None)
