"""The words behind train.py, as Hydra takes them."""

import re
from collections.abc import Sequence

from omegaconf import OmegaConf

from factorial.settings.labels import check_key
from factorial.settings.messages import FORMS, OPEN, BadInput, no_option, shown
from factorial.settings.names import LABELS, is_within
from factorial.settings.places import CONF
from factorial.settings.rules import CLASS

# Hydra's options that mean something here, with the words that may follow
INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
OPTIONS: dict[str, tuple[str, ...]] = {
    "-m": (),
    "--multirun": (),
    "--cfg": ("job", "hydra", "all"),
    "-c": ("job", "hydra", "all"),
    "--resolve": (),
    "--info": INFO,
    "-i": INFO,
    "--hydra-help": (),
    "--version": (),
    "--shell-completion": (),
    "-sc": (),
}
# What Hydra takes for the name of an option
is_name = re.compile(r"(?!true$|false$|null$)[A-Za-z_]\w*").fullmatch
GROUPS = [folder.name for folder in CONF.iterdir() if folder.is_dir() and folder.name != "hydra"]
# What a sweep's levels are is typed as such
LEVELS = ("hydra.sweeper.params", "hydra.sweeper.systems", "hydra.sweeper._target_")
# Groups of which several options may be chosen: GROUP=[a,b]
LISTS = ("metrics",)
# Settings that are text, whatever it looks like
TEXT = ("outputs", "data.root", "data.file", "data.cache", "tracking.experiment", "ledger")


def for_hydra(typed: Sequence[str]) -> list[str]:
    """What was typed, as Hydra takes it: options, then overrides. Raises BadInput.

    A class of data that is typed is `data=own`, without being said.
    """
    options: list[str] = []
    overrides: list[str] = []
    waiting = list(typed)
    while waiting:
        word = waiting.pop(0)
        if word.startswith("-"):
            options += option(word, waiting)
        else:
            overrides.append(translated(word))
    if {"-m", "--multirun"} & set(options):
        overrides = [waiting_for_class(word, overrides) for word in overrides]
    if "--resolve" in options and not {"--cfg", "-c"} & set(options):
        raise BadInput("--resolve: allowed is --cfg job --resolve")
    said = {word.lstrip("+~").partition("=")[0] for word in overrides}
    own = ["data=own"] if "data._target_" in said and "data" not in said else []
    return options + own + overrides


def waiting_for_class(word: str, others: Sequence[str]) -> str:
    """In a sweep over classes an argument's one value as a list of one, `choice(VALUE)`.

    Hydra composes what has one value before all else, on the default class, which may lack it.
    """
    key, _, value = word.partition("=")
    part = key.lstrip("+").partition(".")[0]
    choosing = (part, f"{part}._target_")
    if part not in OPEN or key.lstrip("+") in choosing or not value or not has_one_value(word):
        return word
    varies = any(
        other.startswith("experiment=")
        or (other.partition("=")[0] in choosing and not has_one_value(other))
        for other in others
    )
    return f"{key}=choice({value})" if varies else word


def as_typed(word: str) -> str:
    """The word that was made to wait for its class."""
    made = re.fullmatch(r"(.*?)=choice\((.*)\)", word)
    return f"{made[1]}={made[2]}" if made and has_one_value(f"{made[1]}={made[2]}") else word


def has_one_value(word: str) -> bool:
    """Whether Hydra can read a word, and finds one value."""
    # here: a tenth of a second that help does without
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import OverrideParseException

    try:
        (override,) = OverridesParser.create().parse_overrides([word])
    except OverrideParseException:
        return False
    return not override.is_sweep_override()


def option(word: str, waiting: list[str]) -> list[str]:
    """An option of Hydra's with its value, which is taken from what follows. Raises BadInput."""
    if word not in OPTIONS:
        raise BadInput(no_option(word, ["KEY=VALUE", *OPTIONS]))
    values = OPTIONS[word]
    if waiting and waiting[0] in values:
        return [word, waiting.pop(0)]
    if values and values != INFO:
        raise BadInput(f"{word}: allowed behind it is one of {', '.join(values)}")
    return [word, *values[:1]]


def translated(word: str) -> str:
    """An override, as Hydra takes it: a number for `epochs`, `+` for a setting that is there.

    `+optimizer.weight_decay=0` adds an argument, or sets it where the option's file has it.
    Raises BadInput for what Hydra would not understand, or should not.
    """
    key, equals, value = word.partition("=")
    plain = key.lstrip("+~")
    if not plain.strip():
        raise BadInput(f"{shown(word) or 'an empty word'}: {FORMS}")
    if re.match(r"hydra\b", plain):
        check_launcher(plain, value)
    if plain in TEXT and equals:
        return f"{key}={quoted(value)}"
    if is_within(plain, LABELS) and equals and not word.startswith("~"):
        return label(plain, value)
    if plain in GROUPS and equals:
        check_option(plain, value)
    if word.startswith(tuple(f"+{part}." for part in (*OPEN, "metrics"))):
        return f"+{word}"
    return count_epochs(word)


