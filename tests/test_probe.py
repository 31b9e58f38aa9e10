"""The plan's advice on precision: by what was measured, and only where it is worth a word."""

import itertools

import pytest
import torch
from composing import CPU
from running import sweep

from factorial.runs import probe


@pytest.mark.parametrize(
    ("float32", "bfloat16", "asked", "line"),
    [
        (308e9, 156e9, "bfloat16", "device.precision=bfloat16 is the slower one here: GFLOP/s of "
                                   "matrix products are float32 308, bfloat16 156"),
        (208e9, 886e9, "float32", "device.precision=float32 is the slower one here: GFLOP/s of "
                                  "matrix products are float32 208, bfloat16 886"),
        (308e9, 156e9, "float32", None),
        (208e9, 886e9, "bfloat16", None),
        (100e9, 119e9, "float32", None),
        (100e9, 120e9, "float32", "device.precision=float32 is the slower one here: GFLOP/s of "
                                  "matrix products are float32 100, bfloat16 120"),
    ],
)  # fmt: skip
def test_the_slower_of_two_precisions_is_named(
    float32: float, bfloat16: float, asked: str, line: str | None
) -> None:
    assert probe.slower({"float32": float32, "bfloat16": bfloat16}, asked) == line


def test_a_rate_is_the_products_done_by_the_time_they_took(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes 0.01 s on whenever it is read: two products of 512 x 512 in 0.03 s."""
    clock = (tick / 100 for tick in itertools.count())
    monkeypatch.setattr(probe.time, "perf_counter", clock.__next__)
    expected = 2 * (2 * 512**3) / 0.03
    assert probe.rate(CPU, torch.float32) == pytest.approx(expected)


@pytest.mark.slow
def test_the_plan_says_it_once_for_each_precision_that_is_asked_for(
    outputs: object, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = {torch.float32: 100e9, torch.bfloat16: 10e9}
    monkeypatch.setattr(probe, "rate", lambda _, kind: rates[kind])
    words = ["data=digits", "model=linear", "seed=0,1", "device.precision=float32,bfloat16"]
    sweep(outputs, *words, "plan=true")  # type: ignore[arg-type]
    output = capsys.readouterr().err
    assert output.count("is the slower one here") == 1
    assert "device.precision=bfloat16 is the slower one here: GFLOP/s" in output
