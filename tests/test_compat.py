"""Private surfaces of libraries: each gives what the public way gives, and is done without."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from recorded import opened, product, single

from factorial import compat

ACCURACIES = (0.91, 0.92, 0.93)


@pytest.fixture
def client(tmp_path: Path) -> Any:
    """An MLflow client of three runs of two, three and four epochs."""
    store = opened(tmp_path)
    for accuracy, epochs in zip(ACCURACIES, (2, 3, 4), strict=True):
        (settings,) = product(model=["mlp"], epochs=[epochs])
        single(store, settings | {"accuracy": accuracy}, {})
    return store.client


class Public:
    """A client with nothing but what MLflow documents."""

    def __init__(self, client: Any) -> None:
        self.get_metric_history = client.get_metric_history


def runs(client: Any) -> list[str]:
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return [run.info.run_id for run in client.search_runs(ids)]


def test_values_that_are_no_numbers_are_given_as_such(client: Any) -> None:
    (run, *_) = runs(client)
    for step, value in enumerate((math.nan, math.inf, -math.inf, 0.0)):
        client.log_metric(run, "odd", value, step=step)
    public = compat.points_of_run(client, run, "odd")
    assert math.isnan(public[0][2])
    assert repr(compat.metric_points(client, [run], "odd", 100)) == repr(public)


def test_many_runs_at_once_give_what_the_public_way_gives(client: Any) -> None:
    public = compat.metric_points(Public(client), runs(client), "validation/accuracy", 100)
    client.get_metric_history = None  # asked for nothing run by run
    points = compat.metric_points(client, runs(client), "validation/accuracy", 100)
    assert sorted(points) == sorted(public)
    assert len(points) == 2 + 3 + 4
    assert {value for _, _, value in points} >= set(ACCURACIES)
    assert compat.metric_points(client, runs(client), "nothing", 100) == []


def test_the_public_way_is_oldest_first(client: Any) -> None:
    for run in runs(client):
        points = compat.points_of_run(client, run, "train/loss")
        assert [(name, step) for name, step, _ in points] == [
            (run, step) for step in range(1, len(points) + 1)
        ]
        assert [value for *_, value in points] == [2.0 / step for _, step, _ in points]


def test_an_answer_that_is_cut_off_is_as_long_as_it_may_be(client: Any) -> None:
    assert len(compat.metric_points(client, runs(client), "validation/accuracy", 5)) == 5


def outcome(program: str) -> tuple[int, str]:
    """The exit code and the output of a Python of its own."""
    done = subprocess.run([sys.executable, "-c", program], text=True, capture_output=True)
    assert done.stderr == ""
    return done.returncode, done.stdout


EXIT = "import atexit, os; from factorial import cli, compat; atexit.register(print, 'ran'); "


@pytest.mark.parametrize("gone", ["", "del atexit._run_exitfuncs; "])
def test_leaving_runs_what_was_to_run_at_the_end(gone: str) -> None:
    assert outcome(f"{EXIT}{gone}cli.leave(3)") == (3, "ran\n")


@pytest.mark.slow
def test_exit_functions_run_once_and_say_whether_they_did() -> None:
    said = "print(compat.run_exit_functions(), flush=True)"
    assert outcome(f"{EXIT}{said}; os._exit(0)") == (0, "ran\nTrue\n")
    assert outcome(f"{EXIT}{said}") == (0, "ran\nTrue\n")
    assert outcome(f"{EXIT}del atexit._run_exitfuncs; {said}") == (0, "False\nran\n")


# Trains a layer with every optimizer, saves and restores it halfway; prints each one's weights
TRAINING = """
import sys, torch
from factorial import compat
{before}
compat.spare_compiler()
for name in ("SGD Adagrad Adadelta Adam AdamW Adamax ASGD NAdam RAdam RMSprop Rprop "
             "Adafactor LBFGS").split():
    for settings in [{{}}] + [{{"differentiable": True}}] * (name == "Adam"):
        torch.manual_seed(0)
        model, seen = torch.nn.Linear(20, 10), []
        make = lambda: getattr(torch.optim, name)(model.parameters(), lr=0.01, **settings)
        optimizer = make()
        for step in range(4):
            if step == 2:
                state, optimizer = optimizer.state_dict(), make()
                optimizer.load_state_dict(state)
            optimizer.register_step_post_hook(lambda *given: seen.append(torch.is_grad_enabled()))
            schedule = torch.optim.lr_scheduler.ConstantLR(optimizer)
            def closure():
                optimizer.zero_grad()
                loss = model(torch.ones(3, 20)).square().mean()
                loss.backward()
                return loss
            closure()
            try:
                optimizer.step(closure if name == "LBFGS" else None)
            except RuntimeError as error:  # leaves of a graph can't be changed in it
                seen.append(str(error))
            schedule.step()
        print(name, seen, [value.sum().item().hex() for value in model.parameters()])
print("torch._dynamo" in sys.modules)
"""


@pytest.mark.slow
def test_optimizers_without_the_compiler_do_what_they_do_with_it() -> None:
    code, alone = outcome(TRAINING.format(before=""))
    assert code == 0
    *rows, loaded = alone.splitlines()
    assert len(rows) == 14
    assert loaded == "False"
    for before in ("import torch._dynamo", "compat.DECORATORS.clear()"):
        code, beside = outcome(TRAINING.format(before=before))
        assert code == 0
        assert beside.splitlines() == [*rows, "True"]


@pytest.mark.slow
def test_a_compiler_that_is_loaded_later_finds_torch_s_own_optimizers() -> None:
    code, said = outcome(
        """
import torch
from factorial import compat
compat.spare_compiler()
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.Adam(model.parameters())
model(torch.ones(2)).backward()
optimizer.step()
import torch._dynamo
kept_away = []
torch._dynamo.graph_break = lambda: kept_away.append("break")
torch._dynamo.disable = lambda function, *_, **__: kept_away.append(function.__name__) or function
optimizer.step()
optimizer.zero_grad()
print(*kept_away)
"""
    )
    assert (code, said) == (0, "break break zero_grad\n")


@pytest.mark.slow
def test_the_mode_that_imports_no_compiler_is_torch_s_deterministic_mode() -> None:
    """Set as environment.enter sets it; beside torch's own switch."""
    try:
        torch.use_deterministic_algorithms(True)
        theirs = torch.get_deterministic_debug_mode()
        torch.use_deterministic_algorithms(False)
        torch.set_deterministic_debug_mode("error")
        assert torch.get_deterministic_debug_mode() == theirs
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        with pytest.raises(RuntimeError, match="deterministic"):
            torch.zeros(3).put_(torch.tensor([0, 0]), torch.ones(2), accumulate=False)
    finally:
        torch.use_deterministic_algorithms(False)
