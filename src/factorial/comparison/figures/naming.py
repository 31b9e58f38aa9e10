"""Labels that tell apart: what all shown settings share is said once, and no two read alike."""

import itertools
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from factorial.comparison.findings import Findings
from factorial.comparison.table import CLASS, label, named
from factorial.settings.names import ABSENT

WIDEST, LEVEL, SHORT = 48, 30, 18  # characters of a line, of a level in it, of one on an axis
LEGEND, CAPTION = 30, 90  # of a line beside the axes, and above a figure
MANY = 4  # settings that vary: so many make a name long
BASE = "base"  # what has the usual level of each


class Names(NamedTuple):
    """What each setting is called among those that are shown, and what they have in `common`."""

    of: Mapping[str, str]
    common: str

    @property
    def lines(self) -> int:
        """How many the longest one has."""
        return max(name.count("\n") for name in self.of.values()) + 1

    def said(self, widest: int = CAPTION) -> str:
        """What they have in common, as the end of a caption of lines so long."""
        return f"\n{textwrap.fill(f'all with {self.common}', widest)}" if self.common else ""


def names(
    rows: pd.DataFrame, settings: Sequence[str], widest: int = WIDEST, by: str = "label"
) -> Names:
    """Of rows with columns for the settings, and one `by` which they are known: names as short as
    tells these apart, on lines of so many characters.

    Where each setting that varies has a level that most have, as where one thing is changed at a
    time, that level is said of all, and a name has what is otherwise.
    """
    common = [key for key in settings if rows[key].nunique() == 1] if len(rows) > 1 else []
    varying = [key for key in settings if key not in common]
    usual = most(rows, varying)
    levels = {key: fitted(named(rows[key]).tolist(), LEVEL) for key in varying}
    said = pd.DataFrame(levels, index=rows.index)
    for key, level in usual.items():
        said.loc[rows[key] == level, key] = ABSENT
    short = label(said, varying)
    short = short.mask(short == ABSENT, BASE) if usual else short
    lines = {
        one: textwrap.fill(name, widest, break_long_words=False, break_on_hyphens=False)
        for one, name in numbered(dict(zip(rows[by], short, strict=True))).items()
    }
    known = rows[:1].assign(**usual)
    of_all = [
        known[key].iloc[0] if key.endswith(CLASS) else label(known, [key]).iloc[0]
        for key in settings
        if key in common or key in usual
    ]
    words = " ".join(one for one in of_all if one != ABSENT)
    return Names(lines, f"{words} unless said otherwise" if usual else words)


def most(rows: pd.DataFrame, varying: Sequence[str]) -> dict[str, str]:
    """The level of each setting that more than half of the rows have; none where settings are few,
    or one has no such level."""
    counts = {key: rows[key].value_counts() for key in varying}
    if len(varying) < MANY or any(2 * count.iloc[0] <= len(rows) for count in counts.values()):
        return {}
    return {key: str(count.index[0]) for key, count in counts.items()}


def leaders(findings: Findings, most: int) -> pd.DataFrame:
    """The best rows of the board, the winner among them."""
    best = findings.board.head(most)
    winner = findings.winner["label"]
    if winner in set(best["label"]):
        return best
    return pd.concat([best[:-1], findings.board[findings.board["label"] == winner]])


def fitted(texts: Sequence[str], widest: int) -> list[str]:
    """Each text within about so many characters: long ones around where they differ, and with
    their numbers where they are alike all the same."""
    long = sorted({text for text in texts if len(text) > widest})
    start = alike(long)
    end = alike([text[start:][::-1] for text in long])
    short = {text: cut(text, widest, start, end) if text in long else text for text in texts}
    of = numbered(short)
    return [of[text] for text in texts]


def alike(texts: Sequence[str]) -> int:
    """With how many characters all begin; none where there is nothing to compare."""
    places = zip(*texts, strict=False) if len(texts) > 1 else iter(())
    return sum(1 for _ in itertools.takewhile(lambda place: len(set(place)) == 1, places))


def numbered(short: Mapping[str, str]) -> dict[str, str]:
    """Short forms by what they stand for; those that are alike with numbers before them."""
    counts = Counter(short.values())
    return {
        whole: one if counts[one] == 1 else f"{number}: {one}"
        for number, (whole, one) in enumerate(short.items(), 1)
    }


def cut(text: str, widest: int, start: int, end: int) -> str:
    """What lies between `start` and `end` characters at the ends, where long texts differ, and as
    much before it as there is room for; without its own middle where it is too long itself."""
    room = widest - 2
    core = text[start : len(text) - end]
    if len(core) > room:
        half = (room - 1) // 2
        core = f"{core[:half]}…{core[-half:]}"
    else:
        begin = max(0, start - (room - len(core)))
        start, core = begin, text[begin : len(text) - end]
    return f"{'…' if start else ''}{core}{'…' if end else ''}"
