"""Hydra's seat for several runs at once on one machine: workers that stay, and may die."""

import contextlib
import functools
import os
from collections.abc import Generator, Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from factorial.runs.jobs import ended, execute, in_order, packed
from factorial.runs.pool import Pool, foresee
from factorial.settings.messages import BadInput, shown

ALLOWED = "allowed is null, or a whole number above 0"


class ParallelLauncher(Launcher):
    """Runs in `workers` processes of `threads` threads, a card each where there are several."""

    def __init__(self, workers: int | None, threads: int | None) -> None:
        self.asked = {"workers": workers, "threads": threads}

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Raises BadInput."""
        for key, value in self.asked.items():
            if value is not None and not (type(value) is int and value > 0):
                raise BadInput(f"hydra.launcher.{key}={shown(value)}: {ALLOWED}")
        self.application = hydra_context, task_function, config
        if not config.plan:  # which starts no worker
            foresee()

    @functools.cached_property
    def workers(self) -> int:
        from factorial.training.environment import FOUND_THREADS

        return self.asked["workers"] or FOUND_THREADS

    @functools.cached_property
    def threads(self) -> int:
        """What a run gets that asks for no number of its own: it decides the low bits."""
        from factorial.training.environment import FOUND_THREADS

        return self.asked["threads"] or max(1, FOUND_THREADS // self.workers)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        return in_order(self.stream(job_overrides, initial_job_idx))

    def stream(self, jobs: Sequence[Sequence[str]], first: int) -> Generator[tuple[int, JobReturn]]:
        """(index, what became of it) of each job as soon as it has ended."""
        import torch

        from factorial.training import data

        payload = packed(self.application)
        tasks = [(payload, list(words), number) for number, words in enumerate(jobs, start=first)]
        begin = functools.partial(enter, cards=torch.cuda.device_count(), held=data.sealed())
        pool = Pool(min(self.workers, len(tasks)), begin)
        with contextlib.closing(pool.run(execute, tasks)) as futures:
            for index, future in futures:
                error = future.exception()
                yield index, ended(error) if error else future.result()


def enter(worker: int, cards: int, held: dict[Any, Any]) -> None:
    """In a worker's process, before its first run: its card, and the data that the command read."""
    take_card(worker, cards)
    from factorial.training import data

    data.HELD.update(held)


def take_card(worker: int, cards: int) -> None:
    """In a worker's process, before it has touched one: its own of several cards."""
    if cards > 1:
        here = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(cards)))
        os.environ["CUDA_VISIBLE_DEVICES"] = here.split(",")[worker % cards]
