"""A search on MLflow's page of its own run: its best trial, and how many ended how."""

import json
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from recorded import opened, seen_anew, single
from running import client

from factorial.comparison import search
from factorial.record import selection, writing

NOTE = "mlflow.note.content"
SEEDS = (0, 1)
# By trial: its rate, what it read after one and after three epochs (None: it never came there)
TRIALS = {0: (0.001, 0.5, None), 1: (0.1, 0.8, 0.91), 2: (0.01, 0.9, 0.95), 3: (9.0, None, None)}


def row(number: int, rate: float, first: float | None, last: float | None) -> dict[str, Any]:
    values = {"1": first, "3": last}
    return {
        "number": number,
        "state": "COMPLETE" if last else "PRUNED" if first else "FAIL",
        "params": {"optimizer.lr": rate},
        "values": {epochs: value for epochs, value in values.items() if value},
        "reason": "" if first else "the training loss is nan in epoch 1",
    }


def document(trials: dict[int, tuple[float, float | None, float | None]]) -> dict[str, Any]:
    space = {"low": 0.001, "high": 9.0, "log": True, "step": None}
    return {
        "space": {"optimizer.lr": json.dumps({"attributes": space})},
        "rungs": [1, 3], "seeds": SEEDS, "sampler": "random",
        "confirm": "python train.py -m optimizer.lr=0.01 seed=2,3,4,5,6",
        "trials": [row(number, *trial) for number, trial in trials.items()],
    }  # fmt: skip


def searched(folder: Path, trials: dict[int, Any], note: str = "") -> Any:
    """The run of such a search, reported, as MLflow has it. A run has 0.01 more, or less, than its
    trial, by its seed."""
    store = opened(folder)
    parent = writing.new(store, "search", {"command": "-m", "search": "optuna", "sweep": "5" * 64})
    parent.write("search.json", json.dumps(document(trials)))
    for number, (rate, *values) in trials.items():
        for epochs, value in zip((1, 3), values, strict=True):
            for seed in SEEDS if value else ():
                run = {"optimizer.lr": rate, "epochs": epochs, "seed": seed,
                       "accuracy": value + 0.01 - 0.02 * seed}  # fmt: skip
                tags = {"mlflow.parentRunId": parent.id, "trial": f"{number}, 7"}
                single(store, run, tags)
    failed = {"optimizer.lr": 9.0, "epochs": 1, "seed": 0, "failure": "it is nan"}
    single(store, failed, {"mlflow.parentRunId": parent.id, "trial": "3"})
    parent.end()
    if note:
        store.client.set_tag(parent.id, NOTE, note)
    reader = seen_anew(folder)
    search.publish(reader, selection.of_sweep(reader, None))
    return store.client.get_run(parent.id)


@pytest.mark.slow
def test_a_searchs_run_has_its_best_trials_accuracies_and_how_many_ended_how(
    tmp_path: Path,
) -> None:
    parent = searched(tmp_path, TRIALS)
    assert parent.data.metrics == {
        "winner/validation_accuracy": pytest.approx(fmean([0.96, 0.94])),
        "winner/test_accuracy": pytest.approx(fmean([0.957, 0.937])),
        "search/complete": 2,
        "search/pruned": 1,
        "search/failed": 1,
    }


@pytest.mark.slow
def test_a_searchs_description_is_its_note_and_a_leaderboard_that_claims_nothing(
    tmp_path: Path,
) -> None:
    description = searched(tmp_path, TRIALS, "why *not*").data.tags[NOTE]
    assert description.startswith("why *not*\n\n<!-- ")
    for words in (
        "**A search, not a controlled comparison**: 4 trials (2 complete, 1 pruned, 1 failed), "
        "2 seeds each; sampler random.",
        "Best of 4 trials: trial 2, validation accuracy 0.9500 (the mean of 2 seeds), with "
        "optimizer.lr=0.01.",
        "neither intervals nor an analysis of variance",
        "on fresh seeds: `python train.py -m optimizer.lr=0.01 seed=2,3,4,5,6`\n",  # wraps there
        "`factorial compare sweep=55555555`",
    ):
        assert words in description
    table = [line for line in description.splitlines() if line.startswith("|")]
    assert table == [
        "| trial | optimizer.lr | epochs | validation accuracy | state |",
        "| --- | --- | --- | --- | --- |",
        "| 2 | 0.01 | 3 | 0.9500 | complete |",
        "| 1 | 0.1 | 3 | 0.9100 | complete |",
        "| 0 | 0.001 | 1 | 0.5000 | pruned |",
    ]
    assert "rank" not in description and "tied" not in description


@pytest.mark.slow
def test_ten_trials_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    trials = {n: (0.001 * (n + 1), 0.5, 0.5 + 0.01 * n) for n in range(13)}
    parent = searched(tmp_path, trials)
    table = [line for line in parent.data.tags[NOTE].splitlines() if line.startswith("|")]
    assert len(table) == 2 + 10
    assert "\nand 3 more trials\n" in parent.data.tags[NOTE]


@pytest.mark.slow
def test_a_search_without_a_complete_trial_has_counts_and_no_winner(tmp_path: Path) -> None:
    parent = searched(tmp_path, {3: TRIALS[3]})
    ended = {"search/complete": 0, "search/pruned": 0, "search/failed": 1}
    assert parent.data.metrics == ended
    assert "No trial is complete." in parent.data.tags[NOTE]


@pytest.mark.slow
def test_what_is_said_of_a_search_again_is_there_once(tmp_path: Path) -> None:
    parent = searched(tmp_path, TRIALS)
    reader = seen_anew(tmp_path)
    search.publish(reader, selection.of_sweep(reader, None))
    again = client(tmp_path).get_run(parent.info.run_id)
    assert (again.data.metrics, again.data.tags) == (parent.data.metrics, parent.data.tags)
    for name in parent.data.metrics:
        assert len(client(tmp_path).get_metric_history(parent.info.run_id, name)) == 1
