"""What a command has read its workers map: the same values, no copy, and nobody changes them."""

import functools
import os
import signal
import time
from pathlib import Path

import psutil
import pytest
import torch

from factorial.runs.pool import Died, Pool
from factorial.training import data
from factorial.training.examples import Examples
from factorial.training.sharing import Sealed, is_possible
from factorial.training.sources import Source
from hydra_plugins.factorial_parallel import enter

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_possible(), reason="memory can be sealed on Linux alone"),
]

KEY = Source("made", Path("nowhere"))
SIZE = 40_000_000  # bytes of images


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> data.Stored:
    """A data set that is on no disk: whoever has it got it from this process."""
    drawn = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (SIZE // 400, 20, 20), dtype=torch.uint8, generator=drawn)
    labels = torch.randint(0, 10, (len(images),), generator=drawn)
    train, test = (
        Examples(images[part], labels[part]) for part in (slice(1000, None), slice(1000))
    )
    stored = data.Stored(train, test, "digest")
    monkeypatch.setattr(data, "HELD", {KEY: stored})
    return stored


def begin(worker: int, held: dict[Source, data.Stored]) -> None:
    enter(worker, cards=0, held=held)


def given(held: dict[Source, data.Stored]) -> Pool:
    return Pool(2, functools.partial(begin, held=held))


def sums(_: int) -> tuple[int, list[int], str]:
    """The process, the sum of each tensor that it was given, and their digest."""
    time.sleep(0.05)
    stored = data.read(KEY)
    return os.getpid(), added(stored), stored.digest


def added(stored: data.Stored) -> list[int]:
    return [int(tensor.sum()) for part in (stored.train, stored.test) for tensor in part]


def mapped(_: int) -> tuple[int, int]:
    """Bytes of sealed memory that this process has in use, and those of them that it has copied."""
    for stored in data.HELD.values():
        added(stored)
    maps = [one for one in psutil.Process().memory_maps() if "memfd:factorial" in one.path]
    return sum(one.rss for one in maps), sum(one.anonymous for one in maps)


def write(value: int) -> tuple[int, int]:
    """What lay there, and what lies there then."""
    time.sleep(0.05)
    images = data.read(KEY).test.images
    before = int(images[0, 0, 0])
    images[0, 0, 0] = value
    return before, int(images[0, 0, 0])


def test_workers_have_the_data_of_the_command(held: data.Stored) -> None:
    ended = given(data.sealed()).run(sums, [(number,) for number in range(6)])
    results = [future.result() for _, future in ended]
    assert len({process for process, *_ in results}) == 2
    assert all(one[1:] == (added(held), "digest") for one in results)


def test_workers_copy_no_data(held: data.Stored) -> None:
    ended = [future.result() for _, future in given(data.sealed()).run(mapped, [(0,), (1,)])]
    assert [copied for _, copied in ended] == [0, 0]
    assert min(used for used, _ in ended) >= 0.95 * SIZE


def test_what_one_worker_writes_no_other_process_sees(held: data.Stored) -> None:
    first = int(held.test.images[0, 0, 0])
    other = (first + 1) % 256
    ended = given(data.sealed()).run(write, [(other,)] * 2)
    assert [future.result() for _, future in ended] == [(first, other)] * 2
    assert int(held.test.images[0, 0, 0]) == first


def test_a_worker_that_takes_a_dead_ones_place_has_the_data_too(held: data.Stored) -> None:
    ended = dict(given(data.sealed()).run(die_or_add, [(number,) for number in range(6)]))
    assert isinstance(ended[0].exception(), Died)
    assert all(ended[number].result() == added(held) for number in range(1, 6))


def die_or_add(number: int) -> list[int]:
    if number == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return added(data.read(KEY))


def test_sealed_bytes_can_not_be_changed_any_more() -> None:
    sealed = Sealed(torch.arange(10))
    with pytest.raises(OSError, match="not permitted"):
        os.pwrite(sealed.file, b"x", 0)
    with pytest.raises(OSError, match="not permitted"):
        os.ftruncate(sealed.file, 8)
