"""What a tracking server is told of a run: on disk first, and sent in order as the server takes it.

Training waits for no server, and loses nothing with one: what it has not taken stays in the run's
folder, for this process, a later command, or `factorial deliver`.
"""

import contextlib
import json
import os
import threading
import time
from collections import deque
from pathlib import Path
from typing import NamedTuple

from filelock import BaseFileLock, FileLock, Timeout

from factorial import console
from factorial.record import untrusted
from factorial.record.entries import Entry, Place, joined
from factorial.record.reading import owner
from factorial.record.refusals import in_one_line, may_pass
from factorial.record.store import Store
from factorial.settings.messages import BadInput

FOLDER = "spool"  # beside a run's files
PATIENCE = 8  # seconds that a run waits at its end for a server that does not answer
FIRST, LONGEST = 0.2, 5.0  # seconds between two tries
LARGEST = 100_000_000  # bytes: ten thousand epochs of a deep network are a tenth of it


class Spool:
    """The writes of one process to one run, and the thread that sends them."""

    def __init__(self, place: Place) -> None:
        """Raises OSError."""
        self.place = place
        folder = place.folder.parent / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / f"{time.time_ns()}.jsonl"
        self.lock = lock_of(self.file)
        self.lock.acquire()  # while it is held nobody else sends what is in the file
        append(self.file, json.dumps(owner()))
        self.waiting: deque[Entry] = deque()
        self.changed = threading.Condition()
        self.ending, self.abandoned = threading.Event(), False
        self.answered = 0.0  # when the server last took something
        self.trouble = f"no answer in {PATIENCE} s"  # why it has not taken what waits
        self.refusal: Exception | None = None
        self.thread = threading.Thread(target=self.send_all, daemon=True)
        self.thread.start()

    def add(self, entry: Entry) -> None:
        """Keep an entry, and send it. Raises OSError where an earlier one was refused for good."""
        self.raise_refusal()
        append(self.file, json.dumps(entry))
        with self.changed:
            self.waiting.append(entry)
            self.changed.notify_all()

    def close(self) -> None:
        """Wait until all is sent, as long as the server answers and nobody asks to stop.

        Says what it left. Raises OSError where the server refused.
        """
        try:
            self.wait()
        finally:
            with self.changed:
                self.abandoned = bool(self.waiting) and not self.refusal
            if not self.abandoned:
                self.thread.join()
                if not self.waiting:
                    self.file.unlink(missing_ok=True)
                release(self.file, self.lock)
            else:
                console.warn(
                    f"run {self.place.run}: {len(self.waiting)} of its writes wait in "
                    f"{self.file.parent}, for the server does not take them ({self.trouble}); "
                    f"`factorial deliver` sends them later"
                )
        self.raise_refusal()

    def wait(self) -> None:
        with self.changed:
            self.answered = time.monotonic()
            self.ending.set()
            self.changed.notify_all()
            while self.waiting and not self.refusal:
                self.changed.wait(0.1)
                if time.monotonic() > self.answered + PATIENCE:
                    return

    def raise_refusal(self) -> None:
        if self.refusal:
            why = in_one_line(self.refusal)
            raise OSError(f"the record can't be written: {why}") from self.refusal

    def send_all(self) -> None:
        """The thread: first things first, each until the server has taken it.

        What it is sending when it is given up may still arrive: until then the file is its own.
        """
        pause = FIRST
        while (waiting := self.next()) is not None:
            if self.send(*waiting):
                pause = FIRST
            else:
                time.sleep(FIRST)
                self.ending.wait(pause)
                pause = min(2 * pause, LONGEST)
        if self.abandoned:
            release(self.file, self.lock)

    def next(self) -> tuple[Entry, int] | None:
        """What is to be sent, once there is something, and how many entries it is; None at the end.

        Where a server is slower than training, or was away, rows of several epochs go as one.
        """
        with self.changed:
            self.changed.wait_for(lambda: self.waiting or self.ending.is_set())
            is_over = self.abandoned or self.refusal or not self.waiting
            return None if is_over else joined(self.waiting)

    def send(self, entry: Entry, count: int) -> bool:
        """Whether the server has taken it."""
        try:
            self.place.send(entry)
        except Exception as error:
            with self.changed:
                self.trouble = in_one_line(error)
                self.refusal = None if may_pass(error) else error
                self.changed.notify_all()
            return False
        with self.changed:
            for _ in range(count):
                self.waiting.popleft()
            self.answered = time.monotonic()
            self.changed.notify_all()
        return True


