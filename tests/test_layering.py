"""Imports point one way, and the loop knows neither the record nor the screen."""

import ast
from pathlib import Path

import factorial

PACKAGE = Path(factorial.__file__).parent
LAYERS = [
    {"config", "outcome"},
    {"environment", "errors", "files", "instantiate", "models", "recipe", "signals"},
    {"checkpoint", "combination", "data", "store"},
    {"history", "predictions"},
    {"console", "record", "trainer"},
    {"cli", "prepare"},
    {"cleaning", "grid", "progress"},
    {"plan"},
    {"run"},
    {"sweep"},
]


def imported(module: str) -> set[str]:
    """The package's own modules that `module` imports when it is imported itself."""
    found = set()
    for node in ast.parse((PACKAGE / f"{module}.py").read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module == "factorial":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("factorial."):
            found.add(str(node.module).removeprefix("factorial."))
    return found


def test_every_module_has_its_layer() -> None:
    modules = {file.stem for file in PACKAGE.glob("*.py")} - {"__init__"}
    assert modules == set().union(*LAYERS)


def test_imports_point_down() -> None:
    height = {module: level for level, layer in enumerate(LAYERS) for module in layer}
    for module, level in height.items():
        for other in imported(module):
            assert height[other] < level, f"{module} imports {other}"


def test_only_the_record_and_its_store_know_mlflow() -> None:
    knowing = [file.stem for file in PACKAGE.glob("*.py") if "import mlflow" in file.read_text()
               or "from mlflow" in file.read_text()]  # fmt: skip
    assert sorted(knowing) == ["record", "store"]
