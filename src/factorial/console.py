"""What a user sees: a live line per epoch, the end of a run, the table of a sweep."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from factorial.results import Epoch, Outcome

NUMBERS = ("validation", "test", "seconds", "runs", "failed")
IDS = ("sweep", "run")  # in one piece, to be pasted
WIDE = 200  # columns where no terminal sets a width


def console() -> Console:
    """Standard output as it is now; plain text where it is no terminal."""
    terminal = sys.stdout.isatty()
    return Console(file=sys.stdout, width=None if terminal else WIDE, highlight=False)


class Display:
    """Shows runs as they train: a line per epoch for a single run, or just the bar (brief).

    `place` is what a sweep says in front of the bar: which of its runs this is. Nothing moves where
    other processes write on the same terminal.
    """

    def __init__(self, brief: bool, place: str = "", moving: bool = True) -> None:
        self.brief, self.place, self.moving = brief, place, moving

    @contextlib.contextmanager
    def training(self, name: str, epochs: int) -> Iterator["Line"]:
        screen = console()
        columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
        still = not (self.moving and screen.is_terminal)
        bar = Progress(*columns, console=screen, transient=True, disable=still)
        with bar:
            yield Line(screen, bar, f"{self.place}{name}", epochs, self.brief)


class Line:
    def __init__(self, screen: Console, bar: Progress, name: str, epochs: int, brief: bool) -> None:
        self.screen, self.bar, self.name, self.epochs, self.brief = screen, bar, name, epochs, brief
        self.task = bar.add_task(f"{name}  epoch 1/{epochs}", total=epochs)
        self.seconds = 0.0

    def epoch(self, row: Epoch) -> str:
        """Show one epoch; its line."""
        self.seconds += row.seconds
        left = self.seconds / row.epoch * (self.epochs - row.epoch)
        now = (
            f"{self.name}  epoch {min(row.epoch + 1, self.epochs)}/{self.epochs}  {left:.0f} s left"
        )
        self.bar.update(self.task, completed=row.epoch, description=now)
        line = describe(row, self.epochs, left)
        if not self.brief:
            self.screen.print(line, soft_wrap=True)
        return line


def describe(row: Epoch, epochs: int, left: float) -> str:
    """One epoch in one line; losses in nats, times in seconds."""
    held_out = ""
    if row.validation is not None:
        values = [f"{name} {value:.4f}" for name, value in row.validation.named.items()]
        held_out = "  ".join(values).replace("loss", "validation", 1) + "  "
    count = f"{row.epoch:{len(str(epochs))}}/{epochs}"
    times = f"{row.seconds:.2f} s  {left:.0f} s left"
    return f"epoch {count}  train {row.train_loss:.4f}  {held_out}{times}"


def relative(path: Path) -> str:
    """As seen from where the command was typed."""
    return os.path.relpath(path)


def say(*lines: str) -> None:
    for line in lines:
        console().print(line, soft_wrap=True, markup=False)


def warn(*lines: str) -> None:
    """On stderr, in red: what a user has to know."""
    for line in lines:
        beside(f"WARNING: {line}", "bold red")


def note(*lines: str) -> None:
    """On stderr: what a user may want to know."""
    for line in lines:
        beside(f"note: {line}", "yellow")


def beside(line: str, style: str) -> None:
    screen = Console(stderr=True, highlight=False)
    screen.print(line, style=style, soft_wrap=True, markup=False)


def show_end(outcome: Outcome, recipe: str, data: str, page: str) -> None:
    held_out = "" if outcome.validation is None else f"   (validation {outcome.validation:.4f})"
    assert outcome.folder is not None
    if outcome.origin == "cached":
        say(f"answered by run {outcome.run_id}, recorded earlier; fresh=true trains again")
    if outcome.stopped:
        say(f"stopped        {outcome.stopped}")
    say(
        f"test accuracy  {outcome.test:.4f} on {data}{held_out}",
        f"recipe         {recipe[:8]}",
        f"run            {outcome.run_id}",
        f"folder         {relative(outcome.folder)}",
        *([f"compare        {page}"] if page else []),
    )


def outcome_line(outcome: Outcome) -> str:
    """One run of a sweep in one line."""
    if outcome.status == "FINISHED":
        seconds = f"{outcome.seconds:.1f} s"
        stopped = f"  stopped {outcome.stopped}" if outcome.stopped else ""
        return f"{outcome.origin:9} {outcome.name}  {accuracies(outcome)}  {seconds}{stopped}"
    return f"{outcome.status:9} {outcome.name}  {outcome.reason}"


class Tally:
    """How far a sweep is: k of n in front of each outcome, behind it the time that is left.

    A run that is tried again is counted once.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.ended: set[str] = set()
        self.trained, self.began = 0, time.monotonic()

    def __str__(self) -> str:
        return f"{len(self.ended)} of {self.total}"

    def place(self, count: int) -> str:
        return f"{count:{len(str(self.total))}}/{self.total}  "

    def display(self, member: str) -> Display:
        """For a member that is about to run."""
        return Display(brief=True, place=self.place(len(self.ended | {member})))

    def show(self, member: str, outcome: Outcome) -> Outcome:
        """A line for what became of a member, by its id."""
        self.ended.add(member)
        self.trained += outcome.origin not in ("", "cached")
        each = (time.monotonic() - self.began) / max(self.trained, 1)
        rest = self.total - len(self.ended)
        left = f"  (about {each * rest:.0f} s left)" if self.trained and rest else ""
        say(f"{self.place(len(self.ended))}{outcome_line(outcome)}{left}")
        return outcome


def accuracies(outcome: Outcome) -> str:
    held_out = "" if outcome.validation is None else f"validation {outcome.validation:.4f}  "
    return f"{held_out}test {outcome.test:.4f}"


def show_rows(rows: Sequence[dict[str, str]]) -> None:
    table = Table(box=box.SIMPLE)
    for name in rows[0]:
        table.add_column(
            Text(name), justify="right" if name in NUMBERS else "left", no_wrap=name in IDS
        )
    for row in rows:
        table.add_row(*map(Text, row.values()))
    console().print(table)


def cells(outcome: Outcome) -> dict[str, str]:
    shares = {"validation": outcome.validation, "test": outcome.test}
    said = {name: "" if share is None else f"{share:.4f}" for name, share in shares.items()}
    return said | {"seconds": f"{outcome.seconds:.1f}", "status": outcome.status}


def show_table(rows: Sequence[dict[str, str]], outcomes: Sequence[Outcome], page: str) -> None:
    """Every combination of a sweep by what varies, then every failure with its reason."""
    show_rows([row | cells(outcome) for row, outcome in zip(rows, outcomes, strict=True)])
    failures = [outcome for outcome in outcomes if outcome.status != "FINISHED"]
    if any(outcome.test is not None and outcome.validation is None for outcome in outcomes):
        say("no validation split: to choose among these rows is to choose on the test set")
    for outcome in failures:
        say(f"FAILED {outcome.name}: {outcome.reason}")
    say(
        f"{len(outcomes)} combinations, {len(failures)} failed",
        *([f"compare: {page}"] if page else []),
    )
