"""A state comes back as it was, or is refused and set aside; it is never trusted."""

import errno
import json
import logging
import os
import struct
from pathlib import Path

import pytest
import torch
from composing import CPU, configured, digits
from hypothesis import given, settings
from hypothesis import strategies as st

from factorial.record import checkpoint
from factorial.record.checkpoint import Damaged, Newer, Position, Trunk, pack, read, unpack
from factorial.training import trainer

TREE = {
    "weights": torch.arange(6.0).reshape(2, 3),
    "half": torch.ones(3, dtype=torch.bfloat16),
    "count": torch.tensor(7),
    "empty": torch.zeros(0, 4),
    "state": {0: {"step": 1, "on": True}, 1: {"step": 0.1}},
    "list": [None, "text", [1.5, float("inf")]],
}


def same(left: object, right: object) -> bool:
    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        return left.dtype == right.dtype and torch.equal(left, right)
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


@pytest.fixture
def trunk(tmp_path: Path) -> Trunk:
    trunk = Trunk(tmp_path, "a" * 64, "cpu")
    trunk.folder.mkdir(parents=True)
    return trunk


def names(trunk: Trunk) -> list[str]:
    return sorted(file.name for file in trunk.folder.iterdir())


def test_what_was_saved_comes_back(trunk: Trunk) -> None:
    trunk.save(Position(3, 0), TREE, final=True)
    found = trunk.load(last=3)
    assert found is not None
    assert found[0] == Position(3, 0)
    assert same(found[1], TREE)


@pytest.mark.slow
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
        max_leaves=20,
    )
)
def test_any_plain_tree_survives_json(tree: object) -> None:
    tensors: dict[str, torch.Tensor] = {}
    assert same(unpack(json.loads(json.dumps(pack(tree, tensors))), tensors), tree)


def test_what_comes_back_lies_in_memory_as_what_was_saved(trunk: Trunk) -> None:
    kernels = torch.arange(96.0).reshape(2, 3, 4, 4)
    tree = {
        "channels last": kernels.to(memory_format=torch.channels_last),
        "transposed": torch.arange(6.0).reshape(2, 3).T,
        "plain": kernels,
    }
    trunk.save(Position(1, 0), {**tree, "spread": torch.ones(1).expand(5)}, final=True)
    found = trunk.load(last=1)[1]  # type: ignore[index]
    assert same({key: found[key] for key in tree}, tree)
    assert [found[key].stride() for key in tree] == [(48, 1, 12, 3), (1, 3), (48, 16, 4, 1)]
    assert same(found["spread"], torch.ones(5))