def check_launcher(key: str, value: str) -> None:
    """Of Hydra's own settings the rest decides where files go, and what a sweep is."""
    if key in LEVELS[:2]:
        raise BadInput(
            f"{key}={shown(value)}: allowed is KEY=A,B for each setting, or these lines in a "
            "conf/experiment/NAME.yaml"
        )
    chosen = key == "hydra/launcher" and is_name(value)
    searched = key == "hydra/sweeper" and (CONF / key / f"{value}.yaml").is_file()
    within = key.startswith(("hydra.launcher.", "hydra.sweeper.")) and key not in LEVELS
    if not (chosen or searched or within):
        raise BadInput(
            f"{key}={shown(value)}: allowed of Hydra's own settings are hydra/launcher=NAME, "
            f"hydra.launcher.KEY=VALUE, hydra/sweeper=optuna and hydra.sweeper.KEY=VALUE"
        )


def quoted(text: str) -> str:
    """In quotes where Hydra would refuse it, or take it for a number; lists and `${...}` as is."""
    if re.fullmatch(
        r"(?!(true|false|nan|inf)$|\.?\d)[\w/.][\w/.:-]*", text, re.ASCII | re.IGNORECASE
    ):
        return text
    return text if re.search(r"""['"\[\]{}(),$\\]|^\s*$""", text) else f"'{text}'"


def label(key: str, value: str) -> str:
    """A setting for a reader, as Hydra takes it; a tag is added to those that are there.

    In a note a comma is a comma; elsewhere it may have been meant for levels. Raises BadInput.
    """
    if key == "tags":
        return f"++tags={value}"
    if key.startswith("tags."):
        check_key(key.removeprefix("tags."))
    if key != "note" and "," in value and not is_quoted(value):
        raise BadInput(
            f"{key}={shown(value)}: allowed is one value, for it changes no result; text with a "
            f"comma stands in two kinds of quotes: '{key}=\"a, b\"'"
        )
    return f"{'++' if key.startswith('tags.') else ''}{key}={prose(value)}"


def is_quoted(text: str) -> bool:
    return re.fullmatch(r"""(['"]).*\1""", text, re.DOTALL) is not None


def prose(text: str) -> str:
    """In quotes, unless it is already, or null, or blank: text whatever it holds, but for `${...}`.

    Hydra takes a backslash for itself only in front of a quote.
    """
    if text == "null" or not text.strip() or is_quoted(text):
        return text
    escaped = re.sub(r"(\\*)('|\Z)", lambda end: 2 * end[1] + (end[2] and rf"\{end[2]}"), text)
    return f"'{escaped}'"


def check_option(group: str, value: str) -> None:
    """Raises BadInput for a level that is no option of its group, before any of a sweep starts.

    What is a function of Hydra's, such as glob(*), or in quotes, is left to Hydra.
    """
    options = sorted(file.stem for file in (CONF / group).glob("*.yaml"))
    if re.search(r"[('\"$]", value):
        return
    whole = value.startswith(("[", "{"))
    several = re.findall(r"[^\[\],\s]+", value) if group in LISTS and value != "" else None
    for level in several or ([value] if whole else value.split(",")):
        if level not in options and (group != "epochs" or is_name(level)):
            allowed = f"allowed is one of {', '.join(options)}{by_name(group, level)}"
            raise BadInput(f"{group}={shown(level)}: {allowed}")


def by_name(group: str, level: str) -> str:
    """How a class, or a metric's function, is typed that was named in an option's place."""
    if not CLASS.holds(level):
        return ""
    if group in (*OPEN, "data"):
        return f"; a class by its name is {group}._target_={level}"
    return f"; a function by its name is +metrics.NAME._target_={level}" if group in LISTS else ""


def count_epochs(override: str) -> str:
    """`epochs=7` as `epochs.count=7`, for Hydra refuses a number as the option of a group.

    Likewise for lists of levels, in which options may stand beside numbers.
    """
    key, _, value = override.partition("=")
    if key.lstrip("+") != "epochs" or all(map(is_name, value.split(","))):
        return override
    options = {file.stem: str(OmegaConf.load(file).count) for file in CONF.glob("epochs/*.yaml")}
    return "epochs.count=" + ",".join(options.get(level, level) for level in value.split(","))
