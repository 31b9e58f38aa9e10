"""The words of a command line, before anything else is asked about them."""

import pytest

from factorial.settings.overrides import count_epochs


@pytest.mark.parametrize(
    ("typed", "understood"),
    {
        "epochs=7": "epochs.count=7",
        "epochs=5,10,15": "epochs.count=5,10,15",
        "epochs=smoke,7,article": "epochs.count=1,7,15",
        "epochs=smoke": "epochs=smoke",
        "epochs=smoke,short": "epochs=smoke,short",
        "optimizer.lr=7": "optimizer.lr=7",
    }.items(),
)
def test_epochs_takes_numbers_and_options(typed: str, understood: str) -> None:
    assert count_epochs(typed) == understood
