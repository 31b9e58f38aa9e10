"""What may be set: every option composes, every bad value is named with what is allowed."""

import itertools
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from composing import asked, configured
from hydra.errors import HydraException
from omegaconf import OmegaConf

from factorial.settings.combination import Combination
from factorial.settings.messages import BadInput, readable
from factorial.settings.overrides import count_epochs
from factorial.settings.parsing import parse
from factorial.settings.places import CONF
from factorial.settings.schema import targets
from factorial.training import trainer
from factorial.training.environment import choose

GROUPS = ("model", "optimizer", "schedule", "device", "epochs", "data", "metrics", "tracking")
OPTIONS = {group: sorted(file.stem for file in (CONF / group).glob("*.yaml")) for group in GROUPS}


@pytest.mark.parametrize(
    ("group", "option"), [(group, option) for group in GROUPS for option in OPTIONS[group]]
)
def test_every_option_of_every_group_composes(group: str, option: str) -> None:
    combination = Combination.compose([f"{group}={option}", *needed([option])])
    assert combination.choices[group] == option
    parse(combination.composed)


@pytest.mark.slow
@pytest.mark.parametrize(
    "groups", [("model", "optimizer", "schedule", "data"), ("device", "epochs", "tracking")]
)
def test_every_pair_of_options_composes(groups: tuple[str, ...]) -> None:
    for chosen in covering(groups):
        words = [f"{key}={value}" for key, value in chosen.items()]
        combination = Combination.compose([*words, *needed(chosen.values())])
        assert chosen.items() <= combination.choices.items()
        parse(combination.composed)


def needed(options: Iterable[str]) -> list[str]:
    """What two options do not compose without."""
    words = {"server": "tracking.uri=http://127.0.0.1:5000", "own": "data._target_=a.b"}
    return [word for option, word in words.items() if option in options]


