"""How many examples and batches a run has."""

from dataclasses import replace

import pytest
from composing import configured

from factorial.settings.messages import BadInput
from factorial.training import sizes

# examples, share held out, batch, drop_last: held out, trained on, batches an epoch; by hand
COUNTED = [
    (1437, 0.1, 100, False, 144, 1293, 13),
    (1437, 0.1, 100, True, 144, 1293, 12),
    (60_000, 0.0, 1000, True, 0, 60_000, 60),
    (60_000, 0.0, 1000, False, 0, 60_000, 60),
    (60_000, 0.1, 7, False, 6000, 54_000, 7715),
    (60_000, 0.1, 7, True, 6000, 54_000, 7714),
    (10, 0.26, 7, False, 3, 7, 1),
    (10, 0.24, 7, True, 2, 8, 1),
    (11, 0.0, 5, False, 0, 11, 3),
]


@pytest.mark.parametrize(
    ("examples", "share", "batch", "drop_last", "held_out", "trained_on", "batches"), COUNTED
)
def test_examples_and_batches_are_counted_as_by_hand(
    examples: int, share: float, batch: int, drop_last: bool, held_out: int, trained_on: int,
    batches: int,
) -> None:  # fmt: skip
    data = replace(
        configured().data, examples=examples, validation_share=share, batch_size=batch,
        drop_last=drop_last,
    )  # fmt: skip
    assert sizes.validation_examples(data) == held_out
    assert sizes.training_examples(data) == trained_on
    assert sizes.steps_per_epoch(data) == batches


def test_a_run_has_at_least_an_example_and_a_batch() -> None:
    configured("data.batch_size=1293", "data.drop_last=true")
    with pytest.raises(BadInput, match=r"data\.batch_size=1294: allowed is 1 to 1293"):
        configured("data.batch_size=1294")
    with pytest.raises(BadInput, match=r"validation_share=0\.9999: .* an example of 1437 to tr"):
        configured("data.validation_share=0.9999", "data.batch_size=1")


def test_steps_are_those_that_epochs_and_data_make() -> None:
    assert configured("epochs.count=3").steps == 39
    assert configured("epochs.count=3", "data.drop_last=true").steps == 36
    assert configured("epochs.count=3", "data.batch_size=1000", "data.seed=5").steps == 6
    for steps in (38, 40):
        line = f"steps={steps}: allowed is 39, which epochs and data make it"
        with pytest.raises(BadInput, match=line):
            configured("epochs.count=3", f"steps={steps}")
