"""CIFAR-10 by torchvision's format and checksums: fetched once and whole, damage is named."""

import hashlib
import io
import json
import pickle
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10

from factorial.commands import fetch
from factorial.settings.messages import BadInput, Missing
from factorial.training import cifar, downloads

NAMES = ["plane", "car"]
EACH = 4  # images in each of the six files


def contents() -> dict[str, bytes]:
    """A tiny archive's files as the published ones are: pickles of rows of 3,072 bytes."""
    drawn, made = np.random.default_rng(0), {}
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        rows = drawn.integers(0, 256, (EACH, 3072), dtype=np.uint8)
        made[name] = pickle.dumps({"data": rows, "labels": [0, 1, 0, 1]})
    return made | {"batches.meta": pickle.dumps({"label_names": NAMES})}


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The archive on a local server; the paths that were asked of it."""
    (folder := tmp_path / "server").mkdir()
    with tarfile.open(folder / "tiny.tar.gz", "w:gz") as archive:
        for name, content in contents().items():
            entry = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    sums = {name: hashlib.md5(content).hexdigest() for name, content in contents().items()}
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}/tiny.tar.gz"
    monkeypatch.setattr(CIFAR10, "url", address)
    md5 = hashlib.md5((folder / "tiny.tar.gz").read_bytes()).hexdigest()
    monkeypatch.setattr(CIFAR10, "tgz_md5", md5)
    train = [[name, md5] for name, md5 in sums.items() if name.startswith("data")]
    monkeypatch.setattr(CIFAR10, "train_list", train)
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": sums["batches.meta"]}
    monkeypatch.setattr(CIFAR10, "meta", meta)
    monkeypatch.setattr(downloads, "OUT_OF_REACH", {})
    yield asked
    server.shutdown()


def test_it_is_fetched_once_and_is_what_the_files_say(served: list[str], tmp_path: Path) -> None:
    found = cifar.read(tmp_path)
    assert found.classes == ("plane", "car")
    rows = [pickle.loads(content) for name, content in contents().items() if "batch_" in name]
    pixels = np.concatenate([part["data"] for part in rows])  # red, then green, then blue
    assert np.array_equal(found.train.images.flatten(1).numpy(), pixels)
    assert found.train.images.shape == (20, 3, 32, 32) and found.test.images.shape[0] == 4
    assert found.train.labels.tolist() == [0, 1] * 10 and found.train.labels.dtype == torch.int64
    assert served == ["/tiny.tar.gz"] * 2  # does it answer, and the archive
    cifar.read(tmp_path)
    assert len(served) == 2
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"server", "cifar-10-batches-py", ".download.lock"}


def test_factorial_fetch_brings_it(
    served: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FACTORIAL_DATA", raising=False)
    fetch.main(["data=cifar10", f"outputs={tmp_path}", f"digest={tmp_path}/said.json"])
    said = json.loads((tmp_path / "said.json").read_text())
    assert (said["data"], said["train"], said["test"]) == ("cifar10", 20, 4)
    assert (tmp_path / "data" / "cifar-10-batches-py" / "test_batch").is_file()


def test_what_arrives_damaged_is_not_kept(served: list[str], tmp_path: Path) -> None:
    file = tmp_path / "server" / "tiny.tar.gz"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(Missing, match=r"can't be downloaded \(.* arrived corrupted\)"):
        cifar.read(tmp_path)
    assert not (tmp_path / "cifar-10-batches-py").exists()


def test_a_damaged_file_is_named_before_it_is_unpickled(served: list[str], tmp_path: Path) -> None:
    cifar.require(tmp_path)
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").write_bytes(b"cposix\nabort\n(tR.")
    with pytest.raises(BadInput, match=r"cifar-10-batches-py is damaged .*: delete it and run"):
        cifar.read(tmp_path)


def test_out_of_reach_it_is_missing(
    served: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/tiny.tar.gz")
    with pytest.raises(Missing, match=r"CIFAR-10 is not in .*cifar-10-batches-py \(missing: data_"):
        cifar.require(tmp_path)


def test_the_files_are_those_of_torchvision() -> None:
    theirs = [name for name, _ in [*CIFAR10.train_list, *CIFAR10.test_list]]
    assert [*theirs, CIFAR10.meta["filename"]] == [*cifar.FILES]
    assert CIFAR10.base_folder == cifar.FOLDER
