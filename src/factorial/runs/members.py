"""The members of a sweep: its combinations, composed and checked before any starts."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hydra.errors import ConfigCompositionException, MissingConfigException

from factorial.runs.trial import Compose, Family, Trial, prepare
from factorial.settings.messages import BadInput, readable
from factorial.settings.names import ABSENT, LABELS, SHORT, is_within
from factorial.settings.recipe import digest, one_spelling


@dataclass(frozen=True)
class Member:
    """One combination of a sweep: its overrides, and either what can run or why it can't.

    `context` are the overrides that it needs as one of the sweep, in whichever process.
    """

    words: list[str]
    trial: Trial | None = None
    reason: str = ""
    context: tuple[str, ...] = ()

    @property
    def levels(self) -> dict[str, str]:
        """Each override's value under the record's name for its key; of `epochs` the number."""
        pairs = (word.lstrip("+~").partition("=") for word in self.words)
        levels = {SHORT.get(key, key): value for key, _, value in pairs}
        if self.trial and "epochs" in levels:
            levels["epochs"] = str(self.trial.config.epochs.count)
        return levels

    @property
    def name(self) -> str:
        return self.trial.name if self.trial else " ".join(self.words)

    @property
    def recipe(self) -> str:
        """The recipe's id; for what can't run, one of its words."""
        if self.trial:
            return self.trial.recipe.id
        return digest(sorted(word for word in self.words if not is_label(word)))

    @property
    def id(self) -> str:
        """What it shares with no other: its recipe and settings, but the device that was asked for.

        That may be the same under two names.
        """
        if self.trial is None:
            return self.recipe
        params = self.trial.combination.params()
        said = {key: value for key, value in params.items() if key != "device"}
        return digest([self.recipe, one_spelling(said)])


def is_label(word: str) -> bool:
    return is_within(word.lstrip("+~").partition("=")[0], LABELS)


def check(words: list[str], compose: Compose) -> Member:
    """Compose and check one combination before any starts; find its data, or their fallback.

    An option that does not exist is a slip of the pen, and raised: nothing should start. A setting
    that this combination alone does not have, or refuses, fails it alone.
    """
    try:
        trial = prepare(compose(words), compose)
        return Member(trial.combination.typed, trial)
    except MissingConfigException:
        raise
    except (BadInput, ConfigCompositionException) as error:
        return Member(words, reason=str(readable(error)))


def distinct(members: Sequence[Member]) -> list[Member]:
    """Without those that are an earlier one in other words: `optimizer.lr=0.1,1e-1`."""
    first: dict[str, Member] = {}
    for member in members:
        first.setdefault(member.id, member)
    return list(first.values())


def sweep_id(members: Sequence[Member]) -> str:
    """The same for the same set of combinations, in whichever order."""
    return digest(sorted(member.id for member in members))


def adopt(members: Sequence[Member], family: Family) -> list[Member]:
    """The same as children of one parent, a longer run leaving behind what shorter ones end with.

    Whichever of one trunk runs first, none is trained over an epoch again.
    """
    lengths: dict[str, set[int]] = {}
    for trial in (member.trial for member in members if member.trial):
        lengths.setdefault(trial.recipe.trunk, set()).add(trial.config.epochs.count)
    return [adopted(member, family, lengths) for member in members]


def adopted(member: Member, family: Family, lengths: dict[str, set[int]]) -> Member:
    if member.trial is None:
        return member
    length = member.trial.config.epochs.count
    keep = sorted(one for one in lengths[member.trial.recipe.trunk] if one < length)
    settings = {f"tracking.{key}": value for key, value in family._asdict().items()}
    settings |= {"keep": keep, "recipe": member.trial.recipe.parts}
    context = tuple(f"{key}={value!r}" for key, value in settings.items())
    return replace(member, trial=member.trial.within(family, keep), context=context)


def pinned(member: Member, threads: int | None) -> Member:
    """The same, with the number of threads that it gets elsewhere, where it asks for none.

    Only what has to be trained is pinned: a result on record answers, whatever it ran with.
    """
    if threads is None or member.trial is None or member.trial.config.device.threads is not None:
        return member
    context = (*member.context, f"device.threads={threads}")
    return replace(member, trial=member.trial.with_threads(threads), context=context)


def all_levels(members: Sequence[Member]) -> list[dict[str, str]]:
    """For each combination its level of each setting that was typed for any of them.

    Where it was not typed for all of them, the level of each is the one on its record; a
    combination without one is not in its row.
    """
    keys = dict.fromkeys(key for member in members for key in member.levels)
    partly = [key for key in keys if any(key not in member.levels for member in members)]
    rows = []
    for member in members:
        recorded = member.trial.combination.params() if member.trial and partly else {}
        row = {key: spelled(recorded[key]) for key in partly if key in recorded}
        levels = member.levels | row
        rows.append({key: levels[key] for key in keys if key in levels})
    return rows


def spelled(value: Any) -> str:
    """A setting as it would be typed: true, null, [8,9]."""
    return json.dumps(value, separators=(",", ":")) if not isinstance(value, str) else value


def varying(members: Sequence[Member]) -> dict[str, list[str]]:
    """The factors: keys with more than one level, each with its levels in order of appearance.

    What some combinations alone have is one too, where nothing else tells them from the others.
    """
    rows = all_levels(members)
    seen: dict[str, dict[str, None]] = {}
    for row in rows:
        for key, value in row.items():
            seen.setdefault(key, {})[value] = None
    factors = {key: list(levels) for key, levels in seen.items() if len(levels) > 1}
    for key in seen:
        if key not in factors and tells_apart(key, factors, rows):
            factors[key] = list(dict.fromkeys(row.get(key, ABSENT) for row in rows))
    return {key: factors[key] for key in seen if key in factors}


def tells_apart(key: str, factors: Iterable[str], rows: Sequence[Mapping[str, str]]) -> bool:
    """Whether of combinations that are alike in these factors some alone have a key."""
    having: dict[tuple[str, ...], set[bool]] = {}
    for row in rows:
        alike = tuple(row.get(factor, ABSENT) for factor in factors)
        having.setdefault(alike, set()).add(key in row)
    return any(len(both) == 2 for both in having.values())


def level_rows(members: Sequence[Member]) -> list[dict[str, str]]:
    """For each combination its level of each factor, ABSENT where it has none."""
    factors = varying(members)
    return [{key: row.get(key, ABSENT) for key in factors} for row in all_levels(members)]
