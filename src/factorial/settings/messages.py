"""What went wrong, in one line: the key, the value, what is allowed."""

import difflib
import re
import sys
import traceback
from collections.abc import Iterable
from typing import Any

from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from factorial.results import Diverged

# Parts of a config that take whatever their class takes
OPEN = ("model", "optimizer", "schedule")
# How much of a value, a word and a line is said
VALUE, WORD, LINE = 60, 200, 1500
FORMS = "allowed is GROUP=OPTION or KEY=VALUE"
QUOTES = (
    f"{FORMS}, where a list is [1,2] and text with other signs than letters, digits and /.:-+ "
    "stands in two kinds of quotes: 'KEY=\"a=b\"'"
)


class BadInput(ValueError):
    """What a user gave can't be used. The message names the key, the value and what is allowed."""


class Missing(BadInput):
    """A data set is neither on disk nor to be had."""


def shown(value: Any) -> str:
    """A value as it would be typed, the beginning of a long one."""
    text = typed(value)
    cut = f"... ({len(text):,} signs)" if len(text) > VALUE else ""
    return visible(text[:VALUE]) + cut


def typed(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(typed, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{typed(key)}: {typed(item)}' for key, item in value.items())}}}"
    return str(value)


def visible(text: str) -> str:
    """Without line breaks, and without signs that a terminal would obey or can't show."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode()
        for sign in " ".join(text.split())
    )


def one_line(text: str) -> str:
    """What can be shown, no longer than anybody reads."""
    return re.sub(rf"\S{{{WORD},}}", lambda word: f"{word[0][:VALUE]}...", visible(text))[:LINE]


def unknown(key: str, allowed: Iterable[str]) -> str:
    """A key that is no setting of its part of the config, beside those that are."""
    part, _, name = key.rpartition(".")
    return no_setting(key, name, allowed, f" of {part}" if part else "")


def no_setting(key: str, name: str, allowed: Iterable[str], where: str = "") -> str:
    """A key that is no setting; `name` is what of it is like those that are allowed there."""
    allowed = sorted(allowed)
    close = difflib.get_close_matches(name, allowed, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    said = f"{shown(key) or 'an empty word'} is not a setting"
    return f"{said}{hint}: allowed{where} are {', '.join(allowed) or 'none'}"


def no_option(word: str, allowed: Iterable[str]) -> str:
    """A word with dashes that is no option, beside what is there; `--a=b` was meant to be a=b."""
    name, equals, value = word.lstrip("-").partition("=")
    meant = f" is {name}={shown(value)}" if equals else f" are {', '.join(allowed)}"
    return f"{shown(word)}: allowed{meant}"


def explain(error: OmegaConfBaseException) -> str:
    """One line for an error of OmegaConf."""
    key = error.full_key or ""
    if not isinstance(error, ConfigKeyError | ConfigAttributeError):
        return f"{key}: {first_line(error)}".removeprefix(": ")
    line = unknown(key, [str(name) for name in error.parent_node or () if name != "hydra"])
    return f"{line}{addition(key)}"


def first_line(error: OmegaConfBaseException) -> str:
    """What is wrong, without where: OmegaConf says that below."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def addition(key: str) -> str:
    """What would add a key, where its part of the config takes more than stands there."""
    part, _, name = key.partition(".")
    if "." in name or part not in (*OPEN, "metrics"):
        return ""
    if part == "metrics":
        return f" (+{key}._target_=... adds a metric)"
    return f" (+{key}=... adds an argument of its class)"


def readable(error: BaseException) -> str | None:
    """The message for what a user can mend, in one line; None for anything else."""
    # here: a third of a second that commands without Hydra do without
    from hydra.errors import HydraException, MissingConfigException, OverrideParseException

    if isinstance(error, MissingConfigException) and error.options:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        return one_line(f"{group}={option}: allowed is one of {', '.join(sorted(error.options))}")
    if isinstance(error, OverrideParseException):
        forms = QUOTES if "=" in error.override else FORMS
        return one_line(f"{shown(error.override)}: can't be read; {forms}")
    if several := re.match(r"Ambiguous value for argument '(.*)'", str(error)):
        return one_line(f"{shown(several[1])}: allowed is one value; several are a sweep, with -m")
    if isinstance(error, HydraException) and isinstance(error.__cause__, OmegaConfBaseException):
        error = error.__cause__
    if isinstance(error, OmegaConfBaseException):
        return one_line(explain(error))
    if isinstance(error, OSError) and error.filename and not isinstance(error, HydraException):
        return one_line(f"{error.strerror}: {error.filename}")
    if isinstance(error, BadInput | Diverged | OSError | HydraException):
        return one_line(str(error))
    return None


def report(error: Exception) -> int:
    """Say on stderr what went wrong, with a trace where it is a bug of ours; the exit code."""
    line = readable(error)
    text = "".join(traceback.format_exception(error)) if line is None else f"error: {line}"
    print(text, file=sys.stderr)
    return 1


def is_stop(error: BaseException) -> bool:
    return isinstance(error, KeyboardInterrupt | SystemExit)


def reason(error: BaseException) -> str:
    """Why a run failed, in one line."""
    text = one_line(str(error))
    expected = isinstance(error, BadInput | Diverged | OSError)
    return text if expected and text else f"{type(error).__name__}: {text}".rstrip(": ")
