"""Training equals, to the bit, a plain loop that uses nothing of the package but the model."""

import hashlib
import json

import pytest
import torch
import torch.nn.functional as F
from composing import CPU, configured, digits
from torch import Tensor, nn

from factorial.training import trainer
from factorial.training.data import Data


class Net(nn.Sequential):
    """Dropout draws, batch norm has buffers, the bias of a layer has a gradient but no norm."""

    def __init__(self, shape: list[int], classes: int) -> None:
        layers = [nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU()]
        super().__init__(*layers, nn.Dropout(0.2), nn.Linear(32, classes))


def seed_of(*purpose: int | str) -> int:
    """As environment.derive_seed has it: 8 bytes of SHA-256 over JSON, of which 63 bits count."""
    head = hashlib.sha256(json.dumps(list(purpose)).encode()).digest()[:8]
    return int.from_bytes(head, "big") >> 1


def plain(splits: Data, bfloat16: bool) -> tuple[nn.Module, list[dict[str, object]]]:
    """Two epochs by 100 of the 1,293 examples, Adam at a rate that falls as a cosine, seed 3."""
    torch.manual_seed(seed_of(3, "init"))
    model = Net([8, 8], 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=26)
    images, labels = splits.train.images, splits.train.labels
    rows: list[dict[str, object]] = []
    for epoch in (1, 2):
        drawn = torch.Generator().manual_seed(seed_of(3, "order", epoch))
        order = torch.randperm(1293, generator=drawn)
        loss_sum, first_sum, last_sum = torch.zeros(()), torch.zeros(()), torch.zeros(())
        model.train()
        for batch in range(13):
            index = order[100 * batch : 100 * batch + 100]
            torch.manual_seed(seed_of(3, "forward", epoch, batch))
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                logits = model(images[index].float() / 16)
                loss = F.cross_entropy(logits, labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            loss_sum = loss_sum + loss.detach() * len(index)
            first_sum = first_sum + model[1].weight.grad.norm()
            last_sum = last_sum + model[5].weight.grad.norm()
        rows.append(
            {
                "epoch": epoch,
                "train_loss": loss_sum.item() / 1293,
                "validation": validated(model, splits, bfloat16),
                "gradients": (first_sum.item() / 13, last_sum.item() / 13),
                "weights": digest(model),
            }
        )
    return model, rows


def validated(
    model: nn.Module, splits: Data, bfloat16: bool
) -> tuple[float, float, dict[str, float]]:
    model.eval()
    labels = splits.validation.labels
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        logits: Tensor = model(splits.validation.images.float() / 16)
    logits = logits.float()
    right = (logits.argmax(1) == labels).sum().item()
    return F.cross_entropy(logits, labels).item(), right / 144, {}


def digest(model: nn.Module) -> str:
    """SHA-256 of "{}" and of each name, type, shape and bytes, weights and buffers alike."""
    state = model.state_dict()
    parts = [
        f"{name}{state[name].dtype}{list(state[name].shape)}".encode()
        + state[name].numpy().tobytes()
        for name in sorted(state)
    ]
    return hashlib.sha256(b"".join([b"{}", *parts])).hexdigest()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_equals_a_plain_loop_to_the_bit(precision: str) -> None:
    config = configured(
        "model=linear",
        "model._target_=test_reference.Net",
        "allow=[test_reference.Net]",
        "optimizer=adam",
        "optimizer.lr=0.01",
        "schedule=cosine",
        f"device.precision={precision}",
        "epochs.count=2",
        "seed=3",
    )
    splits = digits(config)
    state = trainer.start(config, CPU)
    rows = list(trainer.epochs(state, splits, config))
    model, wanted = plain(splits, bfloat16=precision == "bfloat16")
    reached, expected = state.model.state_dict(), model.state_dict()
    assert len(expected) == 9 and reached.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(reached[name], value), name
    seen = ("epoch", "train_loss", "validation", "gradients", "weights")
    assert [{key: getattr(row, key) for key in seen} for row in rows] == wanted


def test_bfloat16_gives_other_bits() -> None:
    """Else the test above would not see whether it is on."""
    splits = digits(configured())
    (_, exact), (_, rounded) = plain(splits, bfloat16=False), plain(splits, bfloat16=True)
    assert exact != rounded
