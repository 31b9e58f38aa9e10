"""The models, against layers written out."""

import pytest
import torch
from torch import nn

from factorial.settings.messages import BadInput
from factorial.training.models import MLP, Linear

# As torch.nn.functional has them, or as formulas
ACTIVATIONS = {
    "relu": lambda x: x.clamp(min=0),
    "leaky_relu": lambda x: torch.where(x > 0, x, 0.01 * x),
    "elu": lambda x: torch.where(x > 0, x, x.exp() - 1),
    "gelu": lambda x: x * (1 + torch.erf(x / 2**0.5)) / 2,
    "silu": lambda x: x / (1 + (-x).exp()),
    "tanh": torch.tanh,
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_mlp_is_affine_maps_with_the_activation_between(name: str) -> None:
    model, images = MLP([2, 3], 4, [5, 7], name), torch.randn(11, 2, 3)
    first, second, last = [layer for layer in model if isinstance(layer, nn.Linear)]
    assert [first.weight.shape, second.weight.shape, last.weight.shape] == [(5, 6), (7, 5), (4, 7)]
    hidden = ACTIVATIONS[name](images.reshape(11, 6) @ first.weight.T + first.bias)
    hidden = ACTIVATIONS[name](hidden @ second.weight.T + second.bias)
    torch.testing.assert_close(model(images), hidden @ last.weight.T + last.bias)


def test_a_linear_model_is_one_affine_map() -> None:
    model, images = Linear([2, 3], 4), torch.randn(11, 2, 3)
    weight, bias = model.parameters()
    assert weight.shape == (4, 6)
    torch.testing.assert_close(model(images), images.reshape(11, 6) @ weight.T + bias)


def test_layers_are_drawn_as_torch_draws_them_one_after_another() -> None:
    torch.manual_seed(0)
    model = MLP([8, 8], 10, [16], "relu")
    torch.manual_seed(0)
    for layer, again in ((model[1], nn.Linear(64, 16)), (model[3], nn.Linear(16, 10))):
        assert torch.equal(layer.weight, again.weight) and torch.equal(layer.bias, again.bias)


@pytest.mark.parametrize("hidden", [[], 64, "64", None, [64, 0], [64, -1], [2.0], [True], [None]])
def test_hidden_is_a_list_of_widths(hidden: object) -> None:
    line = r"^model\.hidden=.*: allowed is a list of one or more whole numbers, 1 or more$"
    with pytest.raises(BadInput, match=line):
        MLP([8, 8], 10, hidden, "relu")  # type: ignore[arg-type]


@pytest.mark.parametrize("activation", ["step", "ReLU", None, ["relu"], {"name": "relu"}])
def test_activation_is_one_of_seven(activation: object) -> None:
    names = "relu, leaky_relu, elu, gelu, silu, tanh, sigmoid"
    line = rf"^model\.activation=.*: allowed is one of {names}$"
    with pytest.raises(BadInput, match=line):
        MLP([8, 8], 10, [4], activation)  # type: ignore[arg-type]
