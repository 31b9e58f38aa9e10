"""Being asked to stop: by Ctrl-C, by SIGTERM, or by a cluster that wants its machine back."""

import contextlib
import signal
import threading
from collections.abc import Iterable, Iterator
from typing import Any

# Clusters announce the end of a job's time by one of the last two, which are not on Windows
NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")


class Stop:
    """Whether someone asked this process to stop."""

    signal: int | None = None

    @property
    def wanted(self) -> bool:
        return self.signal is not None

    def now_if_wanted(self) -> None:
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self.signal is not None:
            raise SystemExit(128 + self.signal)


@contextlib.contextmanager
def stoppable(*others: str) -> Iterator[Stop]:
    """Ctrl-C and the like, and `others`, wait for the current batch; a second Ctrl-C does not.

    A cluster may send several, of one kind or two: they mean the same. Of the others those that
    this process was told to ignore, as `nohup` does with SIGHUP, stay ignored.
    """
    stop = Stop()
    heard = [one for one in numbers(others) if signal.getsignal(one) != signal.SIG_IGN]

    def ask(number: int, frame: Any) -> None:  # noqa: ARG001
        if stop.wanted and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.signal = stop.signal or number

    if threading.current_thread() is not threading.main_thread():
        yield stop  # Python gives signals to the main thread alone
        return
    before = {number: signal.signal(number, ask) for number in (*numbers(NAMES), *heard)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def numbers(names: Iterable[str]) -> list[int]:
    """Of the signals with these names, as far as there are such here."""
    return [getattr(signal, name) for name in names if hasattr(signal, name)]
