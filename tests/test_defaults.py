"""What a class does anyway is one recipe, said or not."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from composing import configured, put

from factorial.settings import recipe
from factorial.settings.recipe import Recipe, identify
from factorial.settings.schema import Config
from factorial.training import sizes


def identified(config: Config, data: str = "data", device: str = "cpu") -> Recipe:
    return identify(config, data, sizes.validation_examples(config.data), device)


@functools.cache
def composed_once() -> Config:
    return configured()


def default() -> Config:
    return composed_once()


def optimized(**settings: Any) -> Recipe:
    config = put(default(), "optimizer", {"_target_": "torch.optim.Adam", **settings})
    return identified(config)


# Of torch.optim.Adam: lr=1e-3, betas=(0.9, 0.999), weight_decay=0, amsgrad=False, fused=None
SAME: list[dict[str, Any]] = [
    {"lr": 0.001}, {"betas": [0.9, 0.999]}, {"weight_decay": 0}, {"weight_decay": 0.0},
    {"amsgrad": False}, {"fused": None}, {"lr": 1e-3, "eps": 1e-8, "maximize": False},
]  # fmt: skip

DIFFERENT: list[dict[str, Any]] = [
    {"lr": 0.002}, {"betas": [0.9, 0.99]}, {"betas": [0.9]}, {"weight_decay": 0.1},
    {"amsgrad": True}, {"fused": True}, {"fused": False}, {"eps": 1e-7}, {"lr": 1}, {"lr": True},
    {"amsgrad": 0}, {"weight_decay": "0"}, {"lr": None},
]  # fmt: skip


@pytest.mark.parametrize("settings", SAME)
def test_what_a_class_does_anyway_is_the_same_recipe_said_or_not(settings: dict[str, Any]) -> None:
    assert optimized(**settings) == optimized()


def test_what_it_does_not_is_another() -> None:
    recipes = [optimized(), *(optimized(**settings) for settings in DIFFERENT)]
    assert len({one.id for one in recipes}) == len(DIFFERENT) + 1


def test_numbers_of_torchs_classes_are_their_values_however_spelled() -> None:
    assert optimized(lr=1) == optimized(lr=1.0)
    assert optimized(betas=[0, 0.5]) == optimized(betas=[0.0, 0.5])
    assert optimized(lr=1).id != optimized(lr=True).id


def test_the_last_batch_is_dropped_only_where_there_is_one() -> None:
    """1,293 examples by 431 leave none over, by 430 three."""
    for size, same in ((431, True), (430, False)):
        words = [f"data.batch_size={size}", "data.drop_last="]
        dropped, kept = (
            identified(configured(words[0], words[1] + on)) for on in ("true", "false")
        )
        assert (dropped == kept) == same


OWN = """
import functools
import torch

class Mine(torch.nn.Linear):
    def __init__(
        self, shape, classes, depth=1, rate=0.5, sizes=(8,), on=True, kind="a", other=None
    ):
        super().__init__(64, classes)

M = functools.partial(Mine, depth=2)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Recipe]:
    """Recipes of a class of the user's own, whose source this is."""
    (tmp_path / "own_mine.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)

    def of(name: str, **settings: Any) -> Recipe:
        return identified(put(default(), "model", {"_target_": f"own_mine.{name}", **settings}))

    return of


@pytest.mark.slow
def test_an_own_class_may_tell_apart_what_python_can(own: Callable[..., Recipe]) -> None:
    levels: list[dict[str, Any]] = [
        {}, {"depth": 1.0}, {"depth": True}, {"depth": "1"}, {"depth": 2}, {"depth": 2.0},
        {"sizes": [8]}, {"sizes": [8.0]}, {"on": 1}, {"on": False}, {"kind": "A"}, {"other": 0},
    ]  # fmt: skip
    assert len({own("Mine", **level).id for level in levels}) == len(levels)


def test_its_own_defaults_are_the_same_said_or_not(own: Callable[..., Recipe]) -> None:
    said = {"depth": 1, "rate": 0.5, "on": True, "kind": "a", "other": None}
    assert own("Mine", **said) == own("Mine")


def test_the_defaults_of_an_alias_are_its_own(own: Callable[..., Recipe]) -> None:
    assert own("M", depth=2) == own("M")
    assert own("M", depth=1).id != own("M").id


def test_an_own_class_deep_within_one_of_torch_keeps_its_numbers(
    own: Callable[..., Recipe],
) -> None:
    def nested(depth: float) -> Recipe:
        inner = {"_target_": "own_mine.Mine", "depth": depth}
        return identified(
            put(default(), "model", {"_target_": "torch.nn.Sequential", "a": [inner]})
        )

    assert nested(3).id != nested(3.0).id
    assert "own_mine" in nested(3).document["code"]


def test_a_class_that_does_not_say_what_it_takes_has_no_defaults() -> None:
    part = {"_target_": "builtins.range", "a": 1}
    assert recipe.without_defaults(part) == part
