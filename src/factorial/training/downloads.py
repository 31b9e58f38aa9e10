"""The MNIST family's files: downloaded whole and once, checked before every use."""

import gzip
import hashlib
import os
import shutil
import struct
import tempfile
import threading
import zlib
from http.client import HTTPException
from math import prod
from pathlib import Path
from queue import Empty, Queue
from urllib.request import Request, urlopen

import torch
from filelock import FileLock
from rich.console import Console
from rich.progress import wrap_file
from torch import Tensor

from factorial.settings.messages import BadInput, Missing
from factorial.training.examples import Examples

CONNECT = 7  # seconds until a mirror that does not answer counts as out of reach
STALL = 6  # seconds without a byte until a download counts as failed

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
# torchvision's class of each set; its folder has the same name
CLASSES = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}
# MD5 of the archives, FILES packed, as torchvision has them (a test compares): to import it takes
# two seconds more than torch, so only a download does
ARCHIVES = {
    "mnist": (
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
    "fashion_mnist": (
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
    "kmnist": (
        "bdb82020997e1d708af4cf47b453dcf7",
        "e144d726b3acfaa3e44228e80efcd344",
        "5c965bf0a639b31b8f53240b1b52f4d7",
        "7320c461ea6c1c855c0b718fb2a4b134",
    ),
}
# SHA-256 of MNIST's files, uncompressed. The other sets are held against their archives.
MNIST = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

# What this process could not get, and why: a network dead for one run of a sweep is dead for all
OUT_OF_REACH: dict[tuple[str, Path], str] = {}


def open_dataset(name: str, root: Path) -> tuple[Examples, Examples]:
    """Training and test examples. Raises Missing, or BadInput for a damaged file."""
    require(name, root)
    folder = root / CLASSES[name]
    if (folder / "processed").exists():  # so old that nobody knows what would read it
        raise BadInput(f"{folder / 'processed'}: an old torchvision's cache, not used; delete it")
    train_images, train_labels, images, labels = (
        decode(checked(folder / "raw" / file, md5, MNIST if name == "mnist" else {}))
        for file, md5 in zip(FILES, ARCHIVES[name], strict=True)
    )
    return (
        Examples(train_images.unsqueeze(1), train_labels.long()),
        Examples(images.unsqueeze(1), labels.long()),
    )


def require(name: str, root: Path) -> None:
    """Have a data set's files in `root`, by download if need be. Raises Missing."""
    if missing(root / CLASSES[name]):
        reason = OUT_OF_REACH.get((name, root)) or fetch(name, root)
        if reason is not None:
            OUT_OF_REACH[name, root] = reason
            raise Missing(reason)


def missing(folder: Path) -> list[str]:
    return [name for name in FILES if not (folder / "raw" / name).is_file()]


def decode(content: bytes) -> Tensor:
    """Bytes in the IDX format (zeros, a type, the number of axes, big-endian sizes, values)."""
    axes = content[3]
    shape = struct.unpack_from(f">{axes}I", content, offset=4)
    values = torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=4 + 4 * axes)
    return values[: prod(shape)].reshape(shape)


def checked(file: Path, md5: str, known: dict[str, str]) -> bytes:
    """A file's content, held against its SHA-256 or else its archive. Raises BadInput."""
    content, archive = file.read_bytes(), file.with_name(f"{file.name}.gz")
    if file.name in known:
        intact = hashlib.sha256(content).hexdigest() == known[file.name]
    elif not archive.is_file():
        raise BadInput(
            f"{archive} is missing: without it {file.name} can't be checked; put it there"
        )
    else:
        packed = archive.read_bytes()
        if not is_archive(packed, md5):
            raise BadInput(f"{archive} is damaged: delete it and {file.name}, and run again")
        intact = zlib.decompress(packed, wbits=31) == content
    if not intact:
        raise BadInput(
            f"{file} is damaged ({len(content):,} bytes, wrong checksum): "
            f"delete it and run again to download it, or copy it anew"
        )
    return content


def is_archive(packed: bytes, md5: str) -> bool:
    return hashlib.md5(packed, usedforsecurity=False).hexdigest() == md5


def fetch(name: str, root: Path) -> str | None:
    """Download what is missing, once, whoever else is at it; files appear whole. Or why not."""
    folder = root / CLASSES[name]
    absent = ", ".join(missing(folder))
    try:
        mirror = reachable(mirrors(name), f"{FILES[0]}.gz")
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".download.lock"):
            if missing(folder):
                download(mirror, ARCHIVES[name], root, folder / "raw")
    except (OSError, HTTPException) as error:
        reason = " ".join(str(error).split())
        return (
            f"{CLASSES[name]} is not in {folder / 'raw'} (missing: {absent}) and can't be "
            f"downloaded ({reason}): put the files there, or name another folder with "
            f"FACTORIAL_DATA or data.root, or take data=digits"
        )
    return None


def mirrors(name: str) -> list[str]:
    """The addresses that torchvision knows, each ending in a slash."""
    import torchvision.datasets  # here: two seconds that only a download needs

    addresses: list[str] = getattr(torchvision.datasets, CLASSES[name]).mirrors
    return addresses


def download(mirror: str, checksums: tuple[str, ...], root: Path, raw: Path) -> None:
    """Every archive and its file from `mirror` into `raw`. Raises OSError, HTTPException."""
    raw.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".incoming-") as incoming:
        for name, md5 in zip(FILES, checksums, strict=True):
            archive = Path(incoming) / f"{name}.gz"
            transfer(mirror + archive.name, archive)
            packed = archive.read_bytes()
            if not is_archive(packed, md5):
                raise OSError(f"{mirror}{archive.name} arrived corrupted")
            archive.with_suffix("").write_bytes(gzip.decompress(packed))
        for file in sorted(Path(incoming).iterdir(), reverse=True):
            os.replace(file, raw / file.name)  # archives first: a file is never without its own


def transfer(address: str, file: Path) -> None:
    """Raises OSError, where no byte comes for STALL seconds too. A bar on a terminal alone."""
    screen = Console(stderr=True)
    with urlopen(request(address), timeout=STALL) as answer, file.open("wb") as stream:
        bar = wrap_file(
            answer, answer.length or 0, description=file.name, console=screen,
            disable=not screen.is_terminal,
        )  # fmt: skip
        with bar as body:
            shutil.copyfileobj(body, stream)


def request(address: str) -> Request:
    return Request(address, headers={"User-Agent": "factorial"})


def reachable(addresses: list[str], file: str) -> str:
    """The first mirror that answers with a file, all asked at once. Raises OSError after CONNECT
    seconds."""
    answers: Queue[str | Exception] = Queue()

    def ask(mirror: str) -> None:
        try:
            with urlopen(request(f"{mirror}{file}"), timeout=CONNECT):
                answers.put(mirror)
        except Exception as error:
            answers.put(error)

    # threads, because looking up a name obeys no timeout
    for mirror in addresses:
        threading.Thread(target=ask, args=(mirror,), daemon=True).start()
    answer: str | Exception = OSError("no mirror")
    for _ in addresses:
        try:
            answer = answers.get(timeout=CONNECT)
        except Empty:
            raise OSError(f"no mirror answered within {CONNECT} s") from None
        if isinstance(answer, str):
            return answer
    raise OSError(answer)
