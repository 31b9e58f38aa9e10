"""What a config may become: which names are trusted, and what their classes take."""

import sys
from pathlib import Path

import pytest
import torch

from factorial.settings.messages import BadInput
from factorial.training.instantiate import instantiate, untaken, vet

LEFT_BEHIND = "left_behind"  # a module that says so when it is imported


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the user's own modules."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


TRUSTED = {
    "model._target_": ["torch.nn.Linear", "torchvision.models.ResNet",
                       "torchvision.ops.MLP", "factorial.training.models.MLP"],
    "optimizer._target_": ["torch.optim.SGD", "torch.optim.adam.Adam"],
    "schedule._target_": ["torch.optim.lr_scheduler.StepLR"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "name"), [(k, name) for k, names in TRUSTED.items() for name in names]
)
def test_classes_of_torch_and_of_this_package_need_no_permission(key: str, name: str) -> None:
    vet(key, name, allow=[])


REFUSED = {
    "model._target_": [
        "os.system",
        "torch.os.system",  # begins with torch, and is not
        "torch.nn.modules.os.system",
        "torch.load",
        "torch.hub.load",
        "torch.nn.init.constant_",  # a function
        "torch.nn.Module.load_state_dict",  # no class
        "torch.nn.modules.module._global_parameter_registration_hooks",
        "torch.nn.parallel.replicate._is_script_module",
        "torch.nn.modules.linear._LinearWithBias",  # private
        "torch.nn._reduction.warnings.catch_warnings",
        "torch.jit.ScriptModule",  # models, in other places
        "torch.fx.GraphModule",
        "factorial.reuse.weights.Served",
        "torch.optim.SGD",  # of another kind
        "torch.nn.Parameter",
        "torchvision.models.resnet18",
        "factorial.commands.clean.main",
        "factorial.training.models.partial",  # defined elsewhere
        "factorial.training.models.BadInput",
        "torchy.nn.Linear",
        "",
    ],
    "optimizer._target_": ["torch.nn.Linear", "torch.optim.lr_scheduler.StepLR"],
    "schedule._target_": ["torch.optim.SGD", "torch.nn.Linear"],
}


@pytest.mark.parametrize(
    ("key", "name"), [(k, name) for k, names in REFUSED.items() for name in names]
)
def test_whatever_else_is_refused_by_name(key: str, name: str) -> None:
    with pytest.raises(BadInput) as caught:
        vet(key, name, allow=[])
    assert str(caught.value).startswith(f"{key}={name}: allowed ")


@pytest.mark.parametrize("name", [f"{LEFT_BEHIND}.Model", f"torch.nn.{LEFT_BEHIND}.Model"])
def test_what_is_refused_by_its_name_is_not_imported(name: str, elsewhere: Path) -> None:
    (elsewhere / f"{LEFT_BEHIND}.py").write_text("raise KeyboardInterrupt")
    with pytest.raises(BadInput):
        vet("model._target_", name, allow=[])
    assert LEFT_BEHIND not in sys.modules


def test_a_private_class_of_torch_is_refused_though_its_kind_is_right() -> None:
    assert issubclass(torch.nn.modules.batchnorm._BatchNorm, torch.nn.Module)
    with pytest.raises(BadInput, match="_BatchNorm: allowed are"):
        vet("model._target_", "torch.nn.modules.batchnorm._BatchNorm", allow=[])
    with pytest.raises(BadInput, match="allowed are"):
        vet("model._target_", "torch.nn._reduction.Module", allow=[])


def test_a_class_that_was_put_into_torch_from_elsewhere_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Planted(torch.nn.Module):
        pass

    monkeypatch.setattr(torch.nn, "Planted", Planted, raising=False)
    with pytest.raises(BadInput, match="allowed are models"):
        vet("model._target_", "torch.nn.Planted", allow=[])
    Planted.__module__ = "torchery.nn"
    with pytest.raises(BadInput, match="allowed are models"):
        vet("model._target_", "torch.nn.Planted", allow=[])


ALLOWED = [
    ("foo", ["foo"], True),
    ("foo.Bar", ["foo"], True),
    ("foo.bar.Baz", ["foo.bar"], True),
    ("foo.bar.Baz", ["other", "foo.bar.Baz"], True),
    ("foobar.Baz", ["foo"], False),
    ("foo.barn.Baz", ["foo.bar"], False),
    ("foo.Bar", ["foo.Bar.baz"], False),
    ("foo.Bar", ["Bar"], False),
    ("foo.Bar", [""], False),
    ("foo.Bar", ["foo."], False),
    ("foo.Bar", [], False),
]


@pytest.mark.parametrize(("name", "allow", "admitted"), ALLOWED)
def test_allow_names_a_class_or_all_within_a_package(
    name: str, allow: list[str], admitted: bool
) -> None:
    if admitted:
        vet("model._target_", name, allow)
    else:
        with pytest.raises(BadInput, match=f"allow=\\[{name}\\]"):
            vet("model._target_", name, allow)


def test_targets_deep_within_a_part_are_vetted_where_they_stand() -> None:
    inner = {"_target_": "os.getcwd"}
    node = {"_target_": "torch.nn.Sequential", "layers": [{"a": inner}]}
    for use in (instantiate, untaken):
        with pytest.raises(BadInput, match=r"model\.layers\[0\]\.a\._target_=os\.getcwd: allowed"):
            use("model", node, [])
