"""What a class takes it gets; what it does not is named with what is allowed."""

from pathlib import Path
from typing import Any

import pytest
import torch
from composing import CPU, configured

from factorial.settings.messages import BadInput
from factorial.training import trainer
from factorial.training.instantiate import instantiate, untaken


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the user's own modules."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def optimizer(**settings: Any) -> Any:
    target = settings.pop("target", "torch.optim.Adam")
    parameters = [torch.nn.Parameter(torch.ones(2))]
    return instantiate("optimizer", {"_target_": target, **settings}, ["elsewhere_of"], parameters)


TAKEN = [
    {"lr": 1}, {"lr": 0.1, "betas": [0.8, 0.9]}, {"fused": None}, {"fused": True},
    {"foreach": False}, {"amsgrad": True, "eps": 1e-9},
]  # fmt: skip


@pytest.mark.parametrize("settings", TAKEN)
def test_what_a_class_takes_it_gets(settings: dict[str, Any]) -> None:
    group = optimizer(**settings).param_groups[0]
    for name, value in settings.items():
        assert (list(group[name]) if isinstance(value, list) else group[name]) == value


WRONG = [
    ("lrr", 1, "optimizer.lrr is not a setting (did you mean lr?): allowed of optimizer are "),
    ("params", 1, "optimizer.params is not a setting"),
    ("_partial_", True, "optimizer._partial_ is not a setting"),
    ("lr", "fast", "optimizer.lr=fast: allowed is a number"),
    ("lr", True, "optimizer.lr=True: allowed is a number"),
    ("lr", None, "optimizer.lr=None: allowed is a number"),
    ("eps", [1], "optimizer.eps=[1]: allowed is a number"),
    ("betas", 0.9, "optimizer.betas=0.9: allowed is a list, such as [0.9, 0.999]"),
    ("betas", "high", "optimizer.betas=high: allowed is a list, such as [0.9, 0.999]"),
    ("betas", {"a": 1}, "optimizer.betas={'a': 1}: allowed is a list, such as [0.9, 0.999]"),
    ("amsgrad", 0, "optimizer.amsgrad=0: allowed is true or false"),
    ("amsgrad", "yes", "optimizer.amsgrad=yes: allowed is true or false"),
    ("fused", "maybe", "optimizer.fused=maybe: allowed is true, false or null"),
    ("fused", 0, "optimizer.fused=0: allowed is true, false or null"),
    ("foreach", [True], "optimizer.foreach=[True]: allowed is true, false or null"),
]


@pytest.mark.parametrize(("name", "value", "line"), WRONG)
def test_a_wrong_argument_is_named_with_what_is_allowed(name: str, value: Any, line: str) -> None:
    with pytest.raises(BadInput) as caught:
        optimizer(**{name: value})
    assert str(caught.value).startswith(line)


REFUSES = [
    ({"betas": [0.9]}, r"optimizer=\{'betas': \[0\.9\]\}: torch\.optim\.Adam refuses it \(.+\)"),
    ({"betas": [2, 0.9]}, r"refuses it \(ValueError: Invalid beta parameter at index 0: 2\)"),
    ({"eps": -1}, r"refuses it \(ValueError: Invalid epsilon value: -1\)"),
    ({"target": "torch.optim.SGD", "nesterov": True}, "refuses it .*requires a momentum"),
]


@pytest.mark.parametrize(("settings", "line"), REFUSES)
def test_what_a_class_itself_refuses_is_said_in_its_words(settings: dict, line: str) -> None:
    with pytest.raises(BadInput, match=line) as caught:
        optimizer(**settings)
    assert "\n" not in str(caught.value)


def test_what_a_class_of_this_package_refuses_is_said_as_it_says_it() -> None:
    with pytest.raises(BadInput, match=r"^model\.hidden=\[\]: allowed is a list of one or more"):
        trainer.start(configured("model=mlp", "model.hidden=[]"), CPU)


def test_nesterov_is_true_or_false() -> None:
    line = r"optimizer\.nesterov=0: allowed is true or false"
    with pytest.raises(BadInput, match=line):
        trainer.start(configured("optimizer=sgd", "+optimizer.nesterov=0"), CPU)


