"""Processes that stay: each keeps what it imported and loaded, and one that dies is replaced.

A pool of the standard library (as joblib's) gives up on all its work when one of its processes is
killed; here each worker is a pool of its own, of one process.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import (
    CancelledError,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
)
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from queue import SimpleQueue
from typing import Any

# What workers need: seconds of imports
PRELOADED = ["factorial.commands.train", "factorial.runs.ending",
             "mlflow.store.tracking.sqlalchemy_store"]  # fmt: skip


class Died(RuntimeError):
    """A worker's process ended in the middle of its work."""


class Worker:
    """A process that does one thing after another. After its death the next starts another."""

    def __init__(self, number: int, enter: Callable[[int], None]) -> None:
        self.number, self.enter = number, enter
        self.process: ProcessPoolExecutor | None = None
        self.pid = 0
        self.is_stopped = False

    def call(self, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
        """Raises Died, and what the function raises."""
        try:
            if self.process is None and not self.is_stopped:
                self.process = ProcessPoolExecutor(1, context(), settle, (self.number, self.enter))
                self.pid = self.process.submit(os.getpid).result()
            if self.process is None or self.is_stopped:
                raise CancelledError
            return self.process.submit(perform, function, *arguments).result()
        except BrokenProcessPool as error:
            died, self.process, self.pid = self.pid, None, 0  # another may get that number
            raise Died(f"worker {self.number}, process {died}") from error

    def stop(self) -> None:
        """Ask its process to; one that is only being started gets no work."""
        self.is_stopped = True
        if self.process is not None and self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def end(self) -> None:
        if self.process is not None:
            self.process.shutdown()


class Pool:
    """So many workers; `enter` is called in each one's process, with the worker's number."""

    def __init__(self, workers: int, enter: Callable[[int], None]) -> None:
        self.workers = [Worker(number, enter) for number in range(workers)]
        self.idle: SimpleQueue[Worker] = SimpleQueue()
        for worker in self.workers:
            self.idle.put(worker)

    def run(
        self, function: Callable[..., Any], tasks: Sequence[Sequence[Any]]
    ) -> Generator[tuple[int, "Future[Any]"]]:
        """(index of the task, what became of it), each as soon as it has ended.

        To close the iterator early is to ask the workers to stop, and to wait until they have.
        """
        with ThreadPoolExecutor(len(self.workers)) as threads:
            futures = [threads.submit(self.work, function, task) for task in tasks]
            places = {future: index for index, future in enumerate(futures)}
            try:
                for future in as_completed(futures):
                    yield places[future], future
            except BaseException:
                for worker in self.workers:
                    worker.stop()
                raise
            finally:
                threads.shutdown()
                for worker in self.workers:
                    worker.end()

    def work(self, function: Callable[..., Any], task: Sequence[Any]) -> Any:
        worker = self.idle.get()
        try:
            return worker.call(function, task)
        finally:
            self.idle.put(worker)


def context() -> BaseContext:
    """Forked by a process that has no threads, where the platform has that; else begun anew."""
    is_here = "forkserver" in multiprocessing.get_all_start_methods()
    return multiprocessing.get_context("forkserver" if is_here else "spawn")


def foresee() -> None:
    """Begin with the imports of all workers, which are done while the command does its own.

    By the process that they are forked from, which Ctrl-C does not concern.
    """
    if "forkserver" in multiprocessing.get_all_start_methods():
        from multiprocessing import forkserver  # not to be had on Windows

        multiprocessing.set_forkserver_preload(PRELOADED)
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited
        forkserver.ensure_running()
        signal.signal(signal.SIGINT, before)


def settle(number: int, enter: Callable[[int], None]) -> None:
    """A worker's process, before its first task.

    Ctrl-C is for the command, which asks its workers to stop; so does its death.
    """
    if hasattr(os, "setpgrp"):  # not on Windows
        os.setpgrp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=follow, daemon=True).start()
    enter(number)


def follow() -> None:
    """Ask this process to stop as soon as the one that gives the work is no more."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def perform(function: Callable[..., Any], *arguments: Any) -> Any:
    """One task. Nobody gives another where the process that did has died."""
    try:
        return function(*arguments)
    finally:
        parent = multiprocessing.parent_process()
        if parent is not None and not parent.is_alive():
            os._exit(1)