def covering(groups: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Combinations in which each two options of two groups meet."""
    met: set[object] = set()
    for options in itertools.product(*(OPTIONS[group] for group in groups)):
        pairs = set(itertools.combinations(zip(groups, options, strict=True), 2))
        if not pairs <= met:
            met |= pairs
            yield dict(zip(groups, options, strict=True))


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
    "epochs=0": "epochs.count=0: allowed is a whole number, 1 to 1000000",
    "epochs=-3": "epochs.count=-3: allowed is a whole number, 1 to 1000000",
    "epochs=2.5": "epochs.count=2.5: allowed is a whole number, 1 to 1000000",
    "epochs=true": "epochs.count=true: allowed is a whole number, 1 to 1000000",
    "epochs=forever": "epochs=forever: allowed is one of article, long, short, smoke",
    "model.hidden=[]": "model.hidden=[]: allowed is a list of one or more whole numbers",
    "model.hidden=[64,0]": "model.hidden=[64, 0]: allowed is a list of one or more whole numbers",
    "model.hidden=64": "model.hidden=64: allowed is a list of one or more whole numbers",
    "model.activation=step": "model.activation=step: allowed is one of relu,",
    "data.batch_size=0": "data.batch_size=0: allowed is a whole number, 1 or more",
    "data.batch_size=1294": "data.batch_size=1294: allowed is 1 to 1293",
    "data.validation_share=1": "data.validation_share=1: allowed is a number in [0, 1)",
    "data.validation_share=-0.1": "data.validation_share=-0.1: allowed is a number in [0, 1)",
    "data.validation_share=0.9999": "data.validation_share=0.9999: allowed is what leaves",
    "data.shuffle=true": "data.shuffle is not a setting",
    "device.threads=0": "device.threads=0: allowed is a whole number, 1 to 1024, or null",
    "device.precision=float16": "device.precision=float16: allowed is one of float32, bfloat16",
    "device=tpu": "device=tpu: allowed is one of auto, cpu, cuda, mps",
    "seed=-1": "seed=-1: allowed is a whole number, 0 to 2**63 - 1",
    "seed=x": "seed=x: allowed is a whole number, 0 to 2**63 - 1",
    "steps=7": "steps=7: allowed is 195, which epochs and data make it",
    "optimizer=adamm": "optimizer=adamm: allowed is one of adadelta, adagrad, adam, adamw",
    "modell=mlp": "modell is not a setting (did you mean model?)",
    "optimizer": "optimizer: can't be read; allowed is GROUP=OPTION or KEY=VALUE",
}


@pytest.mark.parametrize("word", BAD)
def test_bad_input_names_key_value_and_what_is_allowed(word: str) -> None:
    with pytest.raises((BadInput, HydraException)) as caught:
        trainer.start(configured(count_epochs(word)), choose(configured(count_epochs(word)).device))
    message = readable(caught.value)
    assert message is not None
    assert BAD[word] in message
    assert "\n" not in message


# Values that OmegaConf would turn into ones of the key's type
CONVERTED = [
    *[(key, value) for key in ("fresh", "plan", "report", "data.drop_last", "data.test_unscaled")
      for value in (0, 1, 2, "true", "yes", 1.0, None)],
    *[(key, value) for key in ("seed", "retries", "epochs.count", "data.batch_size", "data.seed",
                               "device.threads", "data.classes", "data.white", "data.examples")
      for value in (True, 5.0, "5", [5])],
    *[(key, value) for key in ("cadence", "data.validation_share")
      for value in (True, False, "0.5", None, [0.5])],
    *[(key, value) for key in ("outputs", "tracking.experiment") for value in (5, 1e3, True, None)],
    *[("keep", value) for value in (5, "5", ["5"], [True], [5.0], None)],
    *[("allow", value) for value in ("a.b", [5], [None], None)],
    *[("data.shape", value) for value in (28, "28", [28.0])],
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("key", "value"), CONVERTED)
def test_no_value_is_converted_to_the_type_of_its_key(key: str, value: Any) -> None:
    composed = asked().composed
    OmegaConf.update(composed, key, value)
    with pytest.raises(BadInput, match=f"^{re.escape(key)}=.*: allowed is "):
        parse(composed)


# The least and the most of each range, and what lies just outside
LIMITS: dict[str, tuple[list[Any], list[Any]]] = {
    "seed": ([0, 2**63 - 1], [-1, 2**63]),
    "data.seed": ([0, 2**63 - 1], [-1, 2**63]),
    "epochs.count": ([1, 1_000_000], [0, 1_000_001]),
    "device.threads": ([None, 1, 1024], [0, 1025]),
    "data.batch_size": ([1], [0]),
    "data.examples": ([1, None], [0]),
    "data.classes": ([2, None], [1]),
    "data.normalisation": (["none", "standard"], ["mean", None]),
    "data.white": ([1], [0]),
    "data.validation_share": ([0, 0.0, 0.999], [-1e-9, 1, math.nan]),
    "data.fallback": ([None, "digits"], ["mnist", ""]),
    "data.shape": ([[1], [1, 28, 28], None], [[0], [-1]]),
    "augmentation.shift": ([0, 1000], [-1, 1001, 0.5]),
    "augmentation.rotation": ([0, 180], [-1, 180.5, math.nan]),
    "augmentation.scale": ([0, 0.99], [-0.1, 1]),
    "augmentation.shear": ([0, 80], [-1, 81]),
    "augmentation.elastic": ([0, 1000], [-0.5, 1001, math.inf]),
    "label_smoothing": ([0, 0.99], [-0.1, 1, None]),
    "clip_norm": ([None, 1e-30, 1], [0, -1, math.inf]),
    "ema_decay": ([None, 0, 0.9999], [-0.1, 1]),
    "retries": ([0, 10], [-1]),
    "cadence": ([0, 0.5, 1e9], [-0.1, math.nan, math.inf]),
    "keep": ([[], [1, 2]], [[0], [1, -1]]),
    "stopping.metric": ([None, "loss", "accuracy"], ["macro_f1", "", "Loss", 3, "a b"]),
    "stopping.patience": ([1, 10**9], [0, 1.0, None]),
    "stopping.min_delta": ([0, 0.0, 0.5], [-1e-9, math.nan, math.inf, None]),
    "rank_by": (["validation/loss", "validation/accuracy"], ["test/loss", "loss", "", None]),
    "recipe": ([[], [f"data-{'0f' * 8}"]], [["data"], ["data-0f"], [f"data-{'0g' * 8}"]]),
    "optimizer.lr": ([1e-30, 1, 1e30], [0, -0.0, math.nan, math.inf, None]),
    "optimizer.fused": ([True, False, None], ["maybe", 1]),
    "model._target_": (["a.b", "a.b.C_1"], ["a", "", ".a", "a.", "a..b", "a b.c", None, 3]),
    "allow": ([[], ["a"], ["a.b"]], [[""], ["a."], ["a-b"]]),
    "tracking.experiment": (["a", "a b", "ü", "x" * 200], ["", " ", " a", "x" * 201, "a\nb"]),
    "tracking.parent": ([None, "0" * 32], ["", "0" * 31, "g" * 32]),
    "tracking.sweep": ([None, "f" * 20], ["", "f" * 32]),
    "name": ([None, "a", "a b", "ü", "x" * 200], ["", " ", " a", "x" * 201, "a\nb", 5, True]),
    "note": ([None, "a, b: c", "x" * 8000], ["", " ", "x" * 8001, "a\nb", 5, True]),
    "on_failure": (["continue", "stop"], ["halt", ""]),
    "device.precision": (["float32", "bfloat16"], ["float16"]),
    "device.kind": (["auto", "cpu", "cuda", "mps"], ["gpu"]),
}


@pytest.mark.parametrize("key", LIMITS)
def test_a_range_holds_its_ends_and_nothing_beyond(key: str) -> None:
    inside, outside = LIMITS[key]
    for value in inside:
        composed = asked().composed
        OmegaConf.update(composed, key, value)
        parse(composed)
    for value in outside:
        composed = asked().composed
        OmegaConf.update(composed, key, value)
        with pytest.raises(BadInput, match=f"^{re.escape(key)}=.*: allowed is "):
            parse(composed)


OWN_LIMITS: dict[str, tuple[list[Any], list[Any]]] = {
    "size": ([None, [1, 4096], [7, 9]], [[0, 1], [1, 4097], [8], [8, 8, 8], 8, "8", [8.0, 8]]),
    "mode": (["L", "RGB"], ["RGBA", "l", None]),
    "test_share": ([0.001, 0.999], [0, 1, "0.5", None, True]),
    "test_seed": ([0, 2**63 - 1], [-1, 2**63, None]),
    "cache": (["new"], [None, "", 3]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN_LIMITS)
def test_so_does_one_of_a_folder_of_images(name: str) -> None:
    inside, outside = OWN_LIMITS[name]
    for value in [*inside, *outside]:
        composed = Combination.compose(["data=folder"]).composed
        OmegaConf.update(composed, f"data.{name}", value)
        if value in inside and value is not True:
            assert parse(composed).data.own[name] == value
        else:
            with pytest.raises(BadInput, match=rf"^data\.{name}=.*: allowed is "):
                parse(composed)


@pytest.mark.parametrize(("written", "meant"), [(0, "0.0"), (-0.0, "0.0"), (0.25, "0.25")])
def test_a_share_has_one_spelling(written: float, meant: str) -> None:
    assert str(configured(f"data.validation_share={written}").data.validation_share) == meant


@pytest.mark.parametrize(("written", "meant"), [("1", "1.0"), ("1.0", "1.0"), ("null", "None")])
def test_a_number_that_may_be_null_has_one_spelling(written: str, meant: str) -> None:
    assert str(configured(f"clip_norm={written}").clip_norm) == meant


def test_an_address_is_a_servers_and_a_server_has_one() -> None:
    address = "tracking.uri=http://127.0.0.1:5000"
    assert parse(asked("tracking=server", address).composed).tracking.uri == address[13:]
    for words in ([address], ["tracking=off", address], ["tracking=server"]):
        with pytest.raises(BadInput, match=r"^tracking\.uri="):
            parse(asked(*words).composed)


@pytest.mark.parametrize("key", ["outputs", "data.root"])
def test_a_folder_may_be_one_or_become_one(key: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    good = [str(tmp_path), f"{tmp_path}/new/deeper", "new", "ü=b", "/", "."]
    bad = ["", " ", "/dev/null", f"{tmp_path}/file", f"{tmp_path}/file/new", f"{tmp_path}/link",
           f"{tmp_path}/link/new"]  # fmt: skip
    for folder in good:
        composed = asked().composed
        OmegaConf.update(composed, key, folder)
        parse(composed)
    for folder in [*bad, "a\tb", "a\nb", "\udcff", "x" * 256]:
        composed = asked().composed
        OmegaConf.update(composed, key, folder)
        with pytest.raises(BadInput, match=rf"^{key}="):
            parse(composed)


def test_a_file_is_no_folder_and_lies_in_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for file in (f"{tmp_path}/file", f"{tmp_path}/new/deeper", "new.json", None):
        composed = asked().composed
        OmegaConf.update(composed, "ledger", file)
        parse(composed)
    for file in (str(tmp_path), f"{tmp_path}/file/new", "", "a\nb"):
        composed = asked().composed
        OmegaConf.update(composed, "ledger", file)
        with pytest.raises(BadInput, match=r"^ledger="):
            parse(composed)


@pytest.mark.parametrize("part", ["model", "optimizer", "schedule", "data", "device", "metrics"])
def test_a_part_of_the_config_is_no_value(part: str) -> None:
    for value in (3, "mlp", None, [1]):
        composed = asked().composed
        OmegaConf.update(composed, part, value, merge=False)
        with pytest.raises(BadInput, match=f"^{part}="):
            parse(composed)


@pytest.mark.parametrize(
    ("word", "line"),
    {
        "+foo=1": "foo is not a setting: allowed are allow, augmentation, cadence, clip_norm, "
        "data, device, ema_decay, epochs, fresh, keep, label_smoothing, ledger, metrics, model, "
        "name, note, on_failure, optimizer, outputs, plan, rank_by, recipe, report, retries, "
        "schedule, seed, steps, stopping, tags, tracking",
        "+epochs.length=1": "epochs.length is not a setting: allowed of epochs are count",
        "seed='3'": "seed=3 (text): allowed is a whole number, 0 to 2**63 - 1",
        "plan='true'": "plan=true (text): allowed is true or false",
    }.items(),
)
def test_the_line_says_what_was_wrong_with_it(word: str, line: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(asked(word).composed)
    assert str(caught.value) == line


def test_every_target_is_found_with_where_it_stands() -> None:
    node = {"_target_": "a.A", "x": {"_target_": "b.B", "y": [1, {"z": {"_target_": "c.C"}}]}}
    assert list(targets(node, "model")) == [
        ("model._target_", "a.A"),
        ("model.x._target_", "b.B"),
        ("model.x.y[1].z._target_", "c.C"),
    ]
    assert list(targets([], "model")) == []


def test_a_setting_may_refer_to_another() -> None:
    config = configured("seed=${data.seed}", "data.seed=3", "model.hidden=[${epochs.count}]")
    assert (config.seed, config.model["hidden"]) == (3, [15])


@pytest.mark.parametrize("value", ["${nope}", "${oc.env:NOPE}", "${nope:1}", "${seed}"])
def test_a_reference_that_leads_nowhere_is_named_as_written(value: str) -> None:
    with pytest.raises(BadInput, match=rf"^seed={re.escape(value)}: allowed is .* \(.+\)$"):
        parse(asked(f"seed={value}").composed)


@pytest.mark.slow
def test_what_is_taken_out_of_the_config_is_named() -> None:
    for word, key in {"~seed": "seed", "~model": "model", "~data.name": "data.name"}.items():
        with pytest.raises(BadInput, match=f"^{key} is not set: allowed is "):
            parse(asked(word).composed)


@pytest.mark.parametrize(("drop_last", "steps"), [(False, 2 * 13), (True, 2 * 12)])
def test_steps_are_batches_times_epochs(drop_last: bool, steps: int) -> None:
    config = configured("epochs.count=2", f"data.drop_last={drop_last}")  # 1,293 by 100
    assert config.steps == steps
