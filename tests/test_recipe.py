"""Same recipe, same id; any scientific change, a new id."""

import functools
import random
import shutil
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import asked, configured, put
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from factorial.settings import recipe
from factorial.settings.recipe import EXCLUDED, Recipe, identify
from factorial.settings.schema import Config, parse
from factorial.training import sizes


def identified(config: Config, data: str = "data", device: str = "cpu") -> Recipe:
    return identify(config, data, sizes.validation_examples(config.data), device)


@functools.cache
def composed_once() -> Config:
    return configured()


def default() -> Config:
    return composed_once()


def leaves(schema: type = Config, prefix: str = "") -> list[str]:
    """Every dotted key of the schema; an open part is one key."""
    found = []
    for entry in fields(schema):
        key = prefix + entry.name
        nested = isinstance(entry.type, type) and is_dataclass(entry.type)
        found += leaves(entry.type, f"{key}.") if nested else [key]  # type: ignore[arg-type]
    return found


def excluded(key: str) -> bool:
    return any(key == entry or key.startswith(f"{entry}.") for entry in EXCLUDED)


def changed(value: Any) -> Any:
    """Another value of the same type, whatever it means."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, dict):
        return value | {"added": 1}
    if isinstance(value, list):
        return [*value, 1]
    if isinstance(value, int | float):
        return value + 1
    return f"{value}x"


def value_of(config: Any, key: str) -> Any:
    return functools.reduce(getattr, key.split("."), config)


def altered(key: str) -> Config:
    return put(default(), key, changed(value_of(default(), key)))  # type: ignore[no-any-return]


@pytest.mark.parametrize("key", [key for key in leaves() if not excluded(key)])
def test_every_scientific_key_of_the_schema_changes_the_id(key: str) -> None:
    assert identified(altered(key)).id != identified(default()).id


@pytest.mark.parametrize("key", [key for key in leaves() if excluded(key)])
def test_no_other_key_does(key: str) -> None:
    assert identified(altered(key)) == identified(default())


def test_every_exclusion_is_a_key_of_the_schema() -> None:
    keys = leaves()
    for entry in EXCLUDED:
        assert any(key == entry or key.startswith(f"{entry}.") for key in keys)


def test_data_device_and_versions_are_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [identified(configured()).id]
    ids.append(identified(configured(), data="other").id)
    ids.append(identified(configured(), device="cuda").id)
    monkeypatch.setattr(recipe, "version", lambda name: "0")
    ids.append(identified(configured()).id)
    assert len(set(ids)) == 4


TRAINING = ["__init__", "data", "downloads", "environment", "fingerprint", "instantiate", "models",
            "rehearsal", "sizes", "trainer"]  # fmt: skip


@pytest.mark.parametrize("name", TRAINING)
def test_the_training_code_is_part_of_it(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = identified(configured()).id
    copied = Path(shutil.copytree(recipe.TRAINING, tmp_path / "training"))
    assert sorted(file.stem for file in copied.glob("*.py")) == TRAINING
    monkeypatch.setattr(recipe, "TRAINING", copied)
    assert identified(configured()).id == before
    (copied / f"{name}.py").write_text("# changed")
    assert identified(configured()).id != before


def test_so_is_the_source_of_a_class_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "elsewhere_model.py"
    file.write_text("import torch\n\n\nclass Mine(torch.nn.Linear):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    words = ["model=linear", "model._target_=elsewhere_model.Mine"]
    before = identified(configured(*words)).id
    file.write_text(file.read_text() + "# changed\n")
    assert identified(configured(*words)).id != before
    sys.modules.pop("elsewhere_model")


WORDS = {
    "model": ["model=linear", "model=mlp"],
    "lr": ["optimizer.lr=0.001", "optimizer.lr=1e-3", "optimizer.lr=1.0E-3"],
    "seed": ["seed=3", "++seed=3"],
}


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_the_order_of_overrides_and_the_spelling_of_values_do_not_matter(
    data: st.DataObject,
) -> None:
    model = data.draw(st.sampled_from(WORDS["model"]))
    spelled = [data.draw(st.sampled_from(WORDS[key])) for key in ("lr", "seed")]
    shuffled = data.draw(st.permutations([model, *spelled]))
    plain = identified(configured(model, "optimizer.lr=0.001", "seed=3"))
    assert identified(configured(*shuffled)) == plain


def reordered(node: Any, order: random.Random) -> Any:
    if not isinstance(node, dict):
        return node
    keys = list(node)
    order.shuffle(keys)
    return {key: reordered(node[key], order) for key in keys}


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(order: random.Random) -> None:
    composed = asked("optimizer=adamw").composed
    plain = OmegaConf.to_container(composed, resolve=True)
    again = OmegaConf.create(reordered(plain, order))
    assert isinstance(again, DictConfig)
    assert identified(parse(again)) == identified(parse(composed))


@settings(max_examples=50, deadline=None)
@given(st.floats(1e-6, 10), st.floats(1e-6, 10), st.integers(0, 99), st.integers(0, 99))
def test_ids_are_equal_only_for_equal_settings(a: float, b: float, seed: int, other: int) -> None:
    first = put(put(default(), "optimizer", {**default().optimizer, "lr": a}), "seed", seed)
    second = put(put(default(), "optimizer", {**default().optimizer, "lr": b}), "seed", other)
    assert (identified(first).id == identified(second).id) == ((a, seed) == (b, other))


def test_one_trunk_holds_every_length_unless_the_schedule_depends_on_it() -> None:
    short, long = (identified(configured(f"epochs.count={n}")) for n in (5, 15))
    assert short.id != long.id
    assert short.trunk == long.trunk
    for schedule in ("cosine", "one_cycle"):
        trunks = {
            identified(configured(f"schedule={schedule}", f"epochs.count={n}")).trunk
            for n in (5, 15)
        }
        assert len(trunks) == 2
