"""What went wrong, in one line."""

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from factorial.config import BadInput, explain


def readable(error: Exception) -> str | None:
    """The message for what a user can mend; None for anything else."""
    if isinstance(error, BadInput | ArithmeticError):
        return f"error: {error}"
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        return f"error: {error.strerror}: {error.filename}" if error.filename else f"error: {error}"
    if isinstance(error, MissingConfigException) and error.options:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        return f"error: {group}={option}: allowed is one of {', '.join(sorted(error.options))}"
    if isinstance(error, OverrideParseException):
        return f"error: {error.override}: not an override; allowed is GROUP=OPTION or KEY=VALUE"
    if isinstance(error, HydraException):
        if isinstance(error.__cause__, OmegaConfBaseException):
            return f"error: {explain(error.__cause__)}"
        return f"error: {' '.join(str(error).split())}"
    return None


def is_stop(error: BaseException) -> bool:
    return isinstance(error, KeyboardInterrupt | SystemExit)


def reason(error: BaseException) -> str:
    """Why a run failed, in one line."""
    text = " ".join(str(error).split())
    expected = isinstance(error, BadInput | ArithmeticError | OSError)
    return text if expected and text else f"{type(error).__name__}: {text}".rstrip(": ")
