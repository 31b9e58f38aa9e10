"""The help of train.py: every group with its options, every setting with its comment."""

from collections.abc import Sequence

from omegaconf import OmegaConf

from factorial.settings.places import CONF

HEAD = """\
Factorial: controlled comparisons of image classifiers, recorded in MLflow.

python train.py [-m] [GROUP=OPTION ...] [KEY=VALUE ...]

Groups and their options (GROUP=OPTION; epochs takes any whole number as well)
"""
LAUNCHER = "hydra/launcher"
FOOT = """
Examples
  python train.py model=mlp optimizer=adam                      one run
  python train.py model=linear optimizer=sgd epochs=7 seed=3    another, 7 epochs long
  python train.py -m model=linear,mlp optimizer=sgd,adam optimizer.lr=0.1,0.001 epochs=5,10,15
                                                                a sweep: every combination
  python train.py experiment=article -m                         the article's systems, three seeds
  python train.py experiment=article -m hydra/launcher=parallel the same, a process for each core
  python train.py -m hydra/sweeper=optuna 'optimizer.lr=tag(log,interval(1e-4,1))'
                                                                a search: docs/search.md
  python train.py data=digits tracking=off epochs=smoke         offline, untracked, in seconds

More: --cfg job (the composed config), --info, --hydra-help (Hydra's own options)"""


def text(typed: Sequence[str]) -> str:
    """The help, with the settings of the options that are typed, or else of the defaults."""
    chosen = defaults() | dict(word.split("=", 1) for word in typed if "=" in word)
    groups = {name: options(name) for name in sorted([*defaults(), "experiment", LAUNCHER])}
    lines = [HEAD, *(f"  {name}: {', '.join(names)}" for name, names in groups.items())]
    lines += ["", "Settings and their defaults (KEY=VALUE, such as optimizer.lr=0.01)", ""]
    launcher = [LAUNCHER] if chosen.get(LAUNCHER) in groups[LAUNCHER] else []
    for group in [*defaults(), *launcher]:
        option = chosen[group] if chosen[group] in groups[group] else defaults()[group]
        lines += [f"  # {group}={option}", f"  {group.replace('/', '.')}:"]
        lines += indented(read(group, option).splitlines(), by=4)
    return "\n".join([*lines, *indented(own_settings(), by=2), FOOT])


def defaults() -> dict[str, str]:
    """Each group with its default option."""
    entries = OmegaConf.to_container(OmegaConf.load(CONF / "config.yaml"))["defaults"]  # type: ignore
    pairs = [pair for entry in entries if isinstance(entry, dict) for pair in entry.items()]
    return {group: option for group, option in pairs if option and " " not in group}


def options(group: str) -> list[str]:
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))


def own_settings() -> list[str]:
    """What config.yaml says beside its defaults and what it tells Hydra, comments and all."""
    parts = read("config").split("\n\n")
    return "\n\n".join(part for part in parts[1:] if not part.startswith("hydra:")).splitlines()


def read(*place: str) -> str:
    return CONF.joinpath(*place).with_suffix(".yaml").read_text(encoding="utf-8")


def indented(lines: Sequence[str], by: int) -> list[str]:
    return [" " * by + line if line else "" for line in lines]
