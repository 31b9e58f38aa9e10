"""What `factorial list` finds: by a word, by a filter, in an experiment."""

from pathlib import Path

import pytest
from conftest import List
from recorded import opened, planted, product, single, sweep
from running import client

from factorial.record.store import open_store
from factorial.settings.messages import BadInput
from factorial.settings.schema import Tracking

LINEAR = {"model": "linear", "optimizer": "sgd", "epochs": 1}

WORDS = {
    "wide": ["named"],
    "find=WIDE NET": ["named"],
    "because": ["noted"],
    "why not": ["noted"],
    "table 3": ["tagged"],
    "find=paper=table": ["tagged"],
    "find=optimizer=nadam": ["other"],
    "NADAM": ["other"],
    "planted": ["named", "noted", "other", "tagged"],
    "a.b": ["tagged"],
}


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_found_in_all_that_a_user_has_said(
    word: str, tmp_path: Path, listed: List
) -> None:
    store, mlflow = opened(tmp_path), client(tmp_path)
    ids = {}
    for seed, what in enumerate(("named", "noted", "tagged", "other")):
        optimizer = "nadam" if what == "other" else "sgd"
        settings = {**LINEAR, "optimizer": optimizer, "seed": seed, "accuracy": 0.9}
        ids[what] = single(store, settings, {}).id
    mlflow.update_run(ids["named"], name="a wide net")
    mlflow.set_tag(ids["noted"], "mlflow.note.content", "Why not? Because!")
    mlflow.set_tag(ids["tagged"], "paper", "Table 3")
    mlflow.set_tag(ids["tagged"], "a.b", "x")
    whose = {run[:12]: what for what, run in ids.items()}
    assert sorted(whose[row[0]] for row in listed(word)) == WORDS[word]


def test_a_word_of_factorials_own_finds_nothing(tmp_path: Path, listed: List) -> None:
    run = single(opened(tmp_path), {**LINEAR, "accuracy": 0.9}, {"git.commit": "c0ffee"})
    recipe = client(tmp_path).get_run(run.id).data.tags["recipe"]
    for word in (recipe, "c0ffee", "owner"):
        with pytest.raises(BadInput, match=f"^find={word[:9]}.*: no run on record answers to it$"):
            listed(f"find={word}")


@pytest.mark.slow
def test_a_sweep_is_found_by_what_is_said_of_it_or_of_one_of_its_runs(
    tmp_path: Path, listed: List
) -> None:
    store = opened(tmp_path)
    one = sweep(store, planted(product(model=["linear", "mlp"], seed=[0])))
    two = sweep(store, planted(product(model=["linear"], optimizer=["nadam", "sgd"], seed=[0])))
    client(tmp_path).update_run(one.id, name="the first")
    ids = {
        name: client(tmp_path).get_run(run.id).data.tags["sweep"][:12]
        for name, run in (("one", one), ("two", two))
    }
    assert [row[0] for row in listed("find=THE FIRST")] == [ids["one"]]
    assert [row[0] for row in listed("find=nadam")] == [ids["two"]]
    assert {row[0] for row in listed("find=linear")} == set(ids.values())
    (row,) = listed("find=nadam")
    assert row[4:6] == ["2", "0"]  # of the whole sweep


@pytest.mark.parametrize(
    "written",
    [
        "metrics.validation/accuracy > 0.95",
        "metrics.validation/accuracy>0.95 and params.seed = '1'",
        "metrics.`validation/accuracy` > 0.95",
        "params.model = 'mlp'",
        "tags.my-tag = 'metrics.test/accuracy > 2'",
        "tags.my.tag = 'x'",
    ],
)
def test_a_filter_is_mlflows_with_slashes_as_they_are(
    written: str, tmp_path: Path, listed: List
) -> None:
    store = opened(tmp_path)
    single(store, {**LINEAR, "seed": 0, "accuracy": 0.9}, {})
    tags = {"my-tag": "metrics.test/accuracy > 2", "my.tag": "x"}
    good = single(store, {**LINEAR, "model": "mlp", "seed": 1, "accuracy": 0.97}, tags)
    assert [row[0] for row in listed(f"filter={written}")] == [good.id[:12]]


@pytest.mark.slow
def test_all_that_is_asked_for_holds_of_one_run(tmp_path: Path, listed: List) -> None:
    store = opened(tmp_path)
    for seed, name in enumerate(("first", "other")):
        run = single(store, {**LINEAR, "seed": seed, "accuracy": 0.9 + 0.05 * seed}, {})
        client(tmp_path).update_run(run.id, name=name)
    (row,) = listed("find=other", "filter=metrics.validation/accuracy > 0.92", "experiment=planted")
    assert row[1] == "other"
    with pytest.raises(BadInput, match=r"^find=first filter=.*: no run on record answers to it$"):
        listed("find=first", "filter=metrics.validation/accuracy > 0.92")


def test_an_experiment_is_one_alone(tmp_path: Path, listed: List) -> None:
    store = opened(tmp_path)
    single(store, {**LINEAR, "accuracy": 0.9}, {})
    other = open_store(Tracking("local", None, "other", None, None), str(tmp_path))
    run = single(other, {**LINEAR, "accuracy": 0.9}, {})
    assert [row[:3:2] for row in listed("experiment=other")] == [[run.id[:12], "other"]]
    assert len(listed()) == 2
    with pytest.raises(BadInput, match=r"^experiment=nope: allowed is one of Default, other, pla"):
        listed("experiment=nope")
