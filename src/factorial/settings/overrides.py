"""The words behind train.py, as Hydra takes them."""

import re
from collections.abc import Sequence

from omegaconf import OmegaConf

from factorial.settings.messages import FORMS, OPEN, BadInput, no_option, shown
from factorial.settings.places import CONF

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
# Settings that are text, whatever it looks like
TEXT = ("outputs", "data.root", "tracking.experiment", "ledger")


def for_hydra(typed: Sequence[str]) -> list[str]:
    """What was typed, as Hydra takes it: options, then overrides. Raises BadInput."""
    options: list[str] = []
    overrides: list[str] = []
    waiting = list(typed)
    while waiting:
        word = waiting.pop(0)
        if word.startswith("-"):
            options += option(word, waiting)
        else:
            overrides.append(translated(word))
    if "--resolve" in options and not {"--cfg", "-c"} & set(options):
        raise BadInput("--resolve: allowed is --cfg job --resolve")
    return options + overrides


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
    if plain in GROUPS and equals:
        check_option(plain, value)
    if word.startswith(tuple(f"+{part}." for part in OPEN)):
        return f"+{word}"
    return count_epochs(word)


def check_launcher(key: str, value: str) -> None:
    """Of Hydra's own settings the rest decides where files go, and what a sweep is."""
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


def check_option(group: str, value: str) -> None:
    """Raises BadInput for a level that is no option of its group, before any of a sweep starts.

    What is a function of Hydra's, such as glob(*), or in quotes, is left to Hydra.
    """
    options = sorted(file.stem for file in (CONF / group).glob("*.yaml"))
    if re.search(r"[('\"$]", value):
        return
    for level in [value] if value.startswith(("[", "{")) else value.split(","):
        if level not in options and (group != "epochs" or is_name(level)):
            raise BadInput(f"{group}={shown(level)}: allowed is one of {', '.join(options)}")


def count_epochs(override: str) -> str:
    """`epochs=7` as `epochs.count=7`, for Hydra refuses a number as the option of a group.

    Likewise for lists of levels, in which options may stand beside numbers.
    """
    key, _, value = override.partition("=")
    if key.lstrip("+") != "epochs" or all(map(is_name, value.split(","))):
        return override
    options = {file.stem: str(OmegaConf.load(file).count) for file in CONF.glob("epochs/*.yaml")}
    return "epochs.count=" + ",".join(options.get(level, level) for level in value.split(","))
