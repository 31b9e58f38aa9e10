"""The one place where a config becomes an object, and the list of what it may become."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import hydra.utils
from hydra.errors import InstantiationException
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from factorial.settings.messages import BadInput, unknown
from factorial.settings.rules import is_number
from factorial.settings.schema import targets
from factorial.settings.sources import locate

# Roots of full names that need no permission, and only for classes of the part's own kind
TRUSTED = ("torch", "torchvision", "factorial")
PLACES = (
    "torch.nn.",
    "torch.optim.",
    "torchvision.models.",
    "torchvision.ops.",
    "factorial.training.models.",
)
METRICS = "factorial.training.metrics"
SWITCH = (bool | None, "bool | None")  # how torch annotates one that it may decide by itself
KINDS: dict[str, type] = {"model": nn.Module, "optimizer": Optimizer, "schedule": LRScheduler}


def instantiate(key: str, node: dict[str, Any], allow: Sequence[str], *arguments: Any) -> Any:
    """What `node["_target_"]` names, called with `arguments` and the rest of `node`.

    `key` is where `node` stands in the config, `allow` the full names, or roots of names, that the
    user trusts beside torch, torchvision and this package. Raises BadInput for what is not allowed,
    before it is imported, for a class that is not there, a setting that the class does not take, or
    a value that it refuses.
    """
    made = called(key, node, allow, *arguments)
    if not isinstance(made, kind := KINDS[key]):
        raise BadInput(
            f"{key}._target_={node['_target_']}: allowed is what makes a {kind.__name__}, not a "
            f"{type(made).__name__}"
        )
    return made


def function(key: str, node: dict[str, Any], allow: Sequence[str]) -> Callable[..., Any]:
    """What `node["_target_"]` names, with the rest of `node`, still to be called with two
    arguments. Raises BadInput likewise."""
    made: Callable[..., Any] = called(key, node, allow, given=2, _partial_=True)
    return made


def called(
    key: str,
    node: dict[str, Any],
    allow: Sequence[str],
    *arguments: Any,
    given: int = 0,
    **hydras: bool,
) -> Any:
    """Of any kind; `given` is how many arguments are to come before the node's own."""
    for place, target in targets(node, key):
        vet(place, target, allow)
    settings = {name: value for name, value in node.items() if name != "_target_"}
    check(key, signature(key, node), settings, given=given + len(arguments))
    try:
        return hydra.utils.instantiate(node, *arguments, _convert_="all", **hydras)
    except InstantiationException as error:
        if isinstance(error.__cause__, BadInput):
            raise error.__cause__ from error
        refused = f"{key}={settings}: {node['_target_']} refuses it"
        raise BadInput(f"{refused} ({said(error.__cause__ or error)})") from error


def said(error: BaseException) -> str:
    """What a class has to say, in one line that is not too long."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def vet(key: str, target: Any, allow: Sequence[str]) -> None:
    """Raises BadInput for a name that may not be called.

    A root is not enough: `torch.os.system` begins with torch. So what needs no permission is a
    class, of the kind that its part of the config is made of, and defined where its name says.
    """
    name = str(target)
    if any(name == trusted or name.startswith(f"{trusted}.") for trusted in allow):
        return
    is_metric = key.startswith("metrics.")
    known = (
        f"the functions of {METRICS}"
        if is_metric
        else f"models, optimizers and schedules of {', '.join(TRUSTED)}"
    )
    refusal = BadInput(f"{key}={name}: allowed are {known}, and what allow=[{name}] names")
    if is_metric:
        if name.removeprefix(f"{METRICS}.") not in functions(METRICS):
            raise refusal
        return
    if not name.startswith(PLACES) or any(part.startswith("_") for part in name.split(".")):
        raise refusal
    kind = KINDS.get(key.partition(".")[0])
    if kind is None:  # what gives data may be anything, so it has to be named
        raise refusal
    named = resolve(key, name)
    if not (inspect.isclass(named) and issubclass(named, kind)):
        raise refusal
    if named.__module__.partition(".")[0] not in TRUSTED:
        raise refusal


def functions(module: str) -> set[str]:
    """The names of those that a module of this package defines."""
    defined = inspect.getmembers(locate(module), inspect.isfunction)
    return {name for name, one in defined if one.__module__ == module}


def resolve(key: str, target: str) -> Any:
    try:
        return locate(target)
    except (Exception, SystemExit) as error:
        what = "function" if key.startswith("metrics.") else "class"
        raise BadInput(
            f"{key}={target}: allowed is the full name of a {what} that can be imported "
            f"({said(error)})"
        ) from error


def untaken(key: str, node: dict[str, Any], allow: Sequence[str]) -> list[str]:
    """The settings of a part that its class does not take. Raises BadInput."""
    for place, target in targets(node, key):
        vet(place, target, allow)
    takes = signature(key, node).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes):
        return []
    known = {"_target_", *(parameter.name for parameter in takes)}
    return [name for name in node if name not in known]


def signature(key: str, node: dict[str, Any]) -> inspect.Signature:
    place, target = f"{key}._target_", str(node.get("_target_"))
    named = resolve(place, target)
    try:
        return inspect.signature(named)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{place}={target}: allowed is a class whose arguments are known") from error


def check(key: str, accepts: inspect.Signature, settings: dict[str, Any], given: int) -> None:
    """Names against the signature, values against its defaults. Raises BadInput."""
    after = list(accepts.parameters.values())[given:]
    if any(one.kind is one.VAR_KEYWORD for one in after):
        return
    parameters = {one.name: one for one in after if one.kind is not one.VAR_POSITIONAL}
    for name, value in settings.items():
        if name not in parameters:
            raise BadInput(unknown(f"{key}.{name}", list(parameters)))
        if (allowed := misfit(value, parameters[name])) is not None:
            raise BadInput(f"{key}.{name}={value}: allowed is {allowed}")
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in settings:
            raise BadInput(f"{key}.{name} is not set: {accepts} needs it")


def misfit(value: Any, parameter: inspect.Parameter) -> str | None:
    """What is allowed, where a value is of another kind than the argument's default is."""
    default = parameter.default
    if parameter.annotation in SWITCH:
        return None if isinstance(value, bool | None) else "true, false or null"
    if isinstance(default, bool) and not isinstance(value, bool):
        return "true or false"
    if is_number(default) and not is_number(value):
        return "a number"
    if isinstance(default, list | tuple) and not isinstance(value, list):
        return f"a list, such as {list(default)}"
    return None
