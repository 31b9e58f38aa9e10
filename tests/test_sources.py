"""A class of the user's own counts by every module of theirs that stands behind it."""

import subprocess
import sys
import sysconfig
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from composing import configured
from conftest import ROOT

from factorial.settings import sources
from factorial.settings.recipe import Recipe, identify
from factorial.settings.sources import behind, locate

# An own package `mine` and modules beside it, by what each imports
MODULES = {
    "named.py": "import functools\nimport other\nimport beside\n"
    "M = functools.partial(other.Class, depth=2)\nAlias = other.Class\n",
    "other.py": "import torch\nimport deeper as d\n\n"
    "class Class(torch.nn.Linear):\n"
    "    def __init__(self, shape, classes, depth=1, rate=1.0):\n"
    "        super().__init__(64, classes)\n\n"
    "    def forward(self, images):\n"
    "        import late\n"
    "        return super().forward(images.flatten(1))\n",
    "deeper.py": "try:\n    import absent_altogether\nexcept ImportError:\n    pass\n",
    "late.py": "import broken\n",
    "beside.py": "import json, numpy\nfrom mine import one\nfrom mine.inner import leaf\n",
    "broken.py": "def f(:\n",
    "mine/__init__.py": "from . import two\nfrom .three import name\n",
    "mine/one.py": "",
    "mine/two.py": "",
    "mine/three.py": "name = 1\n",
    "mine/four.py": "raise SystemExit('never imported')\n",
    "mine/inner/__init__.py": "",
    "mine/inner/leaf.py": "from .. import five\nfrom ..six import x\nfrom . import sibling\n",
    "mine/inner/sibling.py": "",
    "mine/five.py": "",
    "mine/six/__init__.py": "x = 1\n",
    "mine/seven.py": "",
    "space/part.py": "",
    "unused.py": "",
}
# All that stand behind `named.M`, by hand
BEHIND = {
    "named": "named.py",
    "other": "other.py",
    "deeper": "deeper.py",
    "late": "late.py",
    "broken": "broken.py",
    "beside": "beside.py",
    "mine": "mine/__init__.py",
    "mine.one": "mine/one.py",
    "mine.two": "mine/two.py",
    "mine.three": "mine/three.py",
    "mine.inner": "mine/inner/__init__.py",
    "mine.inner.leaf": "mine/inner/leaf.py",
    "mine.inner.sibling": "mine/inner/sibling.py",
    "mine.five": "mine/five.py",
    "mine.six": "mine/six/__init__.py",
}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The modules, written; none is loaded."""
    for name, source in MODULES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def recipe(target: str, *words: str) -> Recipe:
    config = configured("model=linear", f"model._target_={target}", *words)
    return identify(config, "data", 0, "cpu")


@pytest.mark.parametrize("target", ["named.M", "named.Alias"])
def test_all_own_modules_behind_a_target_are_found(target: str, own: Path) -> None:
    files = {name: str(file.relative_to(own)) for name, file in behind(target).files.items()}
    assert files == BEHIND


def test_of_the_libraries_that_they_import_the_names_are(own: Path) -> None:
    assert behind("named.M").libraries == {"torch", "numpy"}
    versions = recipe("named.M").document["versions"]
    assert versions == {name: version(name) for name in ("numpy", "torch", "torchvision")}


@pytest.mark.parametrize("name", BEHIND)
def test_a_changed_byte_of_any_is_a_new_recipe(name: str, own: Path) -> None:
    file = own / BEHIND[name]
    before = recipe("named.M")
    file.write_bytes(file.read_bytes() + b"#")
    after = recipe("named.M")
    assert after.id != before.id and after.trunk != before.trunk
    differing = [n for n, digest in after.document["code"].items()
                 if digest != before.document["code"][n]]  # fmt: skip
    assert differing == [name]


@pytest.mark.parametrize("file", ["unused.py", "mine/four.py", "mine/seven.py", "space/part.py"])
def test_what_none_imports_changes_nothing(file: str, own: Path) -> None:
    before = recipe("named.M")
    (own / file).write_text("x = 2\n")
    assert recipe("named.M") == before


def test_what_else_is_loaded_and_in_which_order_changes_nothing(own: Path) -> None:
    before = recipe("named.M")
    for name in ("unused", "mine.seven", "space.part", "mine.one", "late"):
        if name != "late":  # whose import is a syntax error
            locate(name)
    assert recipe("named.M") == before
    for name in [name for name in sys.modules if name.partition(".")[0] in ("mine", "other")]:
        del sys.modules[name]
    locate("mine.inner.leaf")
    assert recipe("named.M") == before


@pytest.mark.slow
def test_another_process_has_the_same_sources(own: Path) -> None:
    lines = [f"import sys; sys.path[:0] = [{str(own)!r}, {str(ROOT / 'src')!r}]",
             "from factorial.settings.sources import behind",
             "print(sorted(behind('named.M').files))"]  # fmt: skip
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True)
    assert done.stdout == f"{sorted(BEHIND)}\n", done.stderr


def test_to_look_for_modules_executes_none(own: Path) -> None:
    """An import within a function may never happen, and costs what it costs when it does."""
    (own / "other.py").write_text(MODULES["other.py"].replace("late", "mine.four"))
    assert "mine.four" in behind("other.Class").files
    assert "mine.four" not in sys.modules and "mine" not in sys.modules


def test_a_package_without_init_is_looked_through(own: Path) -> None:
    (own / "deeper.py").write_text("import space.part\n")
    assert behind("other.Class").files["space.part"] == own / "space/part.py"


def test_a_module_within_a_package_counts_with_the_packages_above(own: Path) -> None:
    (own / "deeper.py").write_text("import mine.inner.sibling\n")
    assert {"mine", "mine.inner", "mine.inner.sibling"} <= set(behind("other.Class").files)


def test_a_name_within_a_module_is_no_module_of_that_name_elsewhere(own: Path) -> None:
    (own / "late.py").write_text("from deeper import unused\nfrom unused.unused import x\n")
    assert set(behind("other.Class").files) == {"other", "deeper", "late", "unused"}


def test_a_module_that_is_loaded_counts_though_its_folder_is_no_longer_looked_into(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = behind("named.M")
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != str(own)])
    assert "other" in behind("named.M").files
    assert behind("named.M").files.items() <= before.files.items()


def test_a_target_within_a_package_counts_with_the_packages_above(own: Path) -> None:
    (own / "mine/inner/leaf.py").write_text("import torch\n\nclass L(torch.nn.Linear):\n    pass\n")
    found = behind("mine.inner.leaf.L").files
    assert sorted(found) == ["mine", "mine.inner", "mine.inner.leaf", "mine.three", "mine.two"]


def test_an_extension_module_counts_by_its_bytes(own: Path) -> None:
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    (own / "deeper.py").write_text("def f():\n    import fast\n")
    (own / f"fast{suffix}").write_bytes(b"\x7fELF\0\0")
    before = recipe("other.Class")
    assert "fast" in before.document["code"]
    (own / f"fast{suffix}").write_bytes(b"\x7fELF\0\1")
    assert recipe("other.Class").id != before.id


def test_a_class_that_was_made_elsewhere_counts_with_where_it_was_made(own: Path) -> None:
    """By a name that is computed, which its source does not show."""
    (own / "computed.py").write_text("from importlib import import_module\n"
                                     "C = import_module('oth' + 'er').Class\n")  # fmt: skip
    assert {"computed", "other", "deeper", "late", "broken"} == set(behind("computed.C").files)


def test_a_source_that_python_cannot_read_counts_by_its_bytes(own: Path) -> None:
    for source in (b"\0", b"\xff\xfe", b"# coding: nonsense\n", b"import\n"):
        (own / "broken.py").write_bytes(source)
        assert "broken" in behind("other.Class").files


def test_an_import_from_above_the_top_is_none(own: Path) -> None:
    (own / "deeper.py").write_text("def f():\n    from ... import x\n    from .. import y\n")
    assert "deeper" in behind("other.Class").files


def test_a_relative_import_is_of_the_modules_own_package(own: Path) -> None:
    (own / "mine/inner/leaf.py").write_text("from ..seven import x\nclass C: pass\nx = 1\n")
    (own / "mine/seven.py").write_text("x = 1\n")
    assert "mine.seven" in behind("mine.inner.leaf.x").files


@pytest.mark.parametrize("installed", ["site-packages", "dist-packages"])
def test_an_installed_module_counts_by_version_where_it_has_one(
    installed: str, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = own / installed
    (folder / "library").mkdir(parents=True)
    (folder / "library" / "__init__.py").write_text("")
    for name in ("library/part", "copied"):
        (folder / f"{name}.py").write_text("import torch\n\nclass C(torch.nn.Linear):\n    pass\n")
    monkeypatch.setattr(sources, "PYTHON", [own])  # within which it lies
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sources, "distributions", lambda: {"library": ["a-library"], "torch": []})
    assert behind("library.part.C") == ({}, {"library"})
    assert behind("copied.C") == ({"copied": folder / "copied.py"}, {"torch"})


def test_an_editable_installation_counts_by_its_source(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a distribution, but does not lie among those that are installed."""
    monkeypatch.setattr(sources, "distributions", lambda: {"other": ["other"], "torch": ["torch"]})
    assert "other" in behind("other.Class").files


def test_python_and_this_package_are_not_the_users(own: Path) -> None:
    (own / "deeper.py").write_text(
        "import json.decoder, sys, sqlite3, _bisect\nfrom factorial.training import trainer\n"
        "def f():\n    import nowhere_at_all, xml.dom, __hello__, xxsubtype\n"
    )
    assert set(behind("other.Class").files) == {"other", "deeper", "late", "broken"}


LOCATED: dict[str, Callable[[], object]] = {
    "os.path.join": lambda: __import__("os").path.join,
    "torch.optim.adam.Adam": lambda: __import__("torch").optim.Adam,
    "xml.dom.minidom": lambda: __import__("xml.dom.minidom").dom.minidom,
}


@pytest.mark.parametrize("name", LOCATED)
def test_a_full_name_names_an_attribute_or_a_module(name: str) -> None:
    assert locate(name) is LOCATED[name]()


@pytest.mark.parametrize(
    "name", ["nowhere_at_all", "os.nothing", "os.path.join.nothing", "", "os."]
)
def test_a_name_of_nothing_raises(name: str) -> None:
    with pytest.raises((ImportError, ValueError)):
        locate(name)
