"""Settings composed as the commands compose them, on data that need no files."""

import functools
from dataclasses import replace
from typing import Any

import torch

from factorial.settings.combination import Combination, Composer, by_hydra
from factorial.settings.parsing import parse
from factorial.settings.schema import Config
from factorial.training import data, sizes

CPU = torch.device("cpu")


@functools.cache
def composer() -> Composer:
    return Composer(by_hydra)


def asked(*words: str) -> Combination:
    """A composed combination on the digits, which need no files."""
    return composer()(["data=digits", *words])


def configured(*words: str) -> Config:
    config = parse(asked(*words).composed)
    sizes.check(config)
    return config


def put(config: Any, key: str, value: Any) -> Any:
    """A config with another value at a dotted key."""
    name, _, rest = key.partition(".")
    return replace(config, **{name: put(getattr(config, name), rest, value) if rest else value})


def digits(config: Config) -> data.Data:
    return data.load(config.data, CPU)
