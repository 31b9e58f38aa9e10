"""CIFAR-10 as torchvision reads it, and checks it; downloaded whole and once."""

import hashlib
import os
import tarfile
import tempfile
from http.client import HTTPException
from pathlib import Path

import torch
from filelock import FileLock

from factorial.settings.messages import BadInput, Missing
from factorial.training import downloads
from factorial.training.examples import Examples, Images

FOLDER = "cifar-10-batches-py"
FILES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")


def read(root: Path) -> Images:
    """50,000 and 10,000 images of 3 x 32 x 32. Raises Missing, or BadInput for a damaged file."""
    require(root)
    from torchvision.datasets import CIFAR10  # here: two seconds

    try:  # checksums come before anything is unpickled
        sets = [CIFAR10(root, train=train) for train in (True, False)]
    except RuntimeError as error:
        raise BadInput(
            f"{root / FOLDER} is damaged (wrong checksum): delete it and run again to download it"
        ) from error
    train, test = (
        Examples(
            torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(part.targets)
        )
        for part in sets
    )
    return Images(train, test, tuple(sets[0].classes))


def require(root: Path) -> None:
    """Have the files in `root`, by download if need be. Raises Missing."""
    if not missing(root):
        return
    reason = downloads.OUT_OF_REACH.get(("cifar10", root)) or fetch(root)
    if reason is not None:
        downloads.OUT_OF_REACH["cifar10", root] = reason
        raise Missing(reason)


def missing(root: Path) -> list[str]:
    return [name for name in FILES if not (root / FOLDER / name).is_file()]


def fetch(root: Path) -> str | None:
    """Download what is missing, once, whoever else is at it; files appear whole. Or why not."""
    from torchvision.datasets import CIFAR10

    absent = ", ".join(missing(root))
    mirror, _, name = CIFAR10.url.rpartition("/")
    try:
        mirror = downloads.reachable([f"{mirror}/"], name)
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".download.lock"):
            if missing(root):
                download(f"{mirror}{name}", CIFAR10.tgz_md5, root)
    except (OSError, HTTPException, tarfile.TarError, KeyError) as error:
        why = " ".join(str(error).split())
        return (
            f"CIFAR-10 is not in {root / FOLDER} (missing: {absent}) and can't be downloaded "
            f"({why}): put the files there, or name another folder with FACTORIAL_DATA or data.root"
        )
    return None


def download(address: str, md5: str, root: Path) -> None:
    """Raises OSError, HTTPException, and what tarfile and KeyError say of another archive."""
    with tempfile.TemporaryDirectory(dir=root, prefix=".incoming-") as incoming:
        archive = Path(incoming) / "archive"
        downloads.transfer(address, archive)
        if hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest() != md5:
            raise OSError(f"{address} arrived corrupted")
        with tarfile.open(archive) as packed:
            for name in FILES:
                member = packed.extractfile(f"{FOLDER}/{name}")
                assert member is not None
                (Path(incoming) / name).write_bytes(member.read())
        (root / FOLDER).mkdir(exist_ok=True)
        for name in FILES:
            os.replace(Path(incoming) / name, root / FOLDER / name)
