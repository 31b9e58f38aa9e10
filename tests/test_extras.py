"""Libraries that are installed for those who ask for them."""

import pytest

from factorial.settings.extras import needed
from factorial.settings.messages import BadInput


def test_a_library_that_is_there_is_given() -> None:
    import json

    assert needed("json", "none", "x=y") is json


def test_one_that_is_not_says_what_to_install() -> None:
    line = (
        r"^hydra/launcher=ray: needs not_there, which is not installed: allowed after "
        r"`pip install --editable '\.\[ray\]'`$"
    )
    with pytest.raises(BadInput, match=line):
        needed("not_there", "ray", "hydra/launcher=ray")
