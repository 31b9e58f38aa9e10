"""What is said when something goes wrong: one line, of what can be shown."""

from typing import Any

import pytest
from composing import asked
from hydra.errors import HydraException
from hypothesis import given
from hypothesis import strategies as st

from factorial.results import Diverged
from factorial.settings.messages import (
    BadInput,
    is_stop,
    one_line,
    readable,
    reason,
    report,
    shown,
    unknown,
)


@pytest.mark.slow
@given(text=st.text())
def test_a_line_is_one_and_can_be_shown(text: str) -> None:
    for line in (one_line(text), shown(text)):
        assert line.isprintable()
        line.encode()


def test_what_is_long_is_cut() -> None:
    assert one_line(f"key={'x' * 10_000}: allowed") == f"key={'x' * 56}... allowed"
    assert len(one_line("x " * 10_000)) == 1500
    assert shown("x" * 60) == "x" * 60
    assert shown("x" * 10_000) == f"{'x' * 60}... (10,000 signs)"


def test_line_breaks_are_blanks_and_what_a_terminal_obeys_is_spelled() -> None:
    assert one_line("a\n  b\tc") == "a b c"
    assert one_line("\x1b[31m \udcff \x07") == r"\x1b[31m \udcff \x07"


@pytest.mark.parametrize(
    ("value", "typed"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (1, "1"),
        (0, "0"),
        (1.0, "1.0"),
        ("a", "a"),
        ([1, None, "b"], "[1, null, b]"),
        ({"a": {"b": True}}, "{a: {b: true}}"),
    ],
)
def test_values_are_shown_as_they_are_typed(value: Any, typed: str) -> None:
    assert shown(value) == typed


def test_a_slip_of_the_pen_is_shown_beside_what_was_meant() -> None:
    assert unknown("optimizer.lrr", ["lr", "eps"]) == (
        "optimizer.lrr is not a setting (did you mean lr?): allowed of optimizer are eps, lr"
    )
    assert unknown("zzz", ["b", "a"]) == "zzz is not a setting: allowed are a, b"
    assert unknown("a.b", []) == "a.b is not a setting: allowed of a are none"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (BadInput("a=1: allowed is\n 2"), "a=1: allowed is 2"),
        (Diverged("the loss is nan"), "the loss is nan"),
        (FileNotFoundError(2, "No such file", "/a\nb"), "No such file: /a b"),
        (OSError("no space"), "no space"),
        (ValueError("ours"), None),
        (KeyError("ours"), None),
        (TypeError("ours"), None),
    ],
)
def test_what_a_user_can_mend_is_a_line_and_our_bugs_are_none(
    error: Exception, line: str | None
) -> None:
    assert readable(error) == line


def test_a_bug_of_ours_is_reported_with_its_trace(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(KeyError("ours")) == 1
    assert capsys.readouterr().err == "KeyError: 'ours'\n\n"  # a trace, had it been raised
    assert report(BadInput("a=1: allowed is 2")) == 1
    assert capsys.readouterr().err == "error: a=1: allowed is 2\n"


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (BadInput("a\nb"), "a b"),
        (Diverged("nan"), "nan"),
        (OSError(28, "full"), "[Errno 28] full"),
        (ValueError("odd"), "ValueError: odd"),
        (ValueError(), "ValueError"),
        (Diverged(), "Diverged"),
        (KeyError("k"), "KeyError: 'k'"),
    ],
)
def test_a_failure_has_a_reason_in_one_line(error: Exception, why: str) -> None:
    assert reason(error) == why


def test_only_an_interrupt_and_an_exit_stop() -> None:
    assert is_stop(KeyboardInterrupt()) and is_stop(SystemExit(1))
    assert not is_stop(ValueError()) and not is_stop(BadInput("a"))


@pytest.mark.parametrize(
    ("word", "line"),
    {
        "optimizer.lrr=1": "optimizer.lrr is not a setting (did you mean lr?): allowed of "
        "optimizer are _target_, fused, lr (+optimizer.lrr=... adds an argument of its class)",
        "metrics.brier._target_=a.b": "metrics.brier is not a setting: allowed of metrics are none "
        "(+metrics.brier._target_=... adds a metric)",
        "optimizer.lr.x=1": "optimizer.lr.x is not a setting: allowed of optimizer.lr are none",
        "seed.x=1": "seed.x is not a setting: allowed of seed are none",
        "data.x=1": "data.x is not a setting: allowed of data are batch_size, classes, drop_last, "
        "examples, fallback, name, normalisation, root, seed, shape, test_unscaled, "
        "validation_share, white",
        "optimizer=adamm": "optimizer=adamm: allowed is one of adadelta, adagrad, adam, adamw, "
        "momentum, nadam, nesterov, radam, rmsprop, sgd",
        "seed=0,1": "seed=0,1: allowed is one value; several are a sweep, with -m",
        "seed": "seed: can't be read; allowed is GROUP=OPTION or KEY=VALUE",
    }.items(),
)
def test_what_hydra_refuses_is_said_in_our_words(word: str, line: str) -> None:
    with pytest.raises(HydraException) as caught:
        asked(word)
    assert readable(caught.value) == line
