"""Files of data: what is damaged or missing is named, fetched once, and never trained on."""

import gzip
import hashlib
import multiprocessing
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torchvision.datasets

from factorial.settings.messages import BadInput
from factorial.training import downloads

NAMES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"]
NAMES += ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]


# A tiny data set in MNIST's format, with archives and checksums of its own, on a local server


def idx(shape: tuple[int, ...], values: bytes) -> bytes:
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + values


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A data set of 50 and 20 images at a local mirror; the paths that were asked of it."""
    folder = tmp_path / "server"
    folder.mkdir()
    archives, known = [], {}
    for name in NAMES:
        count = 50 if name.startswith("train") else 20
        shape = (count, 28, 28) if "images" in name else (count,)
        size = count * 784 if "images" in name else count
        content = idx(shape, bytes(i % 10 for i in range(size)))
        packed = gzip.compress(content, mtime=0)
        (folder / f"{name}.gz").write_bytes(packed)
        archives.append(hashlib.md5(packed).hexdigest())
        known[name] = hashlib.sha256(content).hexdigest()
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    monkeypatch.setattr(downloads, "mirrors", lambda name: [address])
    for name in ("mnist", "fashion_mnist"):
        monkeypatch.setitem(downloads.ARCHIVES, name, tuple(archives))
    monkeypatch.setattr(downloads, "MNIST", known)
    yield asked
    server.shutdown()


def test_a_missing_data_set_is_downloaded_once(served: list[str], tmp_path: Path) -> None:
    train, test = downloads.open_dataset("mnist", tmp_path)
    assert [list(part.images.shape) for part in (train, test)] == [[50, 1, 28, 28], [20, 1, 28, 28]]
    assert test.labels.tolist() == [*range(10), *range(10)]
    asked = [f"{name}.gz" for name in (NAMES[0], *NAMES)]  # whether the mirror answers, then each
    assert [path.lstrip("/") for path in served] == asked
    downloads.open_dataset("mnist", tmp_path)
    assert len(served) == len(asked)
    assert not list(tmp_path.glob(".incoming*"))


def test_several_processes_may_start_at_once(served: list[str], tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    with context.Pool(4) as pool:
        pool.starmap(downloads.require, [("mnist", tmp_path)] * 4)
    assert len(served) <= 4 + len(NAMES)  # does it answer, four times, and each archive once
    assert len(downloads.open_dataset("mnist", tmp_path)[0].labels) == 50


def test_what_arrives_damaged_is_not_kept(served: list[str], tmp_path: Path) -> None:
    (tmp_path / "server" / f"{NAMES[0]}.gz").write_bytes(gzip.compress(b"something else"))
    with pytest.raises(downloads.Missing, match=r"can't be downloaded .*corrupted"):
        downloads.open_dataset("mnist", tmp_path)
    assert not list((tmp_path / "MNIST" / "raw").iterdir())
    assert not list(tmp_path.glob(".incoming*"))


def test_an_archive_is_there_before_its_file(
    served: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    appeared: list[str] = []

    def replace(source: Path, target: Path) -> None:
        appeared.append(target.name)
        shutil.move(source, target)

    monkeypatch.setattr(downloads.os, "replace", replace)
    downloads.require("mnist", tmp_path)
    assert sorted(appeared) == sorted([*NAMES, *(f"{name}.gz" for name in NAMES)])
    assert all(appeared.index(f"{name}.gz") < appeared.index(name) for name in NAMES)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
@pytest.mark.parametrize("file", NAMES)
@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_file_is_named(
    served: list[str], tmp_path: Path, name: str, file: str, damage: str
) -> None:
    downloads.open_dataset(name, tmp_path)
    path = tmp_path / downloads.CLASSES[name] / "raw" / file
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        del content[-3:]
    else:
        content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadInput, match=rf"{file} is damaged .* delete it and run again"):
        downloads.open_dataset(name, tmp_path)


def test_a_damaged_archive_vouches_for_nothing(served: list[str], tmp_path: Path) -> None:
    downloads.open_dataset("fashion_mnist", tmp_path)
    archive = tmp_path / "FashionMNIST" / "raw" / f"{NAMES[1]}.gz"
    archive.write_bytes(gzip.compress(archive.with_suffix("").read_bytes(), mtime=1))
    with pytest.raises(BadInput, match=rf"{NAMES[1]}.gz is damaged"):
        downloads.open_dataset("fashion_mnist", tmp_path)


def test_a_file_that_nothing_vouches_for_is_not_used(served: list[str], tmp_path: Path) -> None:
    downloads.open_dataset("fashion_mnist", tmp_path)
    (tmp_path / "FashionMNIST" / "raw" / f"{NAMES[0]}.gz").unlink()
    with pytest.raises(BadInput, match=r"without it .* can't be checked"):
        downloads.open_dataset("fashion_mnist", tmp_path)


def test_an_unchecked_cache_of_old_is_not_used(served: list[str], tmp_path: Path) -> None:
    downloads.open_dataset("mnist", tmp_path)
    (tmp_path / "MNIST" / "processed").mkdir()
    with pytest.raises(BadInput, match="an old torchvision's cache"):
        downloads.open_dataset("mnist", tmp_path)


def test_missing_files_are_named_with_what_to_do(
    served: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads.open_dataset("mnist", tmp_path)
    (tmp_path / "MNIST" / "raw" / NAMES[2]).unlink()
    monkeypatch.setattr(downloads, "mirrors", lambda name: ["http://127.0.0.1:9/"])
    with pytest.raises(downloads.Missing) as caught:
        downloads.open_dataset("mnist", tmp_path)
    assert f"(missing: {NAMES[2]})" in str(caught.value)
    assert "FACTORIAL_DATA" in str(caught.value)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"])
def test_a_transfer_that_stalls_fails_after_a_while_and_leaves_other_sockets_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(downloads, "STALL", 0.2)
    meanwhile = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            connection.sendall(said)
            meanwhile.append(socket.getdefaulttimeout())
            while connection.recv(1 << 16):  # until the other side gives up
                pass

        threading.Thread(target=serve, daemon=True).start()
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            downloads.transfer(f"http://127.0.0.1:{server.getsockname()[1]}/a", tmp_path / "a")
    assert time.monotonic() - began < 2
    assert meanwhile == [None]


def test_the_addresses_and_checksums_are_those_of_torchvision() -> None:
    for name in ("mnist", "fashion_mnist", "kmnist"):
        dataset = getattr(torchvision.datasets, downloads.CLASSES[name])
        ours = zip(NAMES, downloads.ARCHIVES[name], strict=True)
        assert [(f"{file}.gz", md5) for file, md5 in ours] == dataset.resources
        assert downloads.mirrors(name) == dataset.mirrors


@pytest.mark.slow
def test_a_network_that_never_answers_takes_at_most_15_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = socket.create_server(("127.0.0.1", 0))  # takes connections and says nothing
    address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
    monkeypatch.setattr(downloads, "mirrors", lambda name: [address, address])
    began = time.monotonic()
    with pytest.raises(downloads.Missing):
        downloads.open_dataset("mnist", tmp_path)
    assert time.monotonic() - began < 15
    silent.close()


@pytest.mark.mnist
def test_a_flipped_bit_of_mnist_itself_is_found(tmp_path: Path) -> None:
    shutil.copytree(Path(os.environ["FACTORIAL_DATA"]) / "MNIST", tmp_path / "MNIST")
    path = tmp_path / "MNIST" / "raw" / NAMES[2]
    path.chmod(0o644)
    path.parent.chmod(0o755)
    content = bytearray(path.read_bytes())
    content[-1] ^= 128
    path.write_bytes(content)
    with pytest.raises(BadInput, match=f"{NAMES[2]} is damaged"):
        downloads.open_dataset("mnist", tmp_path)


@pytest.mark.slow
def test_data_on_disk_need_no_library_that_takes_seconds_to_import(
    served: list[str], tmp_path: Path
) -> None:
    downloads.open_dataset("mnist", tmp_path)
    program = (
        "import pathlib, sys; from factorial.training import data, downloads; "
        "from factorial.training.sources import Source; "
        f"downloads.MNIST = {downloads.MNIST}; data.read(Source('digits')); "
        f"data.read(Source('mnist', pathlib.Path({str(tmp_path)!r}))); "
        "print({'torchvision', 'sklearn', 'torch._dynamo'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], text=True, capture_output=True)
    assert done.stdout == "set()\n", done.stderr
