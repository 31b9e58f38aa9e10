"""A digest of tensors: the same for the same, another for any difference."""

import hashlib
import struct

import torch

from factorial.training.fingerprint import fingerprint


def test_a_fingerprint_is_sha256_of_metadata_names_types_shapes_and_bytes() -> None:
    tensors = {"b": torch.tensor([[1.5, -2.0]]), "a": torch.tensor(7)}
    written = b'{"k": "v"}' + b"atorch.int64[]" + struct.pack("<q", 7)
    written += b"btorch.float32[1, 2]" + struct.pack("<2f", 1.5, -2.0)
    assert fingerprint(tensors, {"k": "v"}) == hashlib.sha256(written).hexdigest()


def test_any_difference_is_another_fingerprint() -> None:
    base = torch.arange(6, dtype=torch.int32)
    different: list[tuple[dict, dict]] = [
        ({}, {}),
        ({}, {"k": "v"}),
        ({}, {"k": "w"}),
        ({"a": base}, {}),
        ({"b": base}, {}),
        ({"a": base, "b": base}, {}),
        ({"a": base.view(2, 3)}, {}),
        ({"a": base.view(3, 2)}, {}),
        ({"a": base.view(torch.float32)}, {}),
        ({"a": base.flip(0)}, {}),
        ({"a": base[:0]}, {}),
        ({"a": base[:0].view(0, 3)}, {}),
        ({"a": torch.tensor([0.0])}, {}),
        ({"a": torch.tensor([-0.0])}, {}),
    ]
    assert len({fingerprint(*one) for one in different}) == len(different)


def test_order_strides_and_gradients_make_no_difference() -> None:
    one, two = torch.randn(3, 4), torch.randn(2).bfloat16()
    wanted = fingerprint({"a": one, "b": two}, {"x": "1", "y": "2"})
    across = one.t().contiguous().t().requires_grad_()
    assert not across.is_contiguous()
    assert fingerprint({"b": two, "a": across}, {"y": "2", "x": "1"}) == wanted
    assert fingerprint({"a": one[:, 1]}) == fingerprint({"a": one[:, 1].clone()})
