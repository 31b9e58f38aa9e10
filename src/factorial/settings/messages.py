"""What went wrong, in one line: the key, the value, what is allowed."""

import difflib
import sys
import traceback
from collections.abc import Iterable

from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

# Parts of a config that take whatever their class takes
OPEN = ("model", "optimizer", "schedule")


class BadInput(ValueError):
    """What a user gave can't be used. The message names the key, the value and what is allowed."""


def unknown(key: str, allowed: Iterable[str]) -> str:
    """A key that is no setting, beside those that are."""
    prefix, _, name = key.rpartition(".")
    allowed = sorted(allowed)
    close = difflib.get_close_matches(name, allowed, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    part = f" of {prefix}" if prefix else ""
    return f"{key} is not a setting{hint}: allowed{part} are {', '.join(allowed)}"


def explain(error: OmegaConfBaseException) -> str:
    """One line for an error of OmegaConf."""
    key = error.full_key or ""
    if not isinstance(error, ConfigKeyError | ConfigAttributeError):
        return f"{key}: {str(error.msg).splitlines()[0]}"
    line = unknown(key, [str(name) for name in error.parent_node or () if name != "hydra"])
    return f"{line} (+{key}=... adds an argument of its class)" if is_open(key) else line


def is_open(key: str) -> bool:
    """Whether a key lies in a part of the config that takes whatever its class takes."""
    return key.partition(".")[0] in OPEN and "." in key


def readable(error: BaseException) -> str | None:
    """The message for what a user can mend; None for anything else."""
    # here: a third of a second that commands without Hydra do without
    from hydra.errors import HydraException, MissingConfigException, OverrideParseException

    if isinstance(error, BadInput | ArithmeticError):
        return str(error)
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        return f"{error.strerror}: {error.filename}" if error.filename else str(error)
    if isinstance(error, MissingConfigException) and error.options:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        return f"{group}={option}: allowed is one of {', '.join(sorted(error.options))}"
    if isinstance(error, OverrideParseException):
        return f"{error.override}: not an override; allowed is GROUP=OPTION or KEY=VALUE"
    if isinstance(error, HydraException):
        if isinstance(error.__cause__, OmegaConfBaseException):
            return explain(error.__cause__)
        return " ".join(str(error).split())
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
    text = " ".join(str(error).split())
    expected = isinstance(error, BadInput | ArithmeticError | OSError)
    return text if expected and text else f"{type(error).__name__}: {text}".rstrip(": ")
