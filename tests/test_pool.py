"""Workers that stay: what each keeps, what one's death costs, and how all are asked to stop."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

import factorial
from factorial.runs.pool import Died, Pool
from hydra_plugins.factorial_parallel import take_card

pytestmark = pytest.mark.slow

SEEN: list[int] = []  # of one process


def nothing(worker: int) -> None:
    pass


def name(worker: int) -> None:
    os.environ["WORKER"] = str(worker)


def its_name(_: int) -> str:
    time.sleep(0.05)
    return os.environ["WORKER"]


def remember(number: int) -> tuple[int, list[int]]:
    SEEN.append(number)
    time.sleep(0.05)
    return os.getpid(), [*SEEN]


def die(number: int) -> int:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 2:
        raise ValueError("of its own")
    return number


def wait_to_be_stopped(folder: Path) -> None:
    """Says so when it begins, and when it was asked to stop."""
    signal.signal(signal.SIGTERM, lambda *_: (folder / f"stopped-{os.getpid()}").touch())
    (folder / f"began-{os.getpid()}").touch()
    deadline = time.monotonic() + 60
    while not (folder / f"stopped-{os.getpid()}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def seen(folder: Path, what: str) -> int:
    return len(list(folder.glob(f"{what}-*")))


def test_a_worker_keeps_what_it_has_between_its_tasks() -> None:
    ended = {index: future.result() for index, future in
             Pool(2, nothing).run(remember, [(number,) for number in range(10)])}  # fmt: skip
    assert sorted(ended) == list(range(10))
    assert len({pid for pid, _ in ended.values()}) == 2
    assert os.getpid() not in {pid for pid, _ in ended.values()}
    by_worker = dict(sorted(ended.values(), key=lambda one: len(one[1])))
    assert sorted(number for kept in by_worker.values() for number in kept) == list(range(10))


def test_each_worker_is_told_its_number_before_its_first_task() -> None:
    ended = Pool(3, name).run(its_name, [(number,) for number in range(9)])
    assert {future.result() for _, future in ended} == {"0", "1", "2"}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_dead_worker_costs_its_own_task_alone(workers: int) -> None:
    ended = dict(Pool(workers, nothing).run(die, [(number,) for number in range(6)]))
    assert {index: ended[index].result() for index in (0, 3, 4, 5)} == {0: 0, 3: 3, 4: 4, 5: 5}
    assert isinstance(ended[1].exception(), Died)
    with pytest.raises(ValueError, match="of its own"):
        ended[2].result()


@pytest.mark.parametrize("begun", [0, 2])
def test_to_close_it_early_asks_the_workers_to_stop_and_waits_for_them(
    begun: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        if seen(tmp_path, "began") == begun:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    running = Pool(2, nothing).run(wait_to_be_stopped, [(tmp_path,)] * 6)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    with pytest.raises(KeyboardInterrupt):
        next(running)
    signal.signal(signal.SIGALRM, before)
    assert seen(tmp_path, "stopped") == seen(tmp_path, "began") == begun


def test_workers_stop_when_the_process_that_gives_them_work_is_killed(tmp_path: Path) -> None:
    program = (
        "import pathlib, test_pool\n"
        "if __name__ == '__main__':\n"
        f"    tasks = [(pathlib.Path({str(tmp_path)!r}),)] * 2\n"
        "    list(test_pool.Pool(2, test_pool.nothing).run(test_pool.wait_to_be_stopped, tasks))\n"
    )
    (tmp_path / "program.py").write_text(program)
    places = [Path(__file__).parent, Path(factorial.__file__).parents[1]]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, places))}
    process = subprocess.Popen([sys.executable, tmp_path / "program.py"], env=env)
    wait_for(lambda: seen(tmp_path, "began") == 2)
    workers = [int(file.name.partition("-")[2]) for file in tmp_path.glob("began-*")]
    process.kill()
    wait_for(lambda: seen(tmp_path, "stopped") == 2)
    wait_for(lambda: not any(map(psutil.pid_exists, workers)))


@pytest.mark.parametrize(
    ("cards", "before", "after"),
    [(0, None, [None] * 3), (1, None, [None] * 3), (2, None, ["0", "1", "0"]),
     (2, "4,7", ["4", "7", "4"]), (3, "", ["0", "1", "2"])],
)  # fmt: skip
def test_a_worker_has_a_card_of_its_own_where_there_are_several(
    cards: int, before: str | None, after: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for worker, card in enumerate(after):
        if before is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", before)
        take_card(worker, cards)
        assert os.environ.get("CUDA_VISIBLE_DEVICES") == card
