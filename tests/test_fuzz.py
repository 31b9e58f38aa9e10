"""Whatever a record holds in any of its fields, it is read, refused in one line, or left out."""

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from recorded import opened, planted, product, seen_anew, sweep

from factorial.comparison import table
from factorial.record import reading, selection, untrusted
from factorial.record.store import Store
from factorial.reuse import evidence
from factorial.settings.messages import BadInput

pytestmark = pytest.mark.slow

MANY = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
WORDS = st.sampled_from(
    ["", "1e999", "-1e999", "NaN", "nan", "inf", "null", "true", "[]", "{}", "0", "-1", "1" * 400,
     "[" * 4000, '{"train": 1e999}', "mlp", "digits", "../..", "a b", ", ", "${seed}"]
)  # fmt: skip
FIELD = TEXTS | WORDS
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)
NAMES = ["config.yaml", "recipe.json", "provenance.json", "metrics.json", "overrides.txt"]
COLUMNS = [
    ("params", "value"),
    ("tags", "value"),
    ("datasets", "dataset_profile"),
    ("runs", "name"),
    ("runs", "status"),
]
KEYS = [("params", "key"), ("tags", "key")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    sweep(opened(folder), planted(product(model=["linear", "mlp"], seed=[0, 1])))
    for artifacts in folder.glob("runs/*/artifacts"):
        (artifacts / "config.yaml").write_text("model: {_target_: torch.nn.Linear}\n")
        (artifacts / "recipe.json").write_text('{"settings": {}}')
        (artifacts / "provenance.json").write_text('{"threads": 2}')
        (artifacts / "overrides.txt").write_text("model=mlp\n")
    return folder


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Store:
    shutil.copytree(made, tmp_path / "copy")
    return seen_anew(tmp_path / "copy")


@contextlib.contextmanager
def changed(store: Store, statement: str, *values: Any) -> Any:
    """With one change to the database, which is undone."""
    database = store.outputs / "mlflow.db"
    before = database.read_bytes()
    with (
        contextlib.closing(sqlite3.connect(database)) as connection,
        contextlib.suppress(sqlite3.IntegrityError),
    ):
        connection.execute(statement, values)
        connection.commit()
    yield
    store.client._tracking_client.store.engine.dispose()
    database.write_bytes(before)


def read(store: Store) -> None:
    """All that commands read; each may refuse, in one line, and none may break."""
    in_one_line(lambda: reading.search(store, ""))
    for choose in (
        lambda: selection.of_sweep(store, None),
        lambda: selection.of_experiment(store, "planted"),
    ):
        in_one_line(lambda choose=choose: table.load(store, choose(), "validation/accuracy"))
    in_one_line(lambda: evidence.read(store, evidence.choose(store, "last")))
    for run in reading.search(store, ""):
        in_one_line(lambda run=run: (run.is_abandoned, run.is_result))
        in_one_line(lambda run=run: reading.rows(store, run))
        in_one_line(lambda run=run: evidence.read(store, run))


def in_one_line(ask: Callable[[], object]) -> None:
    try:
        ask()
    except (BadInput, OSError) as error:
        assert "\n" not in str(error)  # noqa: PT017


@pytest.mark.parametrize(("table_name", "column"), COLUMNS + KEYS)
@MANY
@given(value=FIELD, number=st.integers(0, 4))
def test_any_text_in_a_field_of_the_database(
    table_name: str, column: str, copy: Store, value: str, number: int
) -> None:
    rowid = f"select rowid from {table_name} limit 1 offset ?"
    with changed(
        copy, f"update {table_name} set {column} = ? where rowid = ({rowid})", value, number
    ):
        read(copy)


@MANY
@given(
    value=st.floats(allow_nan=False),
    step=st.integers(-(2**63), 2**63 - 1),
    is_nan=st.booleans(),
    number=st.integers(0, 100),
)
@example(value=1.7976931348623157e308, step=2**63 - 1, is_nan=True, number=0)
def test_any_number_in_a_metric(
    copy: Store, value: float, step: int, is_nan: bool, number: int
) -> None:
    for name in ("metrics", "latest_metrics"):
        rowid = f"select rowid from {name} limit 1 offset ?"
        statement = f"update {name} set value = ?, step = ?, is_nan = ? where rowid = ({rowid})"
        with changed(copy, statement, value, step, is_nan, number):
            read(copy)


@pytest.mark.parametrize("name", NAMES)
@MANY
@given(text=FIELD | JSON.map(json.dumps) | JSON.map(lambda rows: json.dumps({"epochs": rows})))
@example(text='{"epochs": [{"epoch": 1e999, "weights": 0}]}')
@example(text='{"epochs": [{"epoch": 1, "train/loss": 1e999}]}')
def test_any_text_in_a_file(name: str, copy: Store, text: str) -> None:
    for artifacts in copy.outputs.glob("runs/*/artifacts"):
        (artifacts / name).write_text(text)
    read(copy)


@settings(max_examples=50, deadline=None)
@given(text=TEXTS)
def test_any_text_as_yaml(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.mktemp("yaml") / "config.yaml"
    file.write_text(text + "\n")
    in_one_line(lambda: untrusted.read_yaml(file, "config.yaml"))


@MANY
@given(words=FIELD)
@example(words="params.model = 'mlp' and")
@example(words="metrics.`test/accuracy` > 1e999")
def test_any_filter(copy: Store, words: str) -> None:
    in_one_line(lambda: selection.of_filter(copy, words))
