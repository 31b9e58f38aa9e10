"""What can't train is refused in one line, before anything is recorded."""

from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from composing import CPU, configured
from torch import nn

from factorial.settings.messages import BadInput
from factorial.settings.schema import Config
from factorial.training import trainer
from factorial.training.rehearsal import rehearse


class Good(nn.Module):
    """A model of the user's own; the others are mistakes."""

    def __init__(self, shape: list[int], classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(64, classes)

    def forward(self, images: torch.Tensor) -> object:
        return self.layer(images.flatten(1))


class Unflattened(Good):
    def forward(self, images: torch.Tensor) -> object:
        return self.layer(images)


class Asserting(Good):
    def forward(self, images: torch.Tensor) -> object:
        assert images.ndim == 5, "five dimensions, please"
        return super().forward(images)


class Transposed(Good):
    def forward(self, images: torch.Tensor) -> object:
        return self.layer(images.flatten(1)).T


class NineClasses(Good):
    def forward(self, images: torch.Tensor) -> object:
        return self.layer(images.flatten(1))[:, :9]


class Pair(Good):
    def forward(self, images: torch.Tensor) -> object:
        return self.layer(images.flatten(1)), images


class Whole(Good):
    def forward(self, images: torch.Tensor) -> object:
        return self.layer(images.flatten(1)).argmax(1, keepdim=True).expand(-1, 10)


class Detached(Good):
    def forward(self, images: torch.Tensor) -> object:
        return self.layer(images.flatten(1)).detach()


class InPlace(Good):
    def forward(self, images: torch.Tensor) -> object:
        hidden = self.layer(images.flatten(1)).exp()
        return hidden + hidden.mul_(2)


class OtherInEvaluation(Good):
    def forward(self, images: torch.Tensor) -> object:
        logits = self.layer(images.flatten(1))
        return logits if self.training else (logits, images)


class DividesByZero(Good):
    def forward(self, images: torch.Tensor) -> object:
        return super().forward(images) if self.training else 1 / 0


class ThreeExamples(Good):
    def forward(self, images: torch.Tensor) -> object:
        return self.layer(torch.cat([images, images[:1]]).flatten(1))


MODEL = "model._target_=test_rehearsal."
CALLED = "called with float32 [2, 1, 8, 8] it"
MODELS = {
    "Unflattened": f"{CALLED} fails (RuntimeError: addmm: mat1 and mat2 shapes",
    "Asserting": f"{CALLED} fails (AssertionError: five dimensions, please",
    "Transposed": f"{CALLED} gives float32 [10, 2]; allowed are floats [2, 10]",
    "NineClasses": f"{CALLED} gives float32 [2, 9]; allowed are floats [2, 10]",
    "ThreeExamples": f"{CALLED} gives float32 [3, 10]; allowed are floats [2, 10]",
    "Pair": f"{CALLED} gives a tuple; allowed are floats [2, 10]",
    "Whole": f"{CALLED} gives int64 [2, 10]; allowed are floats [2, 10]",
}


def own(name: str, *words: str) -> Config:
    return configured("model=linear", f"{MODEL}{name}", "allow=[test_rehearsal]", *words)


def refused(config: Config) -> str:
    with pytest.raises(BadInput) as caught:
        rehearse(config, CPU)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_makes_no_logits_is_named_with_the_shapes(name: str) -> None:
    assert refused(own(name)).startswith(f"{MODEL}{name}: {MODELS[name]}")


STEPS = {
    "Detached": "does not require grad",
    "InPlace": "modified by an inplace operation",
    "DividesByZero": "(ZeroDivisionError: division by zero)",
    "OtherInEvaluation": "'tuple' object has no attribute 'float'",
}


@pytest.mark.parametrize("name", STEPS)
def test_so_is_one_that_cannot_be_trained_or_evaluated(name: str) -> None:
    line = refused(own(name))
    assert line.startswith(f"{MODEL}{name}, ") and ": one step and an evaluation fail (" in line
    assert STEPS[name] in line


OPTIM = "torch.optim"
CLASSES = {
    ("optimizer", f"{OPTIM}.SparseAdam"): "SparseAdam does not support dense gradients",
    ("optimizer", f"{OPTIM}.LBFGS"): "missing 1 required positional argument: 'closure'",
    ("schedule", f"{OPTIM}.lr_scheduler.ReduceLROnPlateau"): "argument: 'metrics'",
}


@pytest.mark.parametrize(("part", "target"), CLASSES)
def test_an_optimizer_or_schedule_that_is_called_otherwise_is_named(part: str, target: str) -> None:
    parts = {"optimizer": {"lr": 0.1}, "schedule": {}}
    config = replace(configured(), **{part: {"_target_": target, **parts[part]}})
    line = refused(config)
    assert f"{part}._target_={target}" in line
    assert CLASSES[part, target] in line


def test_a_schedule_that_the_optimizer_does_not_suit_is_refused() -> None:
    words = ("optimizer=adagrad", "schedule=one_cycle", "schedule.cycle_momentum=true")
    with pytest.raises(BadInput, match=r"schedule=\{.*OneCycleLR refuses it \(ValueError: .*mom"):
        rehearse(configured(*words), CPU)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
def test_what_can_train_passes_whatever_its_batches(schedule: str, precision: str) -> None:
    words = (f"schedule={schedule}", f"device.precision={precision}", "data.batch_size=1293")
    rehearse(own("Good", *words, "data.drop_last=true", "epochs.count=7"), CPU)
    rehearse(configured(*words), CPU)


class OnlyInBfloat16(Good):
    def forward(self, images: torch.Tensor) -> object:
        return images.flatten(1).bfloat16() @ self.layer.weight.T


def test_a_model_is_called_in_the_precision_of_the_run() -> None:
    rehearse(own("OnlyInBfloat16", "device.precision=bfloat16"), CPU)
    assert "called with float32 [2, 1, 8, 8] it fails (" in refused(own("OnlyInBfloat16"))


class Counting(Good):
    calls: ClassVar[list[bool]] = []

    def forward(self, images: torch.Tensor) -> object:
        self.calls.append(self.training)
        return super().forward(images)


def test_a_rehearsal_is_a_call_a_step_and_an_evaluation_however_long_the_run_is() -> None:
    rehearse(own("Counting", "epochs.count=50"), CPU)
    assert Counting.calls == [True, True, False]


def test_nor_does_it_matter_how_many_are_held_out() -> None:
    rehearse(configured("data.validation_share=0.9"), CPU)


def test_of_a_run_of_one_step_the_schedule_is_rehearsed_too() -> None:
    rehearse(configured("schedule=one_cycle", "data.batch_size=1293", "epochs.count=1"), CPU)


def test_to_diverge_is_a_result_and_not_refused() -> None:
    class Infinite(Good):
        def forward(self, images: torch.Tensor) -> object:
            return self.layer(images.flatten(1)) + float("inf")

    globals()["Infinite"] = Infinite
    rehearse(own("Infinite"), CPU)


def test_a_rehearsal_leaves_no_trace_in_the_run() -> None:
    config = configured("optimizer=adam")
    state = trainer.start(config, CPU)
    rehearse(config, CPU)
    again = trainer.start(config, CPU)
    for one, other in zip(state.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other) and one.grad is None


def test_images_of_the_datas_own_shape_are_rehearsed() -> None:
    config = configured("model=linear")
    wide = replace(config, data=replace(config.data, shape=[3, 4, 5], classes=7, white=255))
    rehearse(wide, CPU)
    wrong = replace(own("Good"), data=wide.data)
    assert "called with float32 [2, 3, 4, 5] it fails (" in refused(wrong)
