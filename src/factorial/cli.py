"""Commands by their names: found, run, and ended with one readable line and an exit code."""

import ast
import gc
import importlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from factorial import compat
from factorial.settings import words
from factorial.settings.messages import report

COMMANDS = Path(__file__).parent / "commands"


def main() -> NoReturn:
    """`factorial COMMAND ...`."""
    command, *typed = sys.argv[1:] or ["--help"]
    if command in words.HELP:
        leave(code_of(lambda: print(overview())))
    if command not in names():
        sys.exit(f"error: {command} is not a command: allowed are {', '.join(names())}")
    run(command, typed)


def names() -> list[str]:
    """The commands, each a module of its name."""
    return sorted(file.stem for file in COMMANDS.glob("[a-z]*.py"))


def overview() -> str:
    """Every command with the first line of its module."""
    lines = [f"  {name:10}{summary(COMMANDS / f'{name}.py')}" for name in names()]
    return "\n".join(
        ["factorial COMMAND [KEY=VALUE ...]", "", *lines, "", "factorial COMMAND --help says more"]
    )


def summary(file: Path) -> str:
    """Read, not imported: most commands take seconds to import."""
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def run(command: str, typed: Sequence[str]) -> NoReturn:
    """Bring a command to its end, and the process with it."""
    gc.set_threshold(100_000, 20, 100)  # imports make a million objects that stay: not searched

    def task() -> object:
        if command != "train" and set(typed) & set(words.HELP):
            return words.read(command, typed)  # shown in a moment, without what a command imports
        return importlib.import_module(f"factorial.commands.{command}").main(typed)

    leave(code_of(task))


def code_of(task: Callable[[], object]) -> object:
    """The exit code of a task; what a user can mend is said in one line, our bugs in a trace."""
    try:
        task()
        sys.stdout.flush()
    except SystemExit as end:
        return end.code
    except BrokenPipeError:  # who read it has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("stopped: the same command goes on from here", file=sys.stderr)
        return 130
    except Exception as error:
        return report(error)
    return 0


def leave(code: object) -> NoReturn:
    """Exit at once: to tear the interpreter down takes longer than to import torch.

    Not where threads are left: a launcher's pool of workers has to be shut down in order.
    """
    if isinstance(code, str):
        print(code, file=sys.stderr)
    if threading.active_count() > 1 or not compat.run_exit_functions():
        sys.exit(code if isinstance(code, int | None) else 1)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
