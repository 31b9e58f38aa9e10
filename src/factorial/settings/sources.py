"""The source files behind a class of the user's own: the module named, and all that it imports."""

import ast
import importlib.util
import inspect
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import hydra.utils

from factorial.settings.places import PACKAGE

# What others wrote: a version stands for the source of the libraries
OTHERS = [
    Path(sysconfig.get_path(name)).resolve()
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
]


def of_target(target: str) -> dict[str, Path]:
    """Each own module that a target's meaning depends on, by name, with its file.

    The module that is named, the one where the object is defined, and what these import in turn,
    in functions too. What is imported by a computed name is not seen.
    """
    defining = inspect.getmodule(hydra.utils.get_object(target))
    waiting = [*prefixes(target), *([defining.__name__] if defining else [])]
    sources: dict[str, Path] = {}
    while waiting:
        name = waiting.pop()
        file = file_of(name)
        if file is not None and name not in sources and is_own(file):
            sources[name] = file
            waiting += imported(file, name)
    return sources


def prefixes(name: str) -> list[str]:
    """`a.b.c` as a, a.b and a.b.c: a module is imported behind its packages."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def file_of(module: str) -> Path | None:
    loaded = sys.modules.get(module)
    if loaded is not None:
        origin = getattr(loaded, "__file__", None)
    else:
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, AttributeError, ValueError):  # no module, but a name within one
            return None
        origin = spec.origin if spec is not None and spec.has_location else None
    return Path(origin).resolve() if origin else None


def is_own(file: Path) -> bool:
    """Whether a file is neither the package's, nor a library's or Python's own."""
    return file.is_file() and not any(file.is_relative_to(place) for place in (PACKAGE, *OTHERS))


def imported(file: Path, module: str) -> Iterator[str]:
    """The names that a module's source imports: modules, their packages, and what may be one."""
    if file.suffix != ".py":
        return
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from prefixes(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            yield from prefixes(base)
            yield from (f"{base}.{alias.name}" for alias in node.names)
