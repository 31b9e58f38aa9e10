"""A combination of factors: composed as Hydra composes it, and named as the record names it."""

import pytest
from conftest import asked
from hydra.errors import HydraException

from factorial.settings.combination import Combination, Composer
from factorial.settings.schema import parse


@pytest.mark.parametrize(
    "words",
    [
        ["model=linear", "optimizer=sgd", "optimizer.lr=1e-2", "epochs.count=7", "seed=3"],
        ["data=digits", "model.hidden=[8,9]", "tracking.experiment='a b'", "+optimizer.eps=1e-9"],
        ["experiment=article", "epochs=short", "data.fallback=null", "model.activation=tanh"],
    ],
)
def test_composing_setting_by_setting_equals_hydras_own(words: list[str]) -> None:
    composer = Composer(Combination.compose)
    for _ in range(2):
        assert composer(words) == Combination.compose(words)
    with pytest.raises(HydraException):
        composer([*words, "data.shuffle=true"])


def test_names_say_what_tells_runs_apart() -> None:
    combination = asked("model=mlp", "optimizer=adam", "model.hidden=[64]", "seed=3")
    name = combination.name(parse(combination.composed))
    assert name == "mlp adam lr=0.001 e15 s3 data=digits hidden=[64]"


def test_params_have_the_names_of_the_record() -> None:
    params = asked("optimizer=momentum", "epochs=short").params()
    assert params["model"] == "mlp"
    assert params["optimizer"] == "momentum"
    assert params["data"] == "digits"
    assert params["optimizer.lr"] == 0.01
    assert params["model.hidden"] == [256, 256]
    assert params["epochs"] == 5
    assert params["seed"] == 0
    assert params["data.batch_size"] == 100
    assert params["precision"] == "float32"
