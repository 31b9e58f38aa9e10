"""A search's trials: Optuna asks for them, and keeps those that are finished in a file.

What is asked for depends on the finished trials and a number's own seed alone, never on where a
random stream has got to: a command that was killed asks for the same trials again.
"""

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from factorial import console
from factorial.record.files import write_atomically
from factorial.runs import space as spaces
from factorial.settings.extras import needed
from factorial.settings.messages import BadInput
from factorial.settings.search import Search
from factorial.training.environment import derive_seed

NAME = "search"


class Study:
    """Trials in batches: those of one are asked for together, run, and told together."""

    def __init__(self, file: Path, search: Search, space: Mapping[str, Any]) -> None:
        """What `file` has is gone on with. Raises BadInput."""
        self.optuna = library()
        self.file, self.search, self.space = file, search, dict(space)
        self.kept = opened(self.optuna, file)
        with accessible(file):
            done = self.kept.trials
        after, size = done[-1].user_attrs["batch"] if done else (0, 0)
        self.left = size if len(done) < after + size else 0  # a batch that was told in part
        pruner = self.optuna.pruners.MedianPruner()
        self.study = self.optuna.create_study(direction="maximize", pruner=pruner)
        self.study.add_trials(done[:after] if self.left else done)

    @property
    def trials(self) -> list[Any]:
        """Those that are finished, and those of a batch that is under way."""
        trials: list[Any] = self.study.trials
        return trials

    def ask(self, most: int) -> list[Any]:
        """The next trials, no more than `most` in all; none where there are so many already."""
        after = len(self.trials)
        size = self.left or max(0, min(self.search.at_once, most - after))
        self.left = 0
        return [self.ask_one(after + place, [after, size]) for place in range(size)]

    def ask_one(self, number: int, batch: list[int]) -> Any:
        self.study.sampler = sampler(self.optuna, self.search, self.space, number)
        trial = self.study.ask(self.space)
        assert trial.number == number
        trial.set_user_attr("batch", batch)
        return trial

    def tell(self, number: int, state: str, value: float | None = None) -> None:
        """A pruned trial has its last report for a value, a failed one none."""
        self.study.sampler = self.optuna.samplers.RandomSampler()  # the grid's would stop Optuna
        self.study.tell(number, value, state=self.optuna.trial.TrialState[state])

    def keep(self) -> None:
        """What was told, on disk: trial by trial, each whole or not at all. Raises OSError."""
        with accessible(self.file):
            for trial in self.trials[len(self.kept.trials) :]:
                self.keep_one(trial)

    def keep_one(self, trial: Any) -> None:
        self.kept.add_trial(trial)


def library() -> Any:
    """Optuna, without its words."""
    optuna = needed("optuna", "optuna", "hydra/sweeper=optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def sampler(optuna: Any, search: Search, space: Mapping[str, Any], number: int) -> Any:
    """A new one for each trial, of a seed that is the trial's own; a grid has one order."""
    seed = derive_seed(search.sampler_seed, "trial", number) % 2**32
    if search.sampler == "grid":
        levels = {key: spaces.levels(key, one) for key, one in space.items()}
        return optuna.samplers.GridSampler(levels, seed=search.sampler_seed % 2**32)
    if search.sampler == "cmaes":
        needed("cmaes", "optuna", "hydra.sweeper.sampler=cmaes")
        return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
    if search.sampler == "tpe":
        return optuna.samplers.TPESampler(seed=seed)
    return optuna.samplers.RandomSampler(seed=seed)


def opened(optuna: Any, file: Path) -> Any:
    """The study that a file keeps; a new file appears whole. Raises BadInput and OSError."""
    with accessible(file):
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            beside = file.with_name(f".{file.name}.new")
            beside.unlink(missing_ok=True)
            made = storage(optuna, beside)
            optuna.create_study(storage=made, study_name=NAME, direction="maximize")
            made.engine.dispose()
            write_atomically(file, beside.read_bytes())
            beside.unlink()
        return optuna.load_study(storage=storage(optuna, file), study_name=NAME)


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """One process at a time goes on with a study; the system frees the lock of one that dies."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        console.say("waiting: another process goes on with this search")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def storage(optuna: Any, file: Path) -> Any:
    return optuna.storages.RDBStorage(f"sqlite:///{file.as_posix()}")


@contextlib.contextmanager
def accessible(file: Path) -> Iterator[None]:
    """Raises BadInput for a file that is no study's, and OSError where it can't be written."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import DatabaseError, OperationalError

    try:
        yield
    except (OperationalError, StorageInternalError) as error:
        raise OSError(f"{file}: {error.__cause__ or error}".partition("[SQL")[0]) from error
    except (DatabaseError, KeyError) as error:
        raise BadInput(
            f"{file}: it is no whole study; allowed is one, or none: move it away"
        ) from error