def append(file: Path, line: str) -> None:
    """A line, or nothing where there is no room for it; a process that is killed leaves a part."""
    with file.open("ab", buffering=0) as stream:
        end = stream.tell()
        try:
            left = memoryview(f"{line}\n".encode())
            while left:
                left = left[stream.write(left) :]
        except OSError as error:
            os.ftruncate(stream.fileno(), end)
            raise OSError(error.errno, error.strerror, str(file)) from error


def read(file: Path) -> list[Entry]:
    """Its whole lines: first whose they are. Raises BadInput."""
    *lines, _ = untrusted.read(file, str(file), LARGEST).split("\n")
    try:
        entries = [json.loads(line) for line in lines]
    except (ValueError, RecursionError):
        entries = [None]
    if not all(isinstance(entry, dict) for entry in entries):
        raise BadInput(f"{file}: allowed is a JSON object in each line")
    return entries


def lock_of(file: Path) -> FileLock:
    """Of a spool, for whichever thread is done with it last."""
    return FileLock(file.with_suffix(".lock"), thread_local=False)


def release(file: Path, lock: BaseFileLock) -> None:
    """Let others send what is in a file; what is empty beside it goes."""
    lock.release()
    with contextlib.suppress(OSError):
        if not file.exists():
            file.with_suffix(".lock").unlink()
            file.parent.rmdir()


class Delivery(NamedTuple):
    """Files whose writes a server has taken, and why it has not taken the others."""

    taken: list[Path]
    left: dict[Path, str]


def files(store: Store, run: str = "*") -> list[Path]:
    """Those of one run, or of all, oldest first; a process may be sending what is in them."""
    return sorted(store.outputs.glob(f"runs/{run}/{FOLDER}/*.jsonl"))


def waiting(store: Store) -> int:
    """How many runs have something on disk that their server may not have, and nobody sends."""
    return len({file.parents[1] for file in files(store) if not is_being_sent(file)})


def is_being_sent(file: Path) -> bool:
    """Whether a living process holds it."""
    lock = lock_of(file)
    try:
        with lock.acquire(timeout=0):
            return False
    except Timeout:
        return True


def deliver(store: Store, run: str = "*", wait: float = 0) -> Delivery:
    """Send what waits below the outputs, of one run or of all.

    What another process is sending is left to it: for so many seconds it is waited for.
    """
    delivery = Delivery([], {})
    for file in files(store, run):
        try:
            with lock_of(file).acquire(timeout=wait) as lock:
                try:
                    if file.exists() and deliver_file(store, file):  # else another was faster
                        delivery.taken.append(file)
                finally:
                    release(file, lock)
        except Timeout:
            if wait:
                delivery.left[file] = "another process is sending it"
        except Exception as error:
            delivery.left[file] = in_one_line(error)
            if may_pass(error):
                break  # nor will it take the others now
    return delivery


def deliver_file(store: Store, file: Path) -> bool:
    """From its beginning: nobody knows how far its process came. Raises whatever is wrong.

    Where another has gone on with the run since, what is told now would undo what that one said:
    the file is set aside, and not sent.
    """
    run, folder = file.parents[1].name, file.parents[1] / "artifacts"
    whose, *entries = read(file) or [{}]
    known = store.client.get_run(run)
    if entries and whose.get("owner") != known.data.tags.get("owner"):
        aside = file.rename(file.with_suffix(".superseded"))
        console.warn(f"run {run}: another process went on with it; {aside} is not sent")
        return False
    place = Place(store.client, run, folder, known.info.artifact_uri)
    while entries:
        entry, count = joined(entries)
        place.send(entry)
        del entries[:count]
    file.unlink()
    return True
