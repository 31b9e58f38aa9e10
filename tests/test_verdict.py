"""What counts as equal, and what is blamed where two runs part."""

import math
from typing import Any

import pytest

from factorial.reuse import verdict
from factorial.reuse.verdict import CLOSE, DIFFERENT, IDENTICAL, Difference, Row

ROWS: list[Row] = [(1, "train/loss", 0.5), (1, "weights", "a" * 64), (0, "test/accuracy", 0.9)]

MOVED: list[Row] = [(1, "train/loss", 0.501), (1, "weights", "b" * 64), (0, "test/accuracy", 0.9)]

THREADS = Difference("environment", "threads", 2, 1)

CODE = Difference("code", "factorial.training.trainer", "a", "b")

CONFIG = Difference("config", "optimizer.lr", 0.1, 0.2)

RECORD = Difference("record", "test/loss, MLflow's latest", 0.1, 0.2)


def judged(
    rows: list[Row], differences: list[Difference], tolerance: float = 0.01, was: list[Row] = ROWS
) -> str:
    return verdict.judge({"metrics.json": was}, rows, differences, tolerance).kind


@pytest.mark.parametrize(
    ("rows", "differences", "tolerance", "expected"),
    [
        (ROWS, [], 0.01, IDENTICAL),
        (ROWS, [THREADS], 0.01, IDENTICAL),
        (ROWS, [CODE], 0.01, IDENTICAL),
        (ROWS, [RECORD], 0.01, DIFFERENT),  # it contradicts itself
        (ROWS, [CONFIG], 0.01, DIFFERENT),  # its recipe is of another config
        (MOVED, [THREADS], 0.01, CLOSE),
        (MOVED, [THREADS], 0.0001, DIFFERENT),
        (MOVED, [], 0.01, DIFFERENT),  # nothing excuses it
        (MOVED, [CODE], 0.01, DIFFERENT),
        (MOVED, [THREADS, CODE], 0.01, DIFFERENT),
        (MOVED, [THREADS, RECORD], 0.01, DIFFERENT),
        (ROWS[:2], [THREADS], 0.01, DIFFERENT),  # a metric is gone
        ([*ROWS, (1, "validation/loss", 0.4)], [THREADS], 0.01, DIFFERENT),  # one more
        ([*ROWS, (2, "train/loss", 0.4)], [THREADS], 0.01, DIFFERENT),  # an epoch more
    ],
)
def test_tolerance_excuses_another_environment_alone(
    rows: list[Row], differences: list[Difference], tolerance: float, expected: str
) -> None:
    assert judged(rows, differences, tolerance) == expected


def test_metrics_do_not_move_without_the_weights_nor_weights_without_metrics() -> None:
    assert judged([MOVED[0], *ROWS[1:]], [THREADS]) == DIFFERENT
    assert judged([ROWS[0], MOVED[1], ROWS[2]], [THREADS]) == DIFFERENT


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        (100.0, 100.9, CLOSE),  # relative above 1
        (100.0, 101.1, DIFFERENT),
        (-100.0, -100.9, CLOSE),
        (0.001, 0.0109, CLOSE),  # absolute below
        (0.001, 0.0112, DIFFERENT),
        (0.5, math.nan, DIFFERENT),
        (math.inf, 0.5, DIFFERENT),  # whatever is infinitely far away is not close
        (0.5, -math.inf, DIFFERENT),
        pytest.param(10**400, 0.5, DIFFERENT, id="an integer of JSON that no float holds"),
        (0.5, "0.5", DIFFERENT),
        (0.5, True, DIFFERENT),
    ],
)
def test_tolerance_is_relative_above_one(was: float, now: Any, expected: str) -> None:
    rows = [(1, "train/loss", now), *MOVED[1:]]
    assert judged(rows, [THREADS], was=[(1, "train/loss", was), *ROWS[1:]]) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (math.nan, math.nan, True),
        (math.nan, 0.0, False),
        (1, 1.0, True),
        (1, True, False),
        ("a", "a", True),
        ("1", 1, False),
        (0.1 + 0.2, 0.3, False),
    ],
)
def test_equal_is_to_the_bit_and_nan_is_nan(one: Any, other: Any, expected: bool) -> None:
    assert verdict.same(one, other) is expected


def test_the_first_parting_is_the_earliest_epoch_of_all_places() -> None:
    later: list[Row] = [(1, "train/loss", 0.5), (2, "train/loss", 0.4), (0, "test/accuracy", 0.8)]
    file: list[Row] = [(1, "train/loss", 0.5), (2, "train/loss", 0.3), (0, "test/accuracy", 0.9)]
    found = verdict.judge({"metrics.json": file, "MLflow": later}, file, [], 0.01)
    assert found.parting is not None
    assert (found.parting.epoch, found.parting.place) == (2, "MLflow")


def test_each_place_is_asked_for_what_it_keeps() -> None:
    rows = [*ROWS, (0, "predictions", "c" * 64)]
    places = {
        "MLflow": [ROWS[0], ROWS[2]],
        "metrics.json": ROWS,
        "predictions.safetensors": [rows[3]],
    }
    assert list(verdict.partings(places, rows)) == []
    held_out: Row = (0, "held-out predictions", "e" * 64)
    assert list(verdict.partings(places, [*rows, held_out])) == []  # an older record has none
    places["held-out.safetensors"] = [held_out]
    assert list(verdict.partings(places, [*rows, held_out])) == []
    assert [found.metric for found in verdict.partings(places, rows)] == ["held-out predictions"]
    places["predictions.safetensors"] = [(0, "predictions", "d" * 64)]
    (parting,) = verdict.partings(places, [*rows, held_out])
    assert (parting.metric, parting.place) == ("predictions", "predictions.safetensors")


@pytest.mark.parametrize(
    ("recorded", "here", "expected"),
    [
        ({"invented": 1}, {}, "record"),
        ({"env.OMP_NUM_THREADS": "1"}, {}, "environment"),
        ({"gpu": "H100"}, {}, "environment"),
        ({"python": "3.11"}, {"python": "3.13"}, "environment"),
        ({}, {"installed.numpy": "2"}, "environment"),
    ],
)
def test_a_fact_that_no_machine_has_excuses_nothing(
    recorded: dict[str, Any], here: dict[str, Any], expected: str
) -> None:
    (found,) = verdict.of_provenance(recorded, here)
    assert found.kind == expected


def test_the_commit_alone_is_no_difference() -> None:
    assert not list(verdict.of_provenance({"git.commit": "a"}, {"git.commit": "b"}))


def test_features_of_the_cpu_are_told_by_what_differs() -> None:
    (found,) = verdict.of_provenance({"cpu.features": "avx sse"}, {"cpu.features": "sse amx"})
    assert (found.recorded, found.here) == ("avx", "amx")


def test_each_part_of_a_recipe_is_of_its_kind() -> None:
    parts = ("config.optimizer.lr", "data", "validation", "code.trainer", "versions.torch")
    kinds = []
    for part in parts:
        old: dict[str, Any] = {}
        nested = old
        *folders, name = part.split(".")
        for folder in folders:
            nested = nested.setdefault(folder, {})
        nested[name] = "was"
        (difference,) = verdict.of_recipes(old, {})
        kinds.append(difference.kind)
    assert kinds == ["config", "data", "data", "code", "environment"]
