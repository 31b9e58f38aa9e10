"""A run as a launcher's job: what travels to another process, and what is done there."""

import functools
import pickle
from collections.abc import Callable, Generator, Iterable
from typing import NamedTuple

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from factorial.settings.combination import Composer

Application = tuple[HydraContext, TaskFunction, DictConfig]


class Launcher(NamedTuple):
    """What runs jobs in other processes: given their words it yields (index, what became of it).

    `threads` is what a run gets there that asks for no number; None where that is not known.
    """

    launch: Callable[[list[list[str]]], Generator[tuple[int, JobReturn]]]
    threads: int | None = None


def packed(application: Application) -> bytes:
    """All that a process elsewhere needs to compose a run and to bring it to its end."""
    import cloudpickle  # here: only where something is launched

    payload: bytes = cloudpickle.dumps((*application, Singleton.get_state()))
    return payload


@functools.lru_cache(maxsize=1)
def unpacked(payload: bytes) -> Application:
    """What a worker runs, unpacked once."""
    context, task, config, state = pickle.loads(payload)  # from the command that launched this
    setup_globals()
    Singleton.set_state(state)
    return context, task, config


@functools.lru_cache(maxsize=1)
def composer(payload: bytes) -> Composer:
    context, _, base = unpacked(payload)
    return Composer(lambda words: context.config_loader.load_sweep_config(base, words))


def execute(payload: bytes, words: list[str], number: int) -> JobReturn:
    """One job, in a process that has nothing but the payload."""
    context, task, _ = unpacked(payload)
    config = composer(payload).job(words)
    with open_dict(config):
        config.hydra.job.id, config.hydra.job.num = str(number), number
    done: JobReturn = run_job(
        task, config, "hydra.sweep.dir", "hydra.sweep.subdir", context, configure_logging=False
    )
    done.cfg = done.hydra_cfg = None  # nobody asks for them: not sent
    return done


def ended(given: object) -> JobReturn:
    """A job by what it gave, or by the exception that ended it.

    Never FAILED in Hydra's sense: whoever asks such a one for its value gets a line on stderr.
    """
    done = JobReturn(status=JobStatus.COMPLETED)
    done.return_value = given
    return done


def in_order(stream: Iterable[tuple[int, JobReturn]]) -> list[JobReturn]:
    """What became of all jobs, as Hydra asks a launcher for it."""
    return [done for _, done in sorted(stream, key=lambda pair: pair[0])]
