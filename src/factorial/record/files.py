"""Files that appear whole, whatever happens while they are written."""

import os
from pathlib import Path


def write_atomically(file: Path, content: bytes) -> None:
    """A reader finds the old content or the new: a temporary file, flushed, then renamed."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(file)) from error
