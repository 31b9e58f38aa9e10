"""Rows of a learning curve, as documents and back."""

import json
import math

import pytest

from factorial.results import Epoch, Evaluation, Position

ROWS = [
    Epoch(1, 0.1 + 0.2, Evaluation(2.0, 0.5), 1e-9, (0.1, 2.0), "ab"),
    Epoch(2, math.inf, None, 0.0, (), ""),
]


@pytest.mark.parametrize("row", ROWS)
def test_a_row_comes_back_from_json_as_it_was(row: Epoch) -> None:
    again = Epoch.of(json.loads(json.dumps(row.document())))
    assert again == row
    assert type(again.gradients) is tuple
    assert row.validation is None or type(again.validation) is Evaluation


def test_a_document_names_what_it_holds() -> None:
    assert ROWS[0].document() == {
        "epoch": 1,
        "train_loss": 0.30000000000000004,
        "validation": {"loss": 2.0, "accuracy": 0.5},
        "seconds": 1e-9,
        "gradients": [0.1, 2.0],
        "weights": "ab",
    }


def test_positions_are_ordered_by_how_far_they_are() -> None:
    assert sorted([Position(1, 0), Position(0, 7), Position(0, 2)])[-1] == (1, 0)
