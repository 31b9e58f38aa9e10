"""What every test has. Heavy imports are the tests' own: pytest-xdist loads this file in a process
more, which runs none."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[1]
# Of a small network one thread is as fast as two, and leaves the other to another test
os.environ["OMP_NUM_THREADS"] = "1"
# Files of a minute or so: they come first, or at the end one process is left alone with one of them
LONG = ["test_parallel_launcher", "test_wrong_input", "test_server_lost", "test_resume",
        "test_sweep_again", "test_motion_page", "test_claims", "test_replay"]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem not in LONG)
    if "FACTORIAL_DATA" not in os.environ:
        reason = "MNIST is not here: FACTORIAL_DATA does not name its folder"
        for item in items:
            if item.get_closest_marker("mnist"):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def hydra() -> Iterator[None]:
    from hydra import initialize_config_dir

    from factorial.settings.places import CONF

    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Chromium. Where CI has none that is an error, elsewhere these tests are skipped."""
    from browsing import chromium
    from playwright.sync_api import Error

    try:
        with chromium() as opened:
            yield opened
    except Error:
        if "CI" in os.environ:
            raise
        pytest.skip("no Chromium is here: `playwright install chromium`")


@pytest.fixture(autouse=True)
def plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)


@pytest.fixture(autouse=True)
def unloaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A module that a test wrote and loaded does not answer for the next test's of that name."""
    known, written = set(sys.modules), tmp_path_factory.getbasetemp()
    yield
    for name in set(sys.modules) - known:
        module = sys.modules[name]
        places = getattr(module, "__path__", None) or [getattr(module, "__file__", None) or ""]
        if any(Path(place).is_relative_to(written) for place in places):
            del sys.modules[name]


@pytest.fixture
def same_process() -> Iterator[None]:
    """What a run sets for its whole process is as before when a test that ran one ends."""
    import torch

    threads, debug = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    filling = torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.utils.deterministic.fill_uninitialized_memory = filling
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode(debug)


@pytest.fixture
def outputs(tmp_path: Path, same_process: None) -> Path:
    """A folder with a record that holds nothing yet, for runs in this process."""
    from recorded import empty

    folder = tmp_path / "outputs"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(empty())
    return folder


List = Callable[..., list[list[str]]]


@pytest.fixture
def listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> List:
    """The rows of `factorial list` in a folder's record, each by its cells, without the heads."""

    from factorial.commands.list import main as list_record
    from factorial.record.store import connect

    def rows(*words: str) -> list[list[str]]:
        connect.cache_clear()  # as a command begins
        list_record([*words, f"outputs={tmp_path}"])
        lines = [re.split(" {3,}", line.strip()) for line in capsys.readouterr().out.splitlines()]
        lines = [line for line in lines if line != [""] and "─" not in line[0]]
        return [line for line in lines if line[0] not in ("sweep", "run")]

    return rows
