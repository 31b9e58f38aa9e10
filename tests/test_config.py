"""What may be set: every option composes, every bad value is named with what is allowed."""

import itertools

import pytest
from conftest import asked, configured
from hydra.errors import HydraException

from factorial.settings.combination import Combination, Composer
from factorial.settings.messages import BadInput, readable
from factorial.settings.overrides import count_epochs
from factorial.settings.places import CONF
from factorial.settings.schema import parse
from factorial.training import trainer
from factorial.training.environment import choose

GROUPS = ("model", "optimizer", "schedule", "device", "epochs", "data", "tracking")
OPTIONS = {group: sorted(file.stem for file in (CONF / group).glob("*.yaml")) for group in GROUPS}


@pytest.mark.parametrize(
    ("group", "option"), [(group, option) for group in GROUPS for option in OPTIONS[group]]
)
def test_every_option_of_every_group_composes(group: str, option: str) -> None:
    server = ["tracking.uri=http://127.0.0.1:5000"] if option == "server" else []
    assert Combination.compose([f"{group}={option}", *server]).choices[group] == option
    parse(Combination.compose([f"{group}={option}"]).composed)


@pytest.mark.slow
@pytest.mark.parametrize(
    "groups", [("model", "optimizer", "schedule", "data"), ("device", "epochs", "tracking")]
)
def test_every_combination_of_options_composes(groups: tuple[str, ...]) -> None:
    for options in itertools.product(*(OPTIONS[group] for group in groups)):
        chosen = dict(zip(groups, options, strict=True))
        combination = Combination.compose([f"{key}={value}" for key, value in chosen.items()])
        assert chosen.items() <= combination.choices.items()
        parse(combination.composed)


@pytest.mark.parametrize("preset", ["article", "factors", "lr_epochs", "activation"])
def test_every_preset_composes_and_refuses_substitute_data(preset: str) -> None:
    config = parse(Combination.compose([f"experiment={preset}"]).composed)
    assert config.tracking.experiment == preset
    assert config.data.fallback is None


BAD = {
    "optimizer.lr=-1": "optimizer.lr=-1: allowed is a finite number above 0",
    "optimizer.lr=0": "optimizer.lr=0: allowed is a finite number above 0",
    "optimizer.lr=nan": "optimizer.lr=nan: allowed is a finite number above 0",
    "optimizer.lr=inf": "optimizer.lr=inf: allowed is a finite number above 0",
    "optimizer.lr=fast": "optimizer.lr=fast: allowed is a finite number above 0",
    "optimizer.lrr=1": "optimizer.lrr is not a setting (did you mean lr?)",
    "+optimizer.speed=1": "optimizer.speed is not a setting",
    "+optimizer.eps=small": "optimizer.eps=small: allowed is a number",
    "optimizer._target_=torch.optim.Nope": "allowed is the full name of a class",
    "epochs=0": "epochs.count=0: allowed is a whole number, 1 or more",
    "epochs=-3": "epochs.count=-3: allowed is a whole number, 1 or more",
    "epochs=2.5": "epochs.count=2.5: allowed is a whole number, 1 or more",
    "epochs=true": "epochs.count=True: allowed is a whole number, 1 or more",
    "epochs=forever": "epochs=forever: allowed is one of article, long, short, smoke",
    "model.hidden=[]": "model.hidden=[]: allowed is a list of one or more whole numbers",
    "model.hidden=[64,0]": "model.hidden=[64, 0]: allowed is a list of one or more whole numbers",
    "model.hidden=64": "model.hidden=64: allowed is a list of one or more whole numbers",
    "model.activation=step": "model.activation=step: allowed is one of relu,",
    "data.batch_size=0": "data.batch_size=0: allowed is a whole number, 1 or more",
    "data.batch_size=1294": "data.batch_size=1294: allowed is 1 to 1293",
    "data.validation_share=1": "data.validation_share=1.0: allowed is a number in [0, 1)",
    "data.validation_share=-0.1": "data.validation_share=-0.1: allowed is a number in [0, 1)",
    "data.validation_share=0.9999": "data.validation_share=0.9999: allowed is what leaves",
    "data.shuffle=true": "data.shuffle is not a setting",
    "device.threads=0": "device.threads=0: allowed is a whole number, 1 or more, or null",
    "device.precision=float16": "device.precision=float16: allowed is one of float32, bfloat16",
    "device=tpu": "device=tpu: allowed is one of auto, cpu, cuda, mps",
    "seed=-1": "seed=-1: allowed is a whole number, 0 or more",
    "seed=x": "seed=x: allowed is a whole number, 0 or more",
    "steps=7": "steps=7: allowed is 195, which epochs and data make it",
    "optimizer=adamm": "optimizer=adamm: allowed is one of adadelta, adagrad, adam, adamw",
    "modell=mlp": "modell is not a setting (did you mean model?)",
    "optimizer": "optimizer: not an override; allowed is GROUP=OPTION or KEY=VALUE",
}


@pytest.mark.parametrize("word", BAD)
def test_bad_input_names_key_value_and_what_is_allowed(word: str) -> None:
    with pytest.raises((BadInput, HydraException)) as caught:
        trainer.start(configured(count_epochs(word)), choose(configured(count_epochs(word)).device))
    message = readable(caught.value)
    assert message is not None
    assert BAD[word] in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("typed", "understood"),
    {
        "epochs=7": "epochs.count=7",
        "epochs=5,10,15": "epochs.count=5,10,15",
        "epochs=smoke,7,article": "epochs.count=1,7,15",
        "epochs=smoke": "epochs=smoke",
        "epochs=smoke,short": "epochs=smoke,short",
        "optimizer.lr=7": "optimizer.lr=7",
    }.items(),
)
def test_epochs_takes_numbers_and_options(typed: str, understood: str) -> None:
    assert count_epochs(typed) == understood


@pytest.mark.parametrize(("drop_last", "steps"), [(False, 2 * 13), (True, 2 * 12)])
def test_steps_are_batches_times_epochs(drop_last: bool, steps: int) -> None:
    config = configured("epochs.count=2", f"data.drop_last={drop_last}")  # 1,293 by 100
    assert config.steps == steps


@pytest.mark.parametrize(
    "words",
    [
        ["model=linear", "optimizer=sgd", "optimizer.lr=1e-2", "epochs.count=7", "seed=3"],
        ["data=digits", "model.hidden=[8,9]", "tracking.parent='a b'", "+optimizer.eps=1e-9"],
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
