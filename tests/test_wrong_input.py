"""Wrong input to every command gets one clear line: docs/wrong-input.md, held against the commands.

`python tests/test_wrong_input.py` writes what each of its commands says now below it.
"""

import gc
import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT
from hydra import initialize_config_dir
from processes import SERVER
from running import recorded

from factorial import cli
from factorial.settings.combination import Combination
from factorial.settings.places import CONF

PAGE = ROOT / "docs" / "wrong-input.md"
PATIENCE = 60  # seconds for a command that should end in one
COMMANDS = ("claims", "clean", "compare", "deliver", "evaluate", "fetch", "list", "motion",
            "predict", "register", "replay", "server", "train")  # fmt: skip


class Said(NamedTuple):
    """What a command left behind: its exit code, stderr, and the files that it made."""

    code: int
    stderr: str
    made: list[str]


def cases(page: str) -> list[tuple[str, str]]:
    """Each command of the page with the line below it."""
    return re.findall(r"^\$ (.+)\n(?!\$|```)(.*)$", page, re.MULTILINE)


def typed(page: str) -> list[str]:
    return re.findall(r"^\$ (.+)$", page, re.MULTILINE)


def words_of(command: str) -> list[str]:
    """A command's words as bash gives them to a program."""
    script = f"printf '%s\\0' {command}"
    shell = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    return os.fsdecode(shell.stdout).split("\0")[:-1]


def execute(words: list[str]) -> None:
    """A command in this process, up to its end."""
    if words[0] == "python":
        cli.run("train", words[2:])
    sys.argv = words
    cli.main()


def in_fork(words: list[str], folder: Path, said: Path) -> int:
    """A command in a process of its own, forked in a moment from this one; its exit code."""
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(PATIENCE)
            os.chdir(folder)
            for number, name in ((1, "stdout"), (2, "stderr")):
                os.dup2(os.open(said / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            execute(words)
        except SystemExit as end:  # as the interpreter ends
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr, flush=True)
            os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))
        finally:
            os._exit(70)  # whatever happens, the parent's code is never run twice
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def world(folder: Path, said: Path) -> None:
    """The folder that the page speaks of."""
    (folder / "notes.txt").write_text("notes\n")
    (folder / "list.json").write_text("[1]\n")
    (folder / "empty").mkdir()
    (folder / "junk").mkdir()
    (folder / "junk" / "mlflow.db").write_text("no database")
    sweep = "python train.py -m data=digits model=linear epochs=1 seed=0,1 report=false"
    assert in_fork(sweep.split(), folder, said) == 0, (said / "stderr").read_text()


def identities(folder: Path) -> set[str]:
    """The ids of the runs and sweeps on record."""
    runs = recorded(folder / "outputs")
    return {run.info.run_id for run in runs} | {run.data.tags["sweep"] for run in runs}


def answers(commands: list[str], place: Path) -> Iterator[Said]:
    """What each command says, in a new world below `place`."""
    for name in cli.names():
        importlib.import_module(f"factorial.commands.{name}")
    importlib.import_module("factorial.runs.run")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        Combination.compose(["seed=0"])  # so that Hydra's plugins and parser are ready in each fork
    os.environ |= {"FACTORIAL_DATA": "/nowhere", "http_proxy": "http://127.0.0.1:9"}
    gc.freeze()  # what is there already is not searched, and so not copied, in each fork
    folder, said = place / "here", place / "said"
    folder.mkdir()
    said.mkdir()
    world(folder, said)
    before, ids = files(folder), identities(folder)

    def named(match: re.Match[str]) -> str:
        return "ID" if any(known.startswith(match[0]) for known in ids) else match[0]

    for command in commands:
        code = in_fork(words_of(command), folder, said)
        text = (said / "stderr").read_text(errors="replace").replace(str(folder), "HERE")
        made, before = files(folder) - before, files(folder)
        yield Said(code, re.sub(r"\b[0-9a-f]{8,64}\b", named, text), sorted(made))


def collect(commands: list[str], place: Path, connection: Connection) -> None:
    connection.send(list(answers(commands, place)))


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Said]:
    commands = typed(PAGE.read_text())
    receiver, sender = SERVER.Pipe(duplex=False)
    place = tmp_path_factory.mktemp("wrong")
    process = SERVER.Process(target=collect, args=(commands, place, sender))
    process.start()
    sender.close()  # so that the end of the process ends the waiting
    return dict(zip(commands, receiver.recv(), strict=True))


def test_the_page_has_at_least_150_wrong_inputs_to_all_commands() -> None:
    commands = typed(PAGE.read_text())
    assert len(set(commands)) == len(commands) >= 150
    assert cli.names() == list(COMMANDS)
    for command in COMMANDS[:-1]:
        assert (
            sum(
                line.startswith(f"$ factorial {command} ") for line in PAGE.read_text().splitlines()
            )
            >= 5
        )
    assert sum(line.startswith("python train.py -m") for line in commands) >= 15


@pytest.mark.slow
@pytest.mark.parametrize(("command", "line"), cases(PAGE.read_text()))
def test_wrong_input_gets_the_one_line_on_the_page_and_leaves_nothing(
    command: str, line: str, said: dict[str, Said]
) -> None:
    assert line.startswith("error: ")
    assert said[command] == (1, f"{line}\n", [])


def write() -> None:
    """The page with what its commands say now."""
    page = re.sub(r"(^\$ .+\n)(?:(?!\$|```).*\n)*", r"\1", PAGE.read_text(), flags=re.MULTILINE)
    place = Path(tempfile.mkdtemp())
    said = answers(typed(page), place)
    PAGE.write_text(
        re.sub(r"^\$ .+\n", lambda line: line[0] + next(said).stderr, page, flags=re.MULTILINE)
    )
    shutil.rmtree(place)


if __name__ == "__main__":
    write()
