"""A combination of factors: composed as Hydra composes it, and named as the record names it."""

from typing import Any

import pytest
from composing import asked
from hydra.errors import HydraException
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from factorial.settings.combination import Combination, Composer, by_hydra
from factorial.settings.names import flatten, is_within
from factorial.settings.parsing import parse

WORDS = [
    "model=linear", "model=mlp", "optimizer=sgd", "optimizer.lr=1e-2", "optimizer.lr=3", "seed=3",
    "epochs.count=7", "epochs=short", "data=digits", "tracking.experiment='a b'",
    "++optimizer.eps=1", "++optimizer.eps=2", "optimizer.eps=3", "experiment=article",
    "data.fallback=null", "~optimizer.lr", "model.hidden=[8,9]", "+model.new={a: 1}",
    "outputs=${data.name}", "data=kmnist", "optimizer={lr: 5}",
    "seed=0,1", "model=mlp,linear",
]  # fmt: skip


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@example(words=["++optimizer.eps=1", "optimizer.eps=2", "++optimizer.eps=3"])
@example(words=["optimizer.lr=1e-2", "optimizer={lr: 5}"])
@example(words=["optimizer={lr: 5}", "optimizer.lr=1e-2"])
@given(words=st.lists(st.sampled_from(WORDS), max_size=6))
def test_composing_any_words_setting_by_setting_equals_hydras_own(words: list[str]) -> None:
    try:
        whole = Combination.compose(words)
    except HydraException:
        with pytest.raises(HydraException):
            Composer(by_hydra)(words)
        return
    assert Composer(by_hydra)(words) == whole


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["model=linear", "optimizer=sgd", "optimizer.lr=1e-2", "epochs.count=7", "seed=3"],
        ["data=digits", "model.hidden=[8,9]", "tracking.experiment='a b'", "+optimizer.eps=1e-9"],
        ["experiment=article", "epochs=short", "data.fallback=null", "model.activation=tanh"],
        ["optimizer.lr=1", "seed=1", "optimizer.lr=2", "~optimizer.fused", "seed=${data.seed}"],
    ],
)
def test_composing_setting_by_setting_equals_hydras_own(words: list[str]) -> None:
    assert Composer(by_hydra)(words) == Combination.compose(words)


@pytest.mark.slow
def test_a_job_has_the_config_that_hydra_would_compose_for_it() -> None:
    composer = Composer(by_hydra)
    for lr in (1, 2):
        words = ["model=linear", f"optimizer.lr={lr}", "+optimizer.eps=1e-9", "seed=${data.seed}"]
        assert composer.job(words) == by_hydra(words)
        assert OmegaConf.to_yaml(composer.job(words)) == OmegaConf.to_yaml(by_hydra(words))


def test_one_combination_does_not_change_the_next() -> None:
    composer = Composer(by_hydra)
    first = composer(["seed=3", "model.hidden=[8]"])
    second = composer(["seed=4"])
    assert (first.composed.seed, second.composed.seed) == (3, 4)
    assert (first.composed.model.hidden, second.composed.model.hidden) == ([8], [256, 256])
    with pytest.raises(HydraException):
        composer(["data.shuffle=true"])


