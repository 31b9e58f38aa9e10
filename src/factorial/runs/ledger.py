"""A sweep's results as one file, for pipelines."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from factorial.record.files import write_atomically
from factorial.results import Outcome
from factorial.settings.messages import BadInput


def require_writable(file: Path) -> None:
    """Raises BadInput now rather than when all is done."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a"):
            pass
    except OSError as error:
        raise BadInput(f"ledger={file}: allowed is a file to write ({error.strerror})") from error


def write(
    file: Path, sweep: str, rows: Iterable[Mapping[str, str]], outcomes: Iterable[Outcome]
) -> None:
    """The sweep's results without times: the same sweep gives the same file."""
    runs = [
        {**row, "validation": one.validation, "test": one.test, "status": one.status}
        for row, one in zip(rows, outcomes, strict=True)
    ]
    write_atomically(file, (json.dumps({"sweep": sweep, "runs": runs}, indent=1) + "\n").encode())
