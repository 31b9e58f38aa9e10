"""Factors that only some have: a combination to which one does not apply runs once without it."""

import inspect
from collections.abc import Sequence
from typing import NamedTuple

from hydra.errors import ConfigCompositionException, MissingConfigException

from factorial.runs.members import check
from factorial.runs.trial import Compose
from factorial.settings.messages import OPEN, BadInput
from factorial.training.instantiate import signature, untaken


class Part(NamedTuple):
    """A part of the config as a combination chooses it, and what its class takes."""

    name: str
    settings: frozenset[str]
    arguments: frozenset[str]
    takes_any: bool

    def takes(self, name: str) -> bool:
        return self.takes_any or name in self.arguments


class Applying:
    """Which words apply to which combination: those whose class takes the argument that they set.

    A word for another part of the config than a class's arguments applies to all.
    """

    def __init__(self, compose: Compose) -> None:
        self.compose = compose
        self.known: dict[tuple[str, ...], Part | None] = {}

    def fit(self, words: Sequence[str]) -> list[str]:
        """A combination without the words that do not apply to it.

        An argument that its class takes, and no file sets, is added, as `+` would.
        """
        return [fitted for word in words if (fitted := self.fitted(word, words)) is not None]

    def fitted(self, word: str, words: Sequence[str]) -> str | None:
        part = self.part(word, words)
        if part is None:
            return word
        name, _, deeper = inner(word).partition(".")
        if not part.takes(name):
            return None
        is_new = name not in part.settings and name in part.arguments and not deeper
        return f"++{word}" if is_new and not word.startswith("+") else word

    def part(self, word: str, words: Sequence[str]) -> Part | None:
        """That which a word sets an argument of; None for none, and where that can't be told."""
        if not inner(word):
            return None
        chosen = choosing(word, words)
        if chosen not in self.known:
            self.known[chosen] = self.look(key_of(word).partition(".")[0], list(chosen[1:]))
        return self.known[chosen]

    def look(self, part: str, chosen: list[str]) -> Part | None:
        """None for what is refused, and says so as the combination that it is."""
        try:
            combination = self.compose(chosen)
            config = combination.parse()
            node = getattr(config, part)
            untaken(part, node, config.allow)  # which may not be imported unless it is allowed
            takes = signature(part, node).parameters.values()
        except MissingConfigException:
            raise
        except (BadInput, ConfigCompositionException):
            return None
        named = frozenset(one.name for one in takes)
        takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in takes)
        return Part(combination.maker(part), frozenset(map(str, node)), named, takes_any)


def key_of(word: str) -> str:
    return word.lstrip("+").partition("=")[0]


def inner(word: str) -> str:
    """Of a word that sets an argument of a class the argument's name; of any other nothing."""
    part, _, name = key_of(word).partition(".")
    return name if part in OPEN and name != "_target_" else ""


def choosing(word: str, words: Sequence[str]) -> tuple[str, ...]:
    """The part that a word lies in, and the words that have a say in which class it is."""
    part = key_of(word).partition(".")[0]
    decisive = (part, f"{part}._target_", "experiment", "allow")
    return (part, *(other for other in words if key_of(other) in decisive))


def fitted(grid: Sequence[list[str]], compose: Compose) -> tuple[list[list[str]], list[str]]:
    """Each combination without what does not apply to it, each once; then what is to be said of it.

    Raises BadInput for a factor that applies to none of them: a slip of the pen.
    """
    applying = Applying(compose)
    pairs = [(words, tuple(applying.fit(words))) for words in grid]
    lacking: dict[str, dict[str, set[tuple[str, ...]]]] = {}
    having = set()
    for words, fit in pairs:
        kept = set(map(key_of, fit))
        parts = {key_of(word): applying.part(word, words) for word in words}
        for key, part in parts.items():
            if part is not None and key not in kept:
                lacking.setdefault(key, {}).setdefault(part.name, set()).add(fit)
            elif part is not None:
                having.add(key)
    for key in lacking:
        if key not in having:
            raise BadInput(f"no combination can start: {slip(key, grid, compose)}")
    fits = [list(fit) for fit in dict.fromkeys(fit for _, fit in pairs)]
    return fits, [said(key, makers) for key, makers in lacking.items()]


def slip(key: str, grid: Sequence[list[str]], compose: Compose) -> str:
    """Why no combination takes a factor, in the words of the one that has most to say."""
    alone = {(*choosing(word, words)[1:], word): None for words in grid for word in words
             if key_of(word) == key}  # fmt: skip
    reasons = [check(list(words), compose).reason for words in alone]
    return max(reasons, key=lambda line: ("did you mean" in line, len(line)))


def said(key: str, makers: dict[str, set[tuple[str, ...]]]) -> str:
    count = len(set().union(*makers.values()))
    run = "combination runs" if count == 1 else "combinations run"
    return f"{key} does not apply to {', '.join(makers)}: {count} {run} once without it"
