"""Being asked to stop: by Ctrl-C, or by SIGTERM."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


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
def stoppable() -> Iterator[Stop]:
    """Ctrl-C and SIGTERM wait for the current batch; a second one does not."""
    stop = Stop()

    def ask(number: int, frame: Any) -> None:  # noqa: ARG001
        if stop.wanted:
            raise KeyboardInterrupt
        stop.signal = number

    if threading.current_thread() is not threading.main_thread():
        yield stop  # Python gives signals to the main thread alone
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