OWN = """
import torch
class Model(torch.nn.Linear):
    def __init__(self, shape, classes, width, *more, depth=1):
        super().__init__(64, classes)
class Switched(torch.nn.Linear):
    def __init__(self, shape, classes, on: bool | None = True):
        super().__init__(64, classes)
        self.on = on
class Any(torch.nn.Linear):
    def __init__(self, shape, classes, width, **more):
        super().__init__(64, classes)
        self.more = more
class Long(torch.nn.Module):
    def __init__(self, shape, classes):
        raise RuntimeError("one\\ntwo " + "x" * 1000)
def number(shape, classes):
    return 7
"""


@pytest.fixture
def own(elsewhere: Path) -> Any:
    (elsewhere / "own_classes.py").write_text(OWN)

    def made(name: str, **settings: Any) -> Any:
        node = {"_target_": f"own_classes.{name}", **settings}
        return instantiate("model", node, ["own_classes"], [8, 8], 10)

    return made


def test_arguments_without_a_default_are_required(own: Any) -> None:
    assert own("Model", width=3).out_features == 10
    with pytest.raises(BadInput, match=r"model\.width is not set: \(shape, classes, width, "):
        own("Model", depth=2)
    with pytest.raises(BadInput, match=r"allowed of model are depth, width$"):
        own("Model", width=3, height=1)


def test_a_class_that_takes_any_argument_gets_any(own: Any) -> None:
    assert own("Any", width=3, height="x").more == {"height": "x"}
    more = own("Any", width=3, a=[1, [2]], b={"c": [3]}).more
    assert [type(part) for part in (more["a"], more["a"][1], more["b"], more["b"]["c"])] == [
        list, list, dict, list,
    ]  # fmt: skip
    assert untaken("model", {"_target_": "own_classes.Any", "height": 1}, ["own_classes"]) == []


@pytest.mark.parametrize("on", [True, False, None])
def test_a_switch_that_may_be_null_is_so_whatever_its_default(own: Any, on: bool | None) -> None:
    assert own("Switched", on=on).on is on
    with pytest.raises(BadInput, match=r"model\.on=1: allowed is true, false or null"):
        own("Switched", on=1)


def test_untaken_are_the_settings_that_the_class_does_not_have() -> None:
    node = {"_target_": "torch.optim.Adamax", "lr": 0.1, "fused": True, "momentum": 0.9}
    assert untaken("optimizer", node, []) == ["fused", "momentum"]


def test_long_words_of_a_class_are_one_line_and_cut(own: Any) -> None:
    with pytest.raises(BadInput, match="RuntimeError: one two xxx") as caught:
        own("Long")
    assert len(str(caught.value)) < 300 and "\n" not in str(caught.value)


def test_what_is_made_is_of_the_parts_kind(own: Any) -> None:
    line = r"model\._target_=own_classes\.number: allowed is what makes a Module, not a int"
    with pytest.raises(BadInput, match=line):
        own("number")


BROKEN = {
    "absent": (None, "No module named 'absent'"),
    "syntax": ("def f(:\n", "invalid syntax"),
    "missing": ("import nowhere_at_all\n", "No module named 'nowhere_at_all'"),
    "exits": ("raise SystemExit(3)\n", "SystemExit: 3"),
    "without": ("", "Model"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_class_that_cannot_be_imported_says_why(name: str, elsewhere: Path) -> None:
    source, why = BROKEN[name]
    if source is not None:
        (elsewhere / f"{name}.py").write_text(source)
    with pytest.raises(BadInput) as caught:
        instantiate("model", {"_target_": f"{name}.Model"}, [name], [8, 8], 10)
    line = str(caught.value)
    assert line.startswith(f"model._target_={name}.Model: allowed is the full name of a class")
    assert why in line and "\n" not in line


@pytest.mark.parametrize("target", ["builtins.range", "math.pi", "math"])
def test_what_does_not_say_what_it_takes_is_refused(target: str) -> None:
    line = rf"model\._target_={target}: allowed is a class whose arguments are known"
    with pytest.raises(BadInput, match=line):
        instantiate("model", {"_target_": target}, ["builtins", "math"], [8, 8], 10)
