"""What stands behind a class of the user's own: its modules, and the libraries that they import."""

import ast
import functools
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any, NamedTuple

from factorial.settings.places import PACKAGE

INSTALLED = {"site-packages", "dist-packages"}  # where pip and Debian install, within Python's own
PYTHON = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")]


class Sources(NamedTuple):
    """Own modules by name, with their files; top-level names of the libraries that they import."""

    files: dict[str, Path]
    libraries: set[str]


def behind(target: str) -> Sources:
    """All that a target's meaning depends on.

    The module that is named, the one where the object is defined, and what the user's own among
    them import in turn, in functions too. What is imported by a computed name is not seen.
    """
    named = locate(target)  # loads its modules
    waiting = [*packages(target), *packages(str(getattr(named, "__module__", "")))]
    sources = Sources({}, set())
    while waiting:
        name = waiting.pop()
        library, file = name.partition(".")[0], file_of(name)
        if file is None or name in sources.files or file.is_relative_to(PACKAGE):
            continue
        installed = not INSTALLED.isdisjoint(file.parts)
        if installed and library in distributions():
            sources.libraries.add(library)
        elif installed or not any(file.is_relative_to(place) for place in PYTHON):
            sources.files[name] = file
            waiting += imported(file, name)
    return sources


def locate(target: str) -> Any:
    """What a full name names, as Hydra finds it: a module on the way is imported.

    The folder of the command is searched as well, behind all others: what lies there hides no
    library. Raises whatever that import raises; hydra.utils.get_object would log it as well.
    """
    if (here := os.getcwd()) not in sys.path:
        sys.path.append(here)
    top, *names = target.split(".")
    place, named = top, import_module(top)
    for name in names:
        place = f"{place}.{name}"
        named = getattr(named, name) if hasattr(named, name) else import_module(place)
    return named


@functools.cache  # a sixth of a second
def distributions() -> Mapping[str, list[str]]:
    """What was installed, by the top-level names that it gives."""
    return packages_distributions()


def packages(name: str) -> list[str]:
    """`a.b.c` as a, a.b and a.b.c: a module is imported behind its packages."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)] if name else []


def file_of(module: str) -> Path | None:
    """Where a module was, or would be, loaded from; None for a namespace, and for no module."""
    if (loaded := sys.modules.get(module)) is not None:
        origin = getattr(loaded, "__file__", None)
    else:
        spec = spec_of(module)
        origin = spec.origin if spec is not None and spec.has_location else None
    return Path(origin).resolve() if origin else None


def spec_of(module: str) -> ModuleSpec | None:
    """Like importlib.util.find_spec, which would execute the packages above."""
    package = module.rpartition(".")[0]
    path = None
    if package:
        if (loaded := sys.modules.get(package)) is not None:
            path = getattr(loaded, "__path__", None)
        elif (above := spec_of(package)) is not None:
            path = above.submodule_search_locations
        if path is None:  # no package, so nothing lies within it
            return None
    specs = (finder.find_spec(module, path) for finder in sys.meta_path)
    return next((spec for spec in specs if spec is not None), None)


def imported(file: Path, module: str) -> Iterator[str]:
    """The names that a module's source imports: modules, their packages, and what may be one.

    None for what is no source, or none that Python could load.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from packages(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node, package)
            yield from packages(base)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def absolute(node: ast.ImportFrom, package: str) -> str:
    """The full name of what `from ... import` imports from, within a module of `package`."""
    if not node.level:
        return node.module or ""
    above = package.split(".")
    kept = above[: len(above) - node.level + 1]
    return ".".join([*kept, *([node.module] if node.module else [])])