def test_words_are_kept_as_they_were_typed() -> None:
    words = ["data=digits", "seed=${data.seed}", "+optimizer.eps=1e-9", "~schedule.factor"]
    assert Combination.compose(words).typed == words


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["model=mlp", "optimizer=adam", "model.hidden=[64]", "seed=3"],
         "mlp adam lr=0.001 e15 s3 data=digits hidden=[64]"),
        (["model=linear", "optimizer=sgd", "optimizer.lr=0.5", "epochs=smoke"],
         "linear sgd lr=0.5 e1 s0 data=digits"),
        (["epochs.count=7", "++seed=4", "+optimizer.eps=1"],
         "mlp adam lr=0.001 e7 s4 data=digits eps=1"),
        (["model.hidden=[8]", "model.hidden=[9]"],
         "mlp adam lr=0.001 e15 s0 data=digits hidden=[9]"),
        (["~optimizer.lr", "~optimizer.fused"], "mlp adam e15 s0 data=digits fused="),
        (["outputs=elsewhere", "fresh=true", "tracking=off", "data.root=null", "++plan=true"],
         "mlp adam lr=0.001 e15 s0 data=digits"),
        (["device=cpu", "device.threads=2"],
         "mlp adam lr=0.001 e15 s0 data=digits device=cpu threads=2"),
        (["optimizer._target_=torch.optim.Adamax"], "mlp Adamax lr=0.001 e15 s0 data=digits"),
        (["++optimizer._target_='torch.optim.Adamax'"], "mlp Adamax lr=0.001 e15 s0 data=digits"),
        (["optimizer=sgd", "optimizer._target_=torch.optim.Adamax"],
         "mlp sgd lr=0.1 e15 s0 data=digits _target_=torch.optim.Adamax"),
        ([f"model.activation={'x' * 70}"],
         f"mlp adam lr=0.001 e15 s0 data=digits activation={'x' * 60}... (70 signs)"),
    ],
)  # fmt: skip
def test_names_say_what_tells_runs_apart(words: list[str], name: str) -> None:
    combination = asked(*words)
    assert combination.name(parse(combination.composed)) == name


def test_params_have_the_names_of_the_record() -> None:
    params = asked("optimizer=momentum", "epochs=short").params()
    assert params["model"] == "mlp"
    assert params["optimizer"] == "momentum"
    assert params["data"] == "digits"
    assert params["schedule"] == "constant"
    assert params["optimizer.lr"] == 0.01
    assert params["model.hidden"] == [256, 256]
    assert params["epochs"] == 5
    assert params["seed"] == 0
    assert params["data.batch_size"] == 100
    assert params["precision"] == "float32"
    assert params["device"] == "auto"
    assert params["threads"] is None
    beside = {"outputs", "allow", "fresh", "plan", "tracking.kind", "data.name", "data.root",
              "data.examples", "data.classes", "steps", "optimizer._target_"}  # fmt: skip
    assert not beside & params.keys()


def test_a_class_that_is_typed_is_on_record_under_its_key() -> None:
    params = asked("optimizer._target_=torch.optim.Adamax").params()
    assert params["optimizer"] == "Adamax"
    assert params["optimizer._target_"] == "torch.optim.Adamax"
    assert "model._target_" not in params


def test_a_class_is_allowed_by_being_typed_and_by_that_alone() -> None:
    assert asked().parse().allow == []
    assert asked("optimizer._target_=my.Own", "allow=[a.b]").parse().allow == ["a.b", "my.Own"]
    assert asked("++model._target_='my.Own'").parse().allow == ["my.Own"]
    assert asked("optimizer._target_=a.B", "optimizer._target_=c.D").parse().allow == ["c.D"]


@pytest.mark.parametrize(
    ("node", "leaves"),
    [
        ({}, {}),
        ({"a": 1}, {"a": 1}),
        ({"a": {"b": {"c": 1}, "d": [1, {"e": 2}]}}, {"a.b.c": 1, "a.d": [1, {"e": 2}]}),
        ({"a": {"b": {}}, "c": None}, {"a.b": {}, "c": None}),
    ],
)
def test_leaves_stand_under_dotted_keys(node: Any, leaves: dict[str, Any]) -> None:
    assert flatten(node) == leaves


def test_a_key_is_within_a_part_by_whole_names() -> None:
    assert is_within("data.seed", ["data"])
    assert is_within("data", ["data"])
    assert not is_within("database", ["data"])
    assert not is_within("data", ["data.seed"])
    assert not is_within("a.data", ["data"])
    assert not is_within("data.seed", [])


def test_parsing_changes_nothing_of_what_was_composed() -> None:
    combination = asked("optimizer._target_=my.Own", "allow=[a]")
    before = OmegaConf.to_yaml(combination.composed)
    combination.parse()
    assert OmegaConf.to_yaml(combination.composed) == before


def test_an_option_that_was_typed_stays_on_record_beside_the_class_in_its_place() -> None:
    words = ["optimizer=sgd", "optimizer._target_=torch.optim.Adamax"]
    params = asked(*words).params()
    assert (params["optimizer"], params["optimizer._target_"]) == ("sgd", "torch.optim.Adamax")
    assert asked(words[1]).params()["optimizer"] == "Adamax"
