"""What MLflow will not answer, or can't write, in one line."""

import contextlib
import re
from collections.abc import Iterator
from importlib.metadata import version

from factorial.settings.messages import BadInput

# Of MLflow's errors, those of a store that is out of reach: the same may be answered later
OUT_OF_REACH = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE")
# Those that the same question will always meet; a password or a permission may be given yet
FOR_GOOD = ("INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_DOES_NOT_EXIST")
TOO_LARGE = 413  # HTTP's: a proxy's word on a file, or on a request to MLflow
UNANSWERED = r"failed with (timeout )?exception .*"
BY_401 = r"error code 401 |401 Client Error"
WHO = (
    "the server does not take the name and password (MLFLOW_TRACKING_USERNAME and "
    "MLFLOW_TRACKING_PASSWORD are where MLflow looks for them)"
)


@contextlib.contextmanager
def asking(what: str) -> Iterator[None]:
    """Raises BadInput for what MLflow will not answer (a database of another version, a filter that
    it can't read), and OSError where its store is out of reach."""
    try:
        yield
    except Exception as error:
        if not is_of_mlflow(error):
            raise
        if "out-of-date database schema" in str(error):
            raise BadInput(f"{what}: {other_schema(str(error))}") from error
        kind = OSError if is_out_of_reach(error) else BadInput
        raise kind(f"{what}: {in_one_line(error)}") from error


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Raises OSError for whatever keeps MLflow from writing."""
    try:
        yield
    except Exception as error:
        if not is_of_mlflow(error):
            raise
        raise OSError(f"the record can't be written: {in_one_line(error)}") from error


def is_of_mlflow(error: Exception) -> bool:
    """MLflow's own, or SQLAlchemy's, some of which come through it as they are."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return isinstance(error, MlflowException | SQLAlchemyError)


def is_out_of_reach(error: Exception) -> bool:
    from sqlalchemy.exc import OperationalError

    code = getattr(error, "error_code", None)
    return isinstance(error, OperationalError) or code in OUT_OF_REACH


def may_pass(error: Exception) -> bool:
    """Whether a server may yet take what it has not taken now."""
    if is_too_large(error):
        return False
    if isinstance(error, OSError):  # those of the connection, and of HTTP, are
        return True
    return is_of_mlflow(error) and getattr(error, "error_code", None) not in FOR_GOOD


def is_too_large(error: Exception) -> bool:
    """Whether the size of what was sent was refused: it will have that size the next time, too."""
    answer = getattr(error, "response", None)
    is_status = getattr(answer, "status_code", None) == TOO_LARGE
    return is_status or (
        is_of_mlflow(error) and re.search(rf"error code {TOO_LARGE} ", str(error)) is not None
    )


def in_one_line(error: Exception) -> str:
    """Without SQLAlchemy's statement behind what went wrong, or urllib3's story of it."""
    if getattr(error, "error_code", "") == "UNAUTHENTICATED" or re.search(BY_401, str(error)):
        return WHO
    text = re.sub(UNANSWERED, "got no answer", str(error).partition("[SQL")[0], flags=re.DOTALL)
    return " ".join(text.split())[:300]


def other_schema(message: str) -> str:
    actual, expected = re.findall(r"(?:version|expected) (\w+)", message)
    return (
        f"its database has schema {actual}, MLflow {version('mlflow')} works with {expected}; "
        f"an older one is brought up by `mlflow db upgrade`, a newer one needs a newer MLflow"
    )
