"""What MLflow's page of a sweep's own run says at first sight: numbers, a leaderboard, tags."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from recorded import opened, planted, product, seen_anew, sweep
from running import bring, children, client, parents
from running import sweep as typed_sweep

from factorial.comparison import findings, glance, wording
from factorial.comparison.table import load
from factorial.record import labels, listing, selection, writing
from factorial.record.listing import Wanted
from factorial.record.store import Store

pytestmark = pytest.mark.slow

SQUARE = product(model=["linear", "mlp"], optimizer=["sgd", "adam"], seed=[0, 1, 2])
NOTE = "mlflow.note.content"
DIGITS = ["data=digits", "model=linear", "optimizer=sgd", "epochs=1"]


def show(store: Store, rank_by: str = "validation/accuracy") -> None:
    """What a report does at its end, without its figures."""
    chosen = selection.of_sweep(store, None)
    found = findings.find(load(store, chosen, rank_by))
    glance.show(store, chosen, found, wording.winner(found))


def shown(folder: Path, runs: Iterable[Mapping[str, Any]], note: str = "") -> Any:
    """The sweep's own run, as MLflow has it."""
    store = opened(folder)
    parent = sweep(store, runs)
    if note:
        store.client.set_tag(parent.id, NOTE, note)
    show(store)
    return store.client.get_run(parent.id)


def points(folder: Path, run: Any) -> dict[str, int]:
    """How many values MLflow has of each metric."""
    names = run.data.metrics
    return {n: len(client(folder).get_metric_history(run.info.run_id, n)) for n in names}


def board(description: str) -> list[str]:
    return [line for line in description.splitlines() if line.startswith("|")]


def test_the_winners_accuracies_are_the_means_of_its_runs(tmp_path: Path) -> None:
    runs = planted(SQUARE)
    parent = shown(tmp_path, runs)
    best = [r["accuracy"] for r in runs if (r["model"], r["optimizer"]) == ("mlp", "adam")]
    assert parent.data.metrics == {
        "winner/validation_accuracy": pytest.approx(fmean(best)),
        "winner/test_accuracy": pytest.approx(fmean(best) - 0.003),
        "winner/tied": 0,
    }


def test_settings_that_can_not_be_told_from_it_are_counted(tmp_path: Path) -> None:
    close = [{**run, "accuracy": 0.95 + 0.001 * run["seed"]} for run in SQUARE]
    far = [run for run in close if run["model"] == "mlp"]
    far += [{**run, "accuracy": 0.5} for run in close if run["model"] == "linear"]
    assert shown(tmp_path, far).data.metrics["winner/tied"] == 1


def test_whatever_ranks_the_numbers_are_accuracies_of_the_winner(tmp_path: Path) -> None:
    """By loss all settings are alike here, and the first one leads."""
    store = opened(tmp_path)
    runs = planted(SQUARE)
    parent = sweep(store, runs)
    show(store)
    show(store, "validation/loss")
    first = [
        run["accuracy"] for run in runs if (run["model"], run["optimizer"]) == ("linear", "sgd")
    ]
    data = store.client.get_run(parent.id).data
    assert data.metrics["winner/validation_accuracy"] == pytest.approx(fmean(first))
    assert points(tmp_path, store.client.get_run(parent.id))["winner/validation_accuracy"] == 2
    assert "validation loss" in data.tags[NOTE]


def test_what_is_said_again_is_there_once(tmp_path: Path) -> None:
    parent = shown(tmp_path, planted(SQUARE), "why")
    show(seen_anew(tmp_path))
    again = client(tmp_path).get_run(parent.info.run_id)
    assert set(points(tmp_path, again).values()) == {1}
    assert again.data.tags == parent.data.tags
    assert again.data.metrics == parent.data.metrics
    assert (again.info.status, again.info.end_time) == (parent.info.status, parent.info.end_time)


def test_a_number_that_has_changed_is_the_one_that_is_shown(outputs: Path) -> None:
    store = opened(outputs)
    run = writing.new(store, "one", {})
    for failures in (2, 2, 1, 1, 2):
        run.revise({"sweep/failures": failures})
    run.end()
    found = client(outputs).get_run(run.id)
    assert found.data.metrics["sweep/failures"] == 2
    assert points(outputs, found) == {"sweep/failures": 3}


def test_the_description_is_the_note_and_then_the_leaderboard(tmp_path: Path) -> None:
    note = "Wider, *half* the rate | `why`"
    parent = shown(tmp_path, planted(SQUARE), note)
    description = parent.data.tags[NOTE]
    assert description.startswith(f"{note}\n\n<!-- ")
    head, rule, *rows = board(description)
    assert head.startswith("| rank | tied | ")
    assert set(rule) == {"|", " ", "-"}
    assert "| mlp | adam |" in rows[0]
    assert len(rows) == 4
    slug = parent.data.tags["sweep"][:8]
    for words in (
        "Best by validation accuracy is mlp adam",
        f"`factorial compare sweep={slug}`",
        "`report/index.html` among the artifacts",
        "`=`: the data can't tell it from the best",
    ):
        assert words in description


