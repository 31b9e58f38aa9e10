"""Where a page and its files lie: a folder of its own, which is replaced whole or not at all."""

import contextlib
import errno
import itertools
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from factorial.settings.messages import BadInput, shown

REPORT = "report's"


def require_own(folder: Path, files: Sequence[str], whose: str = REPORT) -> None:
    """Raises BadInput for a folder that holds more than such `files`: it would be lost."""
    foreign = sorted({path.name for path in listed(folder)} - set(files))
    if foreign:
        raise BadInput(
            f"folder={folder}: it holds {shown(foreign[0])}, which is no {whose}; "
            f"allowed is a new folder, an empty one, or an earlier {whose}"
        )


def listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unwritable(folder, error) from error


@contextlib.contextmanager
def replacing(folder: Path, files: Sequence[str], whose: str = REPORT) -> Iterator[Path]:
    """A folder to write `files` into, which takes `folder`'s place in the end. Raises BadInput."""
    require_own(folder, files, whose)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = tempfile.TemporaryDirectory(dir=folder.parent)
    except OSError as error:
        raise unwritable(folder, error) from error
    with beside as temporary:
        made = Path(temporary) / "new"
        made.mkdir()
        yield made
        put(made, folder)


def put(made: Path, folder: Path) -> None:
    """`made` under the name of `folder`; what was there goes beside it, out of the way."""
    for number in itertools.count():
        with contextlib.suppress(FileNotFoundError):
            folder.rename(made.with_name(f"old{number}"))
        try:
            made.rename(folder)
            return
        except OSError as error:  # another process was quicker
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


def unwritable(folder: Path, error: OSError) -> BadInput:
    return BadInput(f"folder={folder}: allowed is a folder to write ({error.strerror})")
