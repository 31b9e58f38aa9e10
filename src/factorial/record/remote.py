"""A tracking server's files: in its store of them, never in a folder of this machine."""

import contextlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from factorial.settings.messages import BadInput

# `file:`, a bare path, and what leads back to the server's own word (`runs:`, `models:`) are not
ELSEWHERE = (
    "mlflow-artifacts", "http", "https", "s3", "r2", "b2", "gs", "wasbs", "abfss", "hdfs", "viewfs",
    "ftp", "sftp",
)  # fmt: skip


def check(server: str, location: str) -> None:
    """Raises BadInput for a location that is no store of files elsewhere."""
    if urlsplit(location).scheme not in ELSEWHERE:
        raise BadInput(
            f"tracking.uri={server}: it would have files written at {location}, on this machine; "
            f"allowed is a server that takes them itself, as `mlflow server "
            f"--artifacts-destination FOLDER` does"
        )


def upload(server: str, location: str, folder: Path, name: str | None = None) -> None:
    """Copy a folder's files to a location that the server gave. Raises BadInput."""
    repository(server, location).log_artifacts(str(folder), name)


def upload_file(server: str, location: str, file: Path, below: Path) -> None:
    """Copy one file to a folder below a location that the server gave. Raises BadInput."""
    folder = below.as_posix()
    repository(server, location).log_artifact(str(file), None if folder == "." else folder)


def download(server: str, location: str, name: str) -> Path | None:
    """One file, in a temporary folder; None where it is not there."""
    from mlflow.exceptions import MlflowException

    files = repository(server, location)
    with contextlib.suppress(MlflowException, OSError):
        return Path(files.download_artifacts(name))
    return None


def repository(server: str, location: str) -> Any:
    """MlflowClient would ask the server for the location a second time."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    check(server, location)
    return get_artifact_repository(location, tracking_uri=server)
