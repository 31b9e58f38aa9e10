"""The convolutional model, against torch's functions written out."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from factorial.settings.messages import BadInput
from factorial.training.models import CNN


def test_a_cnn_is_convolutions_halved_behind_every_second_one() -> None:
    torch.manual_seed(0)
    model = CNN([3, 9, 12], 5, [4, 6, 8], 2, 3, batch_norm=False, dropout=0.5).eval()
    images = torch.randn(7, 3, 9, 12)
    first, second, third = [layer for layer in model if isinstance(layer, nn.Conv2d)]
    (last,) = [layer for layer in model if isinstance(layer, nn.Linear)]
    hidden = F.conv2d(images, first.weight, first.bias, padding=1).relu()
    hidden = F.conv2d(hidden, second.weight, second.bias, padding=1).relu()
    hidden = F.max_pool2d(hidden, 2)
    assert hidden.shape == (7, 6, 4, 6)
    hidden = F.conv2d(hidden, third.weight, third.bias, padding=1).relu()
    logits = hidden.reshape(7, 8 * 4 * 6) @ last.weight.T + last.bias
    torch.testing.assert_close(model(images), logits, rtol=1e-4, atol=1e-5)


def test_batch_norm_stands_between_a_convolution_and_its_relu() -> None:
    model = CNN([1, 8, 8], 10, [4], 2, 5, batch_norm=True, dropout=0.0)
    images = torch.randn(64, 1, 8, 8)
    conv, norm = model[1], model[2]
    assert isinstance(conv, nn.Conv2d) and conv.bias is None and conv.kernel_size == (5, 5)
    mapped = F.conv2d(images, conv.weight, padding=2)
    centred = mapped - mapped.mean((0, 2, 3), keepdim=True)
    scaled = centred / (mapped.var((0, 2, 3), correction=0, keepdim=True) + norm.eps).sqrt()
    wanted = scaled.relu().flatten(1) @ model[-1].weight.T + model[-1].bias
    torch.testing.assert_close(model(images), wanted, rtol=1e-4, atol=1e-4)


def test_dropout_follows_each_halving_and_is_none_in_evaluation() -> None:
    model = CNN([1, 8, 8], 10, [4, 4, 4, 4], 2, 3, batch_norm=False, dropout=0.4)
    kinds = [type(layer).__name__ for layer in model]
    assert kinds == [
        "ChannelsLast", "Conv2d", "ReLU", "Conv2d", "ReLU", "MaxPool2d", "Dropout2d",
        "Conv2d", "ReLU", "Conv2d", "ReLU", "MaxPool2d", "Dropout2d", "Flatten", "Linear",
    ]  # fmt: skip
    assert {layer.p for layer in model if isinstance(layer, nn.Dropout2d)} == {0.4}
    images = torch.randn(5, 1, 8, 8)
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))


@pytest.mark.parametrize(("depth", "sides"), [(1, [4, 2, 1]), (2, [8, 4, 4]), (3, [8, 8, 4])])
def test_so_many_convolutions_stand_before_each_halving(depth: int, sides: list[int]) -> None:
    model = CNN([1, 8, 8], 10, [2, 2, 2], depth, 3, batch_norm=False, dropout=0.0)
    hidden, seen = torch.randn(2, 1, 8, 8), []
    for layer in model:
        if isinstance(layer, nn.Conv2d | nn.Flatten):
            seen.append(hidden.shape[-1])
        hidden = layer(hidden)
    assert seen[1:] == sides


def test_dropout_leaves_out_whole_channels() -> None:
    model = CNN([1, 8, 8], 10, [64], 1, 3, batch_norm=False, dropout=0.5)
    dropped = model[4](torch.ones(20, 64, 4, 4))
    assert dropped.unique().tolist() == [0, 2]
    assert torch.equal(dropped.amax((2, 3)), dropped.amin((2, 3)))


def test_weights_and_images_lie_channels_last() -> None:
    model = CNN([3, 8, 8], 10, [4, 4], 2, 3, batch_norm=True, dropout=0.0)
    assert model[1].weight.is_contiguous(memory_format=torch.channels_last)
    assert model[0](torch.randn(2, 3, 8, 8)).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"channels": []}, r"model\.channels=\[\]: allowed is a list of one or more whole numbers"),
        ({"channels": 32}, r"model\.channels=32: allowed is a list of one or more whole numbers"),
        ({"channels": [8, 0]}, r"model\.channels=\[8, 0\]: allowed is a list of one or more"),
        ({"depth": 0}, r"model\.depth=0: allowed is a whole number, 1 or more$"),
        ({"depth": True}, r"model\.depth=True: allowed is a whole number, 1 or more$"),
        ({"kernel": 2}, r"model\.kernel=2: allowed is an odd whole number, 1 or more$"),
        ({"kernel": 2.5}, r"model\.kernel=2\.5: allowed is an odd whole number, 1 or more$"),
        ({"kernel": True}, r"model\.kernel=True: allowed is an odd whole number, 1 or more$"),
        ({"dropout": 1}, r"model\.dropout=1: allowed is a number in \[0, 1\)$"),
        ({"dropout": "a"}, r"model\.dropout=a: allowed is a number in \[0, 1\)$"),
        ({"batch_norm": 1}, r"model\.batch_norm=1: allowed is true or false$"),
        (
            {"channels": [4] * 8},
            r"4 halvings of 8 x 8 pixels leave none; allowed are fewer than 8 ",
        ),
        (
            {"channels": [4] * 5, "depth": 1},
            r"5 halvings of 8 x 8 pixels leave none; allowed are fewer than 4 ",
        ),
    ],
)
def test_settings_that_make_no_network_are_refused(settings: dict[str, object], line: str) -> None:
    usual = {"channels": [4, 4], "depth": 2, "kernel": 3, "batch_norm": True, "dropout": 0.1}
    with pytest.raises(BadInput, match=line):
        CNN([1, 8, 8], 10, **usual | settings)  # type: ignore[arg-type]


def test_as_many_halvings_as_leave_a_pixel_are_made() -> None:
    model = CNN([1, 8, 8], 10, [2] * 7, 2, 3, batch_norm=False, dropout=0.0)
    assert model(torch.randn(2, 1, 8, 8)).shape == (2, 10)
