"""The one place where a config becomes an object."""

import inspect
from typing import Any

import hydra.utils
from hydra.errors import InstantiationException

from factorial.config import BadInput, is_number, unknown


def instantiate(key: str, node: dict[str, Any], *arguments: Any) -> Any:
    """What `node["_target_"]` names, called with `arguments` and the rest of `node`.

    `key` is where `node` stands in the config. Raises BadInput for a class that is not there, a
    setting that the class does not take, or a value that it refuses.
    """
    settings = {name: value for name, value in node.items() if name != "_target_"}
    check(key, signature(key, node), settings, given=len(arguments))
    try:
        return hydra.utils.instantiate(node, *arguments, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, BadInput):
            raise error.__cause__ from error
        raise BadInput(f"{key}={settings}: {error.__cause__ or error}") from error


def signature(key: str, node: dict[str, Any]) -> inspect.Signature:
    target = node.get("_target_")
    try:
        return inspect.signature(hydra.utils.get_object(str(target)))
    except (ImportError, ValueError, TypeError) as error:
        raise BadInput(
            f"{key}._target_={target}: allowed is the full name of a class that can be imported"
        ) from error


def check(key: str, accepts: inspect.Signature, settings: dict[str, Any], given: int) -> None:
    """Names against the signature, and a number wherever the default is one. Raises BadInput."""
    parameters = list(accepts.parameters.values())[given:]
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    takes = {parameter.name: parameter.default for parameter in parameters}
    for name, value in settings.items():
        if name not in takes:
            raise BadInput(unknown(f"{key}.{name}", list(takes)))
        if is_number(takes[name]) and not is_number(value):
            raise BadInput(f"{key}.{name}={value}: allowed is a number")
    for name, default in takes.items():
        if default is inspect.Parameter.empty and name not in settings:
            raise BadInput(f"{key}.{name} is not set: {accepts} needs it")
