"""Being asked to stop, once and more often."""

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from factorial.runs.signals import stoppable

NAMES = ["SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2"]


def somebody(number: int, frame: Any) -> None:
    """Whoever handled signals before: unheard, they end a process."""


@pytest.fixture(autouse=True)
def handled() -> Iterator[None]:
    before = {name: signal.signal(getattr(signal, name), somebody) for name in NAMES}
    yield
    for name, handler in before.items():
        signal.signal(getattr(signal, name), handler)


@pytest.mark.parametrize("name", NAMES)
def test_whoever_asks_is_heard_behind_the_batch(name: str) -> None:
    number = getattr(signal, name)
    with stoppable() as stop:
        assert not stop.wanted
        signal.raise_signal(number)
        assert (stop.wanted, stop.signal) == (True, number)
    assert signal.getsignal(number) is somebody
    with pytest.raises((KeyboardInterrupt, SystemExit)) as left:
        stop.now_if_wanted()
    assert left.type is KeyboardInterrupt or left.value.code == 128 + number


def test_a_cluster_that_insists_waits_for_the_batch_all_the_same() -> None:
    """Slurm sends one signal at the end of the time and another before it kills."""
    with stoppable() as stop:
        for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGTERM, signal.SIGUSR1):
            signal.raise_signal(number)
        assert stop.signal == signal.SIGUSR2


def test_a_second_ctrl_c_does_not_wait() -> None:
    with stoppable() as stop:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert stop.signal == signal.SIGTERM


def test_others_are_heard_where_they_are_not_ignored() -> None:
    before = signal.signal(signal.SIGHUP, somebody)
    try:
        with stoppable("SIGHUP") as stop:
            signal.raise_signal(signal.SIGHUP)
            assert stop.signal == signal.SIGHUP
        assert signal.getsignal(signal.SIGHUP) is somebody
        with stoppable():
            assert signal.getsignal(signal.SIGHUP) is somebody
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with stoppable("SIGHUP") as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop.wanted
    finally:
        signal.signal(signal.SIGHUP, before)