def test_the_note_is_read_back_as_it_was_given(tmp_path: Path) -> None:
    note = "first\n\nsecond line"  # as somebody may write it on MLflow's page
    shown(tmp_path, planted(SQUARE), note)
    store = seen_anew(tmp_path)
    chosen = selection.of_sweep(store, None)
    assert chosen.note == note
    assert chosen.parent is not None
    assert labels.given(chosen.parent)["note"] == note
    found = listing.listed(store, Wanted("Each row is one setting", None, None))
    assert (found.sweeps, found.runs) == ([], [])
    assert len(listing.listed(store, Wanted("second line", None, None)).sweeps) == 1


def test_another_note_leaves_the_leaderboard_where_it_was(outputs: Path) -> None:
    words = [*DIGITS, "seed=0,1"]
    typed_sweep(outputs, *words, "note=one")
    store = seen_anew(outputs)
    show(store)
    before = parents(outputs)[0].data.tags[NOTE]
    typed_sweep(outputs, *words, "note=two")
    assert parents(outputs)[0].data.tags[NOTE] == "two" + before.removeprefix("one")
    long = "n" * 7990  # of 8000, so that there is no room for it
    typed_sweep(outputs, *words, f"note={long}")
    assert parents(outputs)[0].data.tags[NOTE] == long


def test_the_leaderboard_has_its_first_ten_settings(tmp_path: Path) -> None:
    rates = [round(0.001 * step, 3) for step in range(1, 14)]
    runs = planted(product(model=["mlp"], optimizer_lr=rates, seed=[0]))
    description = shown(tmp_path, runs).data.tags[NOTE]
    assert len(board(description)) == 2 + 10
    assert "\nand 3 more settings\n" in description


@pytest.mark.parametrize(("length", "rows"), [(6000, 10), (7000, None), (8000, 0)])
def test_a_note_is_whole_and_the_leaderboard_has_the_room_that_is_left(
    tmp_path: Path, length: int, rows: int | None
) -> None:
    rates = [round(0.001 * step, 3) for step in range(1, 14)]
    runs = planted(product(model=["mlp"], optimizer_lr=rates, seed=[0]))
    note = "x" * length
    description = shown(tmp_path, runs, note).data.tags[NOTE]
    assert description.startswith(note)
    assert len(description) <= 8000
    count = max(0, len(board(description)) - 2)
    assert count == rows if rows is not None else 0 < count < 10


@pytest.mark.parametrize("level", ["a|b", "[a](javascript:b)", "<script>alert(1)</script>", "`c`"])
def test_a_level_stays_within_its_cell(tmp_path: Path, level: str) -> None:
    runs = planted(product(model_hidden=["[8]", level], optimizer=["sgd", "adam"], seed=[0, 1]))
    description = shown(tmp_path, runs).data.tags[NOTE]
    rows = [re.sub(r"\\.", "", row) for row in board(description)]
    assert len({row.count("|") for row in rows}) == 1
    assert "<script" not in description
    assert "[a](" not in description


def test_failures_are_counted_and_said(tmp_path: Path) -> None:
    runs = planted(SQUARE)
    runs[0] = {key: value for key, value in runs[0].items() if key != "accuracy"}
    runs[0]["failure"] = "the training loss is nan"
    assert "1 run has no result to compare" in shown(tmp_path, runs).data.tags[NOTE]


def test_a_sweep_counts_its_runs_and_failures_without_a_report(outputs: Path) -> None:
    for _ in range(2):
        with pytest.raises(SystemExit):
            typed_sweep(outputs, *DIGITS, "optimizer.lr=0.1,0.2,-1")
        (parent,) = parents(outputs)
        assert parent.data.metrics == {"sweep/runs": 3, "sweep/failures": 1}
        assert set(points(outputs, parent).values()) == {1}
        assert NOTE not in parent.data.tags


def test_a_sweep_that_failed_whole_has_no_winner(outputs: Path) -> None:
    with pytest.raises(SystemExit):
        typed_sweep(outputs, *DIGITS, "optimizer.lr=-1,-2", "report=true")
    (parent,) = parents(outputs)
    assert parent.data.metrics == {"sweep/runs": 2, "sweep/failures": 2}


def own(run: Any) -> list[str]:
    """The tags that MLflow's page shows, in its order."""
    return [key for key in run.data.tags if not key.startswith("mlflow.")]


def test_what_a_person_reads_comes_before_digests(outputs: Path) -> None:
    bring(outputs, *DIGITS, "seed=0")
    typed_sweep(outputs, *DIGITS, "seed=0,1", "tags.paper=3")
    (parent,) = [run for run in parents(outputs) if "command" in run.data.tags]
    assert own(parent) == [
        "paper", "command", "combinations", "git.branch", "git.dirty",
        "git.commit", "sweep", "owner",
    ]  # fmt: skip
    digests = ["git.commit", "recipe", "trunk", "sweep", "owner"]
    copy, trained = sorted(children(outputs), key=lambda run: run.data.params["seed"])
    assert own(copy) == ["paper", "cached", "git.branch", "git.dirty", *digests]
    assert own(trained) == ["paper", "git.branch", "git.dirty", *digests]
    for run in (copy, trained):
        assert {len(run.data.tags[key]) for key in ("recipe", "trunk", "sweep")} == {20}
