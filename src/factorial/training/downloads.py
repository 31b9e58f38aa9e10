"""The MNIST family's files: downloaded by torchvision, checked before every use."""

import contextlib
import hashlib
import io
import os
import socket
import sys
import tempfile
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import Any
from urllib.request import Request, urlopen

from filelock import FileLock

from factorial.settings.messages import BadInput

CONNECT = 7  # seconds until a mirror that does not answer counts as out of reach
STALL = 6  # seconds without a byte until a download counts as failed

CLASSES = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}

# SHA-256 of MNIST's files, uncompressed. The other sets are held against their archives, whose
# checksums torchvision knows.
MNIST = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

# What this process could not get, and why: a network dead for one run of a sweep is dead for all
OUT_OF_REACH: dict[tuple[str, Path], str] = {}


class Missing(BadInput):
    """A data set is neither on disk nor to be had."""


def open_dataset(name: str, root: Path) -> tuple[Any, Any]:
    """torchvision's training and test data sets. Raises Missing, or BadInput for a damaged file."""
    dataset = require(name, root)
    folder = root / dataset.__name__
    if (folder / "processed").exists():  # torchvision would read it first, unchecked
        raise BadInput(f"{folder / 'processed'}: an old torchvision's cache, not used; delete it")
    for archive, md5 in dataset.resources:
        verify(folder / "raw" / archive, md5, MNIST if name == "mnist" else {})
    return dataset(root, train=True), dataset(root, train=False)


def require(name: str, root: Path) -> Any:
    """torchvision's class for a data set whose files are all in `root`. Raises Missing."""
    import torchvision.datasets  # here: digits do without it

    dataset = getattr(torchvision.datasets, CLASSES[name])
    if missing(dataset, root / CLASSES[name]):
        reason = OUT_OF_REACH.get((name, root)) or fetch(dataset, root)
        if reason is not None:
            OUT_OF_REACH[name, root] = reason
            raise Missing(reason)
    return dataset


def missing(dataset: Any, folder: Path) -> list[str]:
    names = [archive.removesuffix(".gz") for archive, _ in dataset.resources]
    return [name for name in names if not (folder / "raw" / name).is_file()]


def verify(archive: Path, md5: str, known: dict[str, str]) -> None:
    """Hold a file against its SHA-256, or else against its archive. Raises BadInput."""
    file = archive.with_suffix("")
    content = file.read_bytes()
    if file.name in known:
        intact = hashlib.sha256(content).hexdigest() == known[file.name]
    elif not archive.is_file():
        raise BadInput(
            f"{archive} is missing: without it {file.name} can't be checked; put it there"
        )
    else:
        packed = archive.read_bytes()
        if hashlib.md5(packed, usedforsecurity=False).hexdigest() != md5:
            raise BadInput(f"{archive} is damaged: delete it and {file.name}, and run again")
        intact = zlib.decompress(packed, wbits=31) == content
    if not intact:
        raise BadInput(
            f"{file} is damaged ({len(content):,} bytes, wrong checksum): "
            f"delete it and run again to download it, or copy it anew"
        )


def fetch(dataset: Any, root: Path) -> str | None:
    """Download what is missing, once, whoever else is at it; files appear whole. Or why not."""
    folder = root / dataset.__name__
    absent = ", ".join(missing(dataset, folder))
    try:
        mirror = reachable(dataset)
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".download.lock"):
            if missing(dataset, folder):
                download(dataset, mirror, root)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        return (
            f"{dataset.__name__} is not in {folder / 'raw'} (missing: {absent}) and can't be "
            f"downloaded ({reason}): put the files there, or name another folder with "
            f"FACTORIAL_DATA or data.root, or take data=digits"
        )
    return None


def download(dataset: Any, mirror: str, root: Path) -> None:
    raw = root / dataset.__name__ / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".incoming-") as incoming, patience():
        type(dataset.__name__, (dataset,), {"mirrors": [mirror]})(incoming, download=True)
        for file in sorted((Path(incoming) / dataset.__name__ / "raw").iterdir(), reverse=True):
            os.replace(file, raw / file.name)  # archives first: a file is never without its own


def reachable(dataset: Any) -> str:
    """The first mirror that answers, all asked at once. Raises OSError after CONNECT seconds."""
    answers: Queue[str | Exception] = Queue()

    def ask(mirror: str) -> None:
        request = Request(mirror + dataset.resources[0][0], headers={"User-Agent": "factorial"})
        try:
            with urlopen(request, timeout=CONNECT):
                answers.put(mirror)
        except Exception as error:
            answers.put(error)

    # threads, because looking up a name obeys no timeout
    for mirror in dataset.mirrors:
        threading.Thread(target=ask, args=(mirror,), daemon=True).start()
    answer: str | Exception = OSError("no mirror")
    for _ in dataset.mirrors:
        try:
            answer = answers.get(timeout=CONNECT)
        except Empty:
            raise OSError(f"no mirror answered within {CONNECT} s") from None
        if isinstance(answer, str):
            return answer
    raise OSError(answer)


@contextlib.contextmanager
def patience() -> Iterator[None]:
    """Fail a stalled transfer after STALL seconds; draw progress bars on a terminal alone."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL)
    quiet = (
        contextlib.nullcontext()
        if sys.stderr.isatty()
        else contextlib.redirect_stderr(io.StringIO())
    )
    try:
        with quiet:
            yield
    finally:
        socket.setdefaulttimeout(before)
