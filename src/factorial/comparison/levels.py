"""Levels of settings: one spelling each, their order, and which settings are factors."""

import math
import re
from collections.abc import Mapping, Sequence

import pandas as pd

from factorial.settings.names import ABSENT, GROUPS, is_within

# whatever their values, they are no factors: they change no more than low bits, or nothing
NO_FACTORS = ("threads", "metrics")
SWITCHES = {"true": "True", "false": "False"}


def tidy(params: Mapping[str, str]) -> dict[str, str]:
    return {key: spelled(value) for key, value in params.items()}


def spelled(level: str) -> str:
    """One spelling for a level, be it typed or on record: `1e-3` is `0.001`, `5.0` is `5`, `None`
    is `null`, `['a', 256]` is `[a,256]`."""
    compact = "".join(level.split())
    if compact.startswith(("[", "{")):
        return re.sub(r"[^][{},:]+", lambda item: one(item[0].strip("'\"")), compact)
    return one(compact)


def one(level: str) -> str:
    """Of a level that is no list."""
    try:
        value = float(level)
    except ValueError:
        return SWITCHES.get(level.lower(), "null" if level == "None" else level)
    if not math.isfinite(value) or re.fullmatch(r"[-+]?\d+", level):
        return level
    return repr(value).removesuffix(".0")


def whole(params: pd.DataFrame, key: str) -> list[str]:
    """Each run's level of a setting that is a mapping, of which the leaves are on record."""
    leaves = [name for name in params if name.startswith(f"{key}.")]
    known = params[key] if key in params else pd.Series(ABSENT, index=params.index)
    rows = params[leaves].rename(columns=lambda name: name.removeprefix(f"{key}."))
    own = ({k: v for k, v in row.items() if v != ABSENT} for row in rows.to_dict("records"))
    return [mapping(row) if row else level for row, level in zip(own, known, strict=True)]


def mapping(leaves: Mapping[str, str]) -> str:
    """Leaves under dotted keys as they would be typed: {a:1,b:{c:2}}."""
    inner: dict[str, dict[str, str]] = {}
    for path, level in sorted(leaves.items()):
        first, _, rest = path.partition(".")
        inner.setdefault(first, {})[rest] = level
    said = [f"{key}:{rest.get('') or mapping(rest)}" for key, rest in inner.items()]
    return f"{{{','.join(said)}}}"


def factors_of(params: pd.DataFrame, declared: Mapping[str, Sequence[str]]) -> list[str]:
    """What varies among runs: what a sweep declared or, of runs from anywhere, what differs.

    A group's own settings that follow from its option (each optimizer has its learning rate) are
    no factors besides it.
    """
    varying = [
        key for key in params if params[key].nunique() > 1 and not is_within(key, NO_FACTORS)
    ]
    ordered = sorted(declared or varying, key=lambda key: key not in GROUPS)
    return [key for key in ordered if declared or not follows(params, key, key.partition(".")[0])]


def follows(params: pd.DataFrame, key: str, group: str) -> bool:
    """Whether a setting is determined by the option chosen in its group."""
    if key == group or group not in params:
        return False
    return bool((params.groupby(group)[key].nunique() == 1).all())


def ordered(values: pd.Series, declared: Sequence[str]) -> list[str]:
    """Levels: numbers by size, others as declared, then as they appear."""
    seen = list(dict.fromkeys([*map(spelled, declared), *values]))
    seen = [level for level in seen if level in set(values) or declared]
    if all(is_number(level) for level in seen if level != ABSENT):
        return sorted(seen, key=lambda level: -math.inf if level == ABSENT else float(level))
    return seen


def is_number(level: str) -> bool:
    try:
        return math.isfinite(float(level))
    except ValueError:
        return False
