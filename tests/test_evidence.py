"""What runs misread, as a page has it: whole, in few bytes."""

import base64
from typing import Any

import numpy as np
import pytest
from explored import beside, readings
from recorded import compared, planted, product

from factorial.comparison import findings
from factorial.comparison.explore import evidence
from factorial.comparison.explore.document import Beside
from factorial.comparison.findings import Findings

GRID = product(
    model=["linear", "mlp"], optimizer=["sgd", "adam"], optimizer_lr=[0.01, 0.1], seed=[0, 1, 2]
)
Made = tuple[Findings, Beside]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    found = findings.find(compared(planted(GRID)))
    return found, beside(found, readings(found, tmp_path_factory.mktemp("runs"), 300))


def read_back(runs: int, images: int, order: list[int], steps: bytes) -> np.ndarray:
    """Which of the images each run misread, from steps, one by one."""
    wrong = np.zeros((runs, images), dtype=bool)
    place = -1
    for step in steps:
        place += step + (step < 255)
        if step < 255:
            wrong[place % runs, order[place // runs]] = True
    return wrong


@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.9, 1.0])
def test_what_runs_misread_is_read_back_from_steps(made: Made, share: float) -> None:
    """However far from each other: 2,000 images of 7 runs."""
    noise = np.random.default_rng(0)
    wrong = noise.uniform(size=(7, 2000)) < share
    labels, some = noise.integers(0, 9, 2000), made[1].readings.runs[0]
    runs = [some._replace(read=some.read._replace(labels=labels, predicted=labels + one))
            for one in wrong]  # fmt: skip
    order, steps = evidence.misread(runs)
    assert (read_back(7, 2000, order.tolist(), steps) == wrong).all()
    counts = wrong.sum(axis=0)[order]
    assert (np.diff(counts) <= 0).all() and len(order) == wrong.any(axis=0).sum()


def test_settings_beyond_the_room_are_left_out_and_counted(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = made[1].readings.runs
    ids = made[0].comparison.runs["id"].tolist()
    whole = evidence.document(made[1].readings, ids)
    assert whole is not None and whole["beyond"] == 0 and len(whole["runs"]) == len(runs) == 24
    half = bytes_of(whole) // 2
    monkeypatch.setattr(evidence, "ROOM", half)
    fewer = evidence.document(made[1].readings, ids)
    assert fewer is not None and bytes_of(fewer) <= half
    assert 6 <= len(fewer["runs"]) < 24 and fewer["beyond"] == 24 - len(fewer["runs"])
    assert len(fewer["runs"]) % 3 == 0  # whole settings, the best ones
    best = [run.run for run in runs][: len(fewer["runs"])]
    assert [ids[one["r"]] for one in fewer["runs"]] == best


def bytes_of(told: dict[str, Any]) -> int:
    return sum(len(base64.b64decode(one["misread"])) for one in told["sets"])