SMALL = ["data.batch_size=200"]
CNN = [*SMALL, "model=cnn", "model.channels=[4,4]"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "optimizer"),
    [
        *((SMALL, name) for name in ("momentum", "adam", "radam", "adadelta")),
        *((CNN, name) for name in ("momentum", "nesterov", "adagrad", "adam", "adamw", "rmsprop")),
        ([*CNN, "ema_decay=0.9", "clip_norm=1"], "adam"),
    ],
)
def test_a_training_state_goes_on_from_disk_to_the_same_bits(
    trunk: Trunk, model: list[str], optimizer: str
) -> None:
    config = configured(*model, "schedule=one_cycle", f"optimizer={optimizer}", "epochs.count=2")
    splits, straight, stopped, resumed = (
        digits(config),
        *(trainer.start(config, CPU) for _ in range(3)),
    )
    list(trainer.fit(straight, splits, config))
    batches = trainer.fit(stopped, splits, config)
    for _ in range(5):
        next(batches)
    trunk.save(Position(0, 5), {"state": stopped.tree()}, final=False)
    found = trunk.load(last=2)
    assert found is not None
    resumed.restore(found[1]["state"])
    list(trainer.fit(resumed, splits, config))
    assert all(map(torch.equal, straight.model.parameters(), resumed.model.parameters()))
    pairs = zip(straight.evaluated.parameters(), resumed.evaluated.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_the_furthest_state_that_is_not_too_far_is_taken(trunk: Trunk) -> None:
    for place, kept in [((5, 0), True), ((7, 30), False), ((10, 0), True), ((12, 3), False)]:
        trunk.save(Position(*place), {"at": place[0]}, kept)
    assert [trunk.load(last)[1]["at"] for last in (15, 11, 10, 9, 5)] == [12, 10, 10, 5, 5]  # type: ignore[index]
    assert trunk.load(4) is None


def test_what_a_run_leaves_on_the_way_is_bounded(trunk: Trunk) -> None:
    trunk.save(Position(20, 3), {}, final=False)  # of a longer run that was stopped
    for batch in range(1, 9):
        trunk.save(Position(0, batch), {}, final=False)
    assert names(trunk) == [f"partial-{p}.safetensors" for p in ("0-7", "0-8", "20-3")]
    trunk.save(Position(1, 0), {}, final=True)
    assert names(trunk) == ["final-1.safetensors", "partial-20-3.safetensors"]


def test_each_platform_has_states_of_its_own(trunk: Trunk, tmp_path: Path) -> None:
    trunk.save(Position(2, 0), TREE, final=True)
    assert Trunk(tmp_path, "a" * 64, "cpu, 2 threads").load(last=9) is None


def test_a_state_within_the_next_epoch_is_too_far(trunk: Trunk) -> None:
    trunk.save(Position(3, 0), {"at": "its end"}, final=True)
    trunk.save(Position(3, 2), {"at": "beyond it"}, final=False)
    assert trunk.load(3)[1]["at"] == "its end"  # type: ignore[index]
    assert trunk.load(4)[1]["at"] == "beyond it"  # type: ignore[index]


def test_what_stands_further_on_is_no_spare_of_what_is_saved(trunk: Trunk) -> None:
    trunk.save(Position(0, 9), {}, final=False)
    for batch in (1, 2, 3):
        trunk.save(Position(0, batch), {}, final=False)
    assert names(trunk) == [f"partial-0-{batch}.safetensors" for batch in (2, 3, 9)]


def test_tensors_that_share_their_memory_are_saved_each_by_itself(trunk: Trunk) -> None:
    tied = torch.arange(6.0)
    trunk.save(Position(1, 0), {"one": tied, "same": tied, "part": tied[2:4]}, final=True)
    state = trunk.load(last=1)[1]  # type: ignore[index]
    assert same(state, {"one": tied, "same": tied, "part": torch.tensor([2.0, 3.0])})


def damage(file: Path, kind: str) -> None:
    content = bytearray(file.read_bytes())
    if kind == "truncated":
        del content[len(content) // 2 :]
    elif kind == "empty":
        content.clear()
    elif kind == "flipped in a tensor":
        content[-1] ^= 1
    elif kind == "flipped in the header":
        content[len(content) // 3] ^= 1
    file.write_bytes(content)


KINDS = ["truncated", "empty", "flipped in a tensor", "flipped in the header"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_state_is_set_aside_and_the_one_before_taken(
    trunk: Trunk, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    trunk.save(Position(1, 0), TREE, final=True)
    trunk.save(Position(2, 0), TREE, final=True)
    damage(trunk.folder / "final-2.safetensors", kind)
    with caplog.at_level(logging.WARNING):
        found = trunk.load(last=5)
    assert found is not None
    assert found[0] == Position(1, 0)
    assert "final-2.safetensors is damaged" in caplog.text
    assert names(trunk) == ["final-1.safetensors", "final-2.damaged"]


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_flipped_bit_goes_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    file = tmp_path_factory.mktemp("flip") / "final-1.safetensors"
    checkpoint.write(file, TREE, "a" * 64)
    content = bytearray(file.read_bytes())
    where = data.draw(st.integers(0, len(content) * 8 - 1))
    content[where // 8] ^= 1 << where % 8
    file.write_bytes(content)
    try:
        after = read(file, "a" * 64)
    except (Damaged, Newer):
        return
    assert same(after, TREE)  # a bit that means nothing, such as white space in the header


def test_a_state_of_another_recipe_is_not_used(trunk: Trunk, tmp_path: Path) -> None:
    checkpoint.write(trunk.folder / "final-2.safetensors", TREE, "b" * 64)
    assert trunk.load(last=2) is None
    assert names(trunk) == ["final-2.damaged"]


def test_a_state_of_a_newer_format_is_left_alone(
    trunk: Trunk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT", 3)
    trunk.save(Position(2, 0), TREE, final=True)
    monkeypatch.undo()
    assert trunk.load(last=2) is None
    assert names(trunk) == ["final-2.safetensors"]
    assert "has format 3, this program writes 2" in caplog.text


def test_of_format_1_what_has_more_than_two_axes_is_set_aside(
    trunk: Trunk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It did not say how they lie in memory; of a matrix nobody has to ask."""
    monkeypatch.setattr(checkpoint, "FORMAT", 1)
    trunk.save(Position(1, 0), TREE, final=True)
    trunk.save(Position(2, 0), TREE | {"kernels": torch.ones(2, 3, 4, 4)}, final=True)
    monkeypatch.undo()
    found = trunk.load(last=2)
    assert found is not None and found[0] == Position(1, 0)
    assert names(trunk) == ["final-1.safetensors", "final-2.damaged"]
    assert "it does not say how its tensors lie in memory" in caplog.text
    assert unpack({"tensor": "0"}, {"0": TREE["weights"]}) is TREE["weights"]  # type: ignore[dict-item]


def test_a_pickle_is_refused_unread(trunk: Trunk) -> None:
    torch.save(TREE, trunk.folder / "final-2.safetensors")
    assert trunk.load(last=2) is None


def test_a_header_that_claims_a_huge_size_is_refused(trunk: Trunk) -> None:
    (trunk.folder / "final-2.safetensors").write_bytes(struct.pack("<Q", 2**62) + b"{}")
    assert trunk.load(last=2) is None


def test_a_failed_write_leaves_what_was_there(
    trunk: Trunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    trunk.save(Position(1, 0), TREE, final=True)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: .*final-1"):
        trunk.save(Position(1, 0), {}, final=True)
    found = trunk.load(last=1)
    assert found is not None
    assert same(found[1], TREE)
    assert names(trunk) == ["final-1.safetensors"]
