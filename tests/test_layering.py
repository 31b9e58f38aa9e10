"""Imports point one way, and each library is known to the room whose business it is."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import factorial

PACKAGE = Path(factorial.__file__).parent
FILES = sorted(file for file in PACKAGE.rglob("*.py"))
# From the ground up: a room imports from those before it, and from itself
ROOMS = [
    "compat", "results", "console", "pages", "settings", "training", "record", "comparison",
    "motion", "runs", "reuse", "commands", "cli", "__main__",
]  # fmt: skip


def room(file: Path) -> str:
    """The folder that a module lies in, or the module itself on the top floor."""
    return Path(file.relative_to(PACKAGE).parts[0]).stem


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports, in functions too; of a package, what is taken from it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports by a relative name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(file: Path) -> set[str]:
    """The package's own modules that a file imports, as far as the names lead to one."""
    names = (name.split(".")[1:] for name in imports(file) if name.startswith("factorial."))
    found = set()
    for parts in names:
        while parts and not is_module(parts):
            parts = parts[:-1]
        found.add(".".join(parts))
    return found - {""}


def is_module(parts: list[str]) -> bool:
    place = PACKAGE.joinpath(*parts)
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


def importing(library: str) -> set[str]:
    """The rooms in which a library is imported."""
    return {
        room(file) for file in FILES if library in {name.split(".")[0] for name in imports(file)}
    }


def test_every_folder_is_a_room_with_a_place() -> None:
    folders = {entry.parent.name for entry in PACKAGE.glob("*/__init__.py")}
    modules = {file.stem for file in PACKAGE.glob("*.py")} - {"__init__"}
    assert folders | modules == set(ROOMS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_down(file: Path) -> None:
    if file == PACKAGE / "__init__.py":
        assert own(file) == set()
        return
    height = ROOMS.index(room(file))
    for other in own(file):
        assert ROOMS.index(other.split(".")[0]) <= height, f"{file} imports {other}"


@pytest.mark.slow
def test_no_import_leads_back() -> None:
    """Modules of one room are in an order too."""
    graph = {".".join(f.relative_to(PACKAGE).with_suffix("").parts): own(f) for f in FILES}
    remaining = {name: needs & graph.keys() for name, needs in graph.items()}
    while remaining:
        free = {name for name, needs in remaining.items() if not needs & remaining.keys()}
        assert free, f"in a circle: {sorted(remaining)}"
        remaining = {name: needs for name, needs in remaining.items() if name not in free}


@pytest.mark.slow
def test_only_the_record_knows_mlflow() -> None:
    """By import, and by what is asked of its client."""
    assert importing("mlflow") == {"record", "compat"}
    for file in FILES:
        if room(file) not in ("record", "compat"):
            for node in ast.walk(ast.parse(file.read_text())):
                asks = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute)
                assert not (asks and node.value.attr == "client"), f"{file}: {ast.unparse(node)}"


def test_training_knows_neither_the_record_nor_the_screen() -> None:
    for file in (PACKAGE / "training").glob("*.py"):
        assert {name.split(".")[0] for name in own(file)} <= {"results", "settings", "training"}


@pytest.mark.slow
def test_comparisons_are_made_from_the_record_alone() -> None:
    for file in (PACKAGE / "comparison").rglob("*.py"):
        assert "training" not in {name.split(".")[0] for name in own(file)}
    loaded = "import sys, factorial.commands.compare; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_only_figures_draw() -> None:
    drawing = {
        file for file in FILES if any(name.startswith("matplotlib") for name in imports(file))
    }
    figures = set((PACKAGE / "comparison" / "figures").glob("*.py"))
    figures.add(PACKAGE / "motion" / "pictures.py")
    assert drawing - {PACKAGE / "comparison" / "report.py"} <= figures


@pytest.mark.slow
def test_private_names_of_libraries_stand_in_compat_alone() -> None:
    for file in FILES:
        private = [name for name in imports(file) if "._" in name]
        assert not private or room(file) == "compat", f"{file} imports {private}"
