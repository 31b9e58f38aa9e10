"""What was typed: translated for Hydra, answered in readable lines, ended with an exit code."""

import atexit
import importlib
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from factorial.combination import Combination
from factorial.config import count_epochs, parse
from factorial.errors import readable


def main(task: Callable[[], object]) -> NoReturn:
    """Run a Hydra application; what a user can mend ends in one message, our bugs in a trace."""
    # argparse takes no overrides on both sides of an option, so -m goes first
    typed = sorted(
        map(count_epochs, sys.argv[1:]), key=lambda word: word not in ("-m", "--multirun")
    )
    sys.argv[1:] = typed
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra's errors come here instead of being printed there
    answer(task)


def command(module: str, typed: Sequence[str]) -> NoReturn:
    """Run `main` of one of the package's modules: a command beside train.py."""
    answer(lambda: importlib.import_module(f"factorial.{module}").main(typed))


def answer(task: Callable[[], object]) -> NoReturn:
    """Bring a task to its end, and the process with it."""
    code: object = 0
    try:
        task()
    except SystemExit as end:
        code = end.code
    except KeyboardInterrupt:
        print("stopped: the same command goes on from here", file=sys.stderr)
        code = 130
    except Exception as error:
        code = report(error)
    leave(code)


def train(composed: DictConfig) -> object:
    """One job of train.py: within a sweep its outcome, alone its end on the screen."""
    asked = Combination.of(composed, HydraConfig.get())
    try:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            from factorial import sweep

            return sweep.attempt(asked)
        parse(composed)  # before the imports: an answer to bad input need not wait for torch
        from factorial import run

        return run.alone(asked)
    except Exception as error:  # Hydra would print words of its own around it
        raise SystemExit(report(error)) from error


def report(error: Exception) -> int:
    """Say what went wrong; the exit code."""
    print(readable(error) or "".join(traceback.format_exception(error)), file=sys.stderr)
    return 1


def leave(code: object) -> NoReturn:
    """Exit at once: to tear the interpreter down takes longer than to import torch.

    Not where threads are left: a launcher's pool of workers has to be shut down in order.
    """
    if threading.active_count() > 1:
        sys.exit(code)  # type: ignore[arg-type]
    atexit._run_exitfuncs()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
