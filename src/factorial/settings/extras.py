"""Libraries that only those who ask for them have installed."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from factorial.settings.messages import BadInput


def needed(module: str, extra: str, asked: str) -> Any:
    """The library that what was `asked` needs. Raises BadInput that says how to install it."""
    if find_spec(module) is None:
        raise BadInput(
            f"{asked}: needs {module}, which is not installed: allowed after "
            f"`pip install --editable '.[{extra}]'`"
        )
    return import_module(module)
