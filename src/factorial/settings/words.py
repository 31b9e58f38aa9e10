"""The words of a command line: translated for Hydra, or read against a file in conf/."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from factorial.settings.messages import OPEN, BadInput, unknown
from factorial.settings.places import CONF
from factorial.settings.schema import Tracking

HELP = ("-h", "--help", "help")


def translated(word: str) -> str:
    """What was typed, as Hydra takes it: a number for `epochs`, `+` for a setting that is there.

    `+optimizer.weight_decay=0` adds an argument, or sets it where the option's file has it.
    """
    if word.startswith(tuple(f"+{part}." for part in OPEN)):
        return f"+{word}"
    return count_epochs(word)


def count_epochs(override: str) -> str:
    """`epochs=7` as `epochs.count=7`, for Hydra refuses a number as the option of a group.

    Likewise for lists of levels, in which options may stand beside numbers.
    """
    key, _, value = override.partition("=")
    is_option = re.compile(r"(?!true$|false$|null$)[A-Za-z_]\w*").fullmatch
    if key.lstrip("+") != "epochs" or all(map(is_option, value.split(","))):
        return override
    options = {file.stem: str(OmegaConf.load(file).count) for file in CONF.glob("epochs/*.yaml")}
    return "epochs.count=" + ",".join(options.get(level, level) for level in value.split(","))


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
    settings["tracking.uri"] = None
    for word in typed:
        key, equals, value = word.partition("=")
        if key in settings and equals and not value:
            raise BadInput(f"{word}: allowed is a value behind the sign")
        if key in settings and equals:
            settings[key] = plain(key, value, settings[key])
        elif bare is not None and (not re.fullmatch(r"[\w-]+=.*", word) or Path(word).exists()):
            many = isinstance(settings[bare], list)
            if not many and settings[bare] is not None:
                raise BadInput(f"{word}: allowed is one {bare} alone; put it into quotes")
            settings[bare] = [*settings[bare], word] if many else word
        else:
            raise BadInput(unknown(key, settings))
    return settings


def plain(key: str, value: str, default: Any) -> Any:
    """A word as its default is: a switch, a list, text, or text that may be null.

    Raises BadInput.
    """
    if isinstance(default, bool):
        if value.lower() not in ("true", "false"):
            raise BadInput(f"{key}={value}: allowed is true or false")
        return value.lower() == "true"
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
    refusal = BadInput(f"{key}={str(value)[:60]}: allowed is {what}, {limits}")
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
    kinds = ("local", "server")
    if settings["tracking"] not in kinds:
        raise BadInput(f"tracking={settings['tracking']}: allowed is one of {', '.join(kinds)}")
    group = OmegaConf.load(CONF / "tracking" / f"{settings['tracking']}.yaml")
    uri = settings["tracking.uri"] or group.uri
    return Tracking(group.kind, uri, "", None, None)
