"""Imports point one way, and the loop knows neither the record nor the screen."""

import ast
import subprocess
import sys
from pathlib import Path

import factorial

PACKAGE = Path(factorial.__file__).parent
LAYERS = [
    {"config", "outcome", "predictions", "effects"},
    {"anova", "arguments", "images", "untrusted"},
    {"environment", "errors", "files", "instantiate", "models", "provenance", "recipe", "signals"},
    {"checkpoint", "combination", "data", "store"},
    {"history", "predictions"},
    {"console", "record", "selection", "trainer"},
    {"compare"},
    {"findings", "verdict"},
    {"wording"},
    {"figures", "tables"},
    {"report"},
    {"claims"},
    {"cli", "fetch", "prepare"},
    {"cleaning", "grid", "progress"},
    {"plan"},
    {"evidence", "run", "worktree"},
    {"replay", "sweep", "trained"},
    {"predict", "registry"},
]


def imported(module: str) -> set[str]:
    """The package's own modules that `module`, or a file of it, imports when imported itself."""
    file = PACKAGE / f"{module}.py"
    files = [file] if file.is_file() else (PACKAGE / module).glob("*.py")
    found = set()
    for node in [node for file in files for node in ast.parse(file.read_text()).body]:
        if isinstance(node, ast.ImportFrom) and node.module == "factorial":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("factorial."):
            found.add(str(node.module).split(".")[1])
    return found - {module}


def behind(module: str) -> set[str]:
    """What `module` imports, and what that imports."""
    direct = imported(module)
    return direct.union(*map(behind, direct))


def test_every_module_has_its_layer() -> None:
    modules = {file.stem for file in PACKAGE.glob("*.py")} - {"__init__"} | {"figures"}
    assert modules == set().union(*LAYERS)


def test_imports_point_down() -> None:
    height = {module: level for level, layer in enumerate(LAYERS) for module in layer}
    for module, level in height.items():
        for other in imported(module):
            assert height[other] < level, f"{module} imports {other}"


def test_only_the_record_and_its_store_know_mlflow() -> None:
    knowing = [file.stem for file in PACKAGE.glob("*.py") if "import mlflow" in file.read_text()
               or "from mlflow" in file.read_text()]  # fmt: skip
    assert sorted(knowing) == ["record", "registry", "store"]


def test_comparisons_are_made_from_the_record_alone() -> None:
    assert "trainer" not in behind("report")
    loaded = "import sys, factorial.report; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_only_figures_draw() -> None:
    drawing = {file for file in PACKAGE.rglob("*.py") if "import matplotlib" in file.read_text()
               or "from matplotlib" in file.read_text()}  # fmt: skip
    assert drawing - {PACKAGE / "report.py"} <= set((PACKAGE / "figures").glob("*.py"))
