"""Same recipe, same id; any scientific change, a new id."""

import copy
import functools
import hashlib
import json
import random
import shutil
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from composing import asked, configured, put
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from factorial.settings import recipe
from factorial.settings.parsing import parse
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


def leaves(schema: type = Config, prefix: str = "") -> list[str]:
    """Every dotted key of the schema; an open part is one key."""
    found = []
    for entry in fields(schema):
        key = prefix + entry.name
        nested = isinstance(entry.type, type) and is_dataclass(entry.type)
        found += leaves(entry.type, f"{key}.") if nested else [key]  # type: ignore[arg-type]
    return found


# What can change a result, and what can't: each key of the schema stands in one of the two
SCIENTIFIC = [
    "model", "optimizer", "schedule", "device.precision", "epochs.count", "data.name",
    "data.batch_size", "data.drop_last", "data.validation_share", "data.seed",
    "data.test_unscaled", "data.normalisation", "data.examples", "data.shape", "data.classes",
    "data.white", "data.own", "seed",
    "augmentation.shift", "augmentation.rotation", "augmentation.scale", "augmentation.shear",
    "augmentation.elastic",
    "label_smoothing", "clip_norm", "ema_decay", "metrics", "stopping.metric",
]  # fmt: skip

OTHER = [
    "device.kind", "device.threads", "data.root", "data.fallback", "tracking.kind", "tracking.uri",
    "tracking.experiment", "tracking.parent", "tracking.sweep", "steps", "allow", "outputs",
    "stopping.patience", "stopping.min_delta",  # as long as no metric stops anything
    "fresh", "plan", "cadence", "keep", "on_failure", "report", "rank_by", "ledger", "retries",
    "recipe", "name", "note", "tags",
]  # fmt: skip


def test_every_key_of_the_schema_can_change_a_result_or_not() -> None:
    assert sorted(leaves()) == sorted(SCIENTIFIC + OTHER)


def changed(value: Any) -> Any:
    """Another value of the same type, whatever it means."""
    if isinstance(value, bool):
        return not value
    if value == {}:
        return {"added": {"_target_": "factorial.training.metrics.macro_f1"}}
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


@pytest.mark.parametrize("key", SCIENTIFIC)
def test_every_scientific_key_changes_the_id_and_all_but_the_length_the_trunk(key: str) -> None:
    before, after = identified(default()), identified(altered(key))
    assert after.id != before.id
    assert (after.trunk == before.trunk) == (key == "epochs.count")


@pytest.mark.parametrize("key", OTHER)
def test_no_other_key_does(key: str) -> None:
    assert identified(altered(key)) == identified(default())


def test_of_a_sources_own_settings_its_places_change_nothing() -> None:
    for key, value in (("file", "a.npz"), ("cache", "elsewhere")):
        assert identified(put(default(), "data.own", {key: value})) == identified(default())
    for key, value in (("size", [8, 8]), ("mode", "L"), ("test_share", 0.5), ("test_seed", 1)):
        assert identified(put(default(), "data.own", {key: value})).id != identified(default()).id


def test_data_validation_device_and_versions_are_part_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipes = [identified(default()), identified(default(), data="other")]
    recipes += [identified(default(), device="cuda"), identify(default(), "data", 7, "cpu")]
    for name in ("torch", "torchvision"):
        with monkeypatch.context() as patched:
            patched.setattr(recipe, "version", lambda asked, name=name: str(asked == name))
            recipes.append(identified(default()))
    assert len({one.id for one in recipes}) == len({one.trunk for one in recipes}) == 6


def test_an_id_is_the_digest_of_the_whole_document() -> None:
    """The beginning of the SHA-256 of JSON with sorted keys and no white space, so that anybody can
    make it again."""
    one = identified(default())
    assert list(one.document) == ["config", "data", "validation", "device", "code", "versions"]
    text = json.dumps(one.document, sort_keys=True, separators=(",", ":"))
    assert one.id == hashlib.sha256(text.encode()).hexdigest()[:20]
    without = copy.deepcopy(one.document)
    del without["config"]["epochs"]
    text = json.dumps(without, sort_keys=True, separators=(",", ":"))
    assert one.trunk == hashlib.sha256(text.encode()).hexdigest()[:20]
    assert (
        recipe.digest({"b": [1, "ä"], "a": None})
        == (hashlib.sha256(b'{"a":null,"b":[1,"\\u00e4"]}').hexdigest()[:20])
    )


TRAINING = [
    "__init__", "arrays", "augmentation", "cached", "cifar", "data", "digits", "downloads",
    "environment", "examples", "fingerprint", "folder", "instantiate", "measuring", "metrics",
    "models", "own", "pixels", "rehearsal", "sharing", "sizes", "sources", "stopping",
    "trainer",
]  # fmt: skip


@pytest.mark.parametrize("name", TRAINING)
def test_the_training_code_is_part_of_it(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = identified(default())
    copied = Path(shutil.copytree(recipe.TRAINING, tmp_path / "training"))
    assert sorted(file.stem for file in copied.glob("*.py")) == TRAINING
    monkeypatch.setattr(recipe, "TRAINING", copied)
    assert identified(default()) == before
    with (copied / f"{name}.py").open("a") as file:
        file.write("#")
    assert identified(default()).id != before.id
    assert identified(default()).trunk != before.trunk


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


@functools.cache
def composed_adamw() -> DictConfig:
    return asked("optimizer=adamw").composed


def reordered(node: Any, order: random.Random) -> Any:
    if not isinstance(node, dict):
        return node
    keys = list(node)
    order.shuffle(keys)
    return {key: reordered(node[key], order) for key in keys}


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(order: random.Random) -> None:
    composed = composed_adamw()
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
