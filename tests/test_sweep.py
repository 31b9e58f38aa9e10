"""A sweep is one parent with a child for every combination, failures among them."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from composing import asked
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from processes import read, train
from running import bring, children, parents, recorded, sweep, table

from factorial.commands.train import refuse_sweeps
from factorial.comparison import findings
from factorial.comparison.table import load
from factorial.console import Tally
from factorial.record import selection
from factorial.record.store import connect, look_into
from factorial.results import Outcome
from factorial.runs import run
from factorial.runs.grid import combinations
from factorial.settings.messages import BadInput
from factorial.settings.schema import Tracking

pytestmark = pytest.mark.slow

LINEAR = ["data=digits", "model=linear", "optimizer=sgd", "epochs=1"]

GRID = ["data=digits", "optimizer=sgd,adam", "model=linear,mlp", "epochs=2,1"]


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_a_sweep_is_one_parent_with_a_child_for_each_combination(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep(outputs, *GRID, f"ledger={outputs / 'ledger.json'}")
    (parent,) = parents(outputs)
    assert parent.info.status == "FINISHED"
    assert parent.data.params == {
        "optimizer": "sgd, adam", "model": "linear, mlp", "epochs": "2, 1",
    }  # fmt: skip
    runs = children(outputs)
    assert {run.data.tags["mlflow.parentRunId"] for run in runs} == {parent.info.run_id}
    seen = {tuple(run.data.params[key] for key in ("model", "optimizer", "epochs")) for run in runs}
    assert seen == set(itertools.product(["linear", "mlp"], ["sgd", "adam"], ["1", "2"]))
    assert len(runs) == 8
    output = said(capsys)
    cells = [
        [run.data.params[key] for key in ("optimizer", "model", "epochs")]
        + [f"{run.data.metrics[f'{split}/accuracy']:.4f}" for split in ("validation", "test")]
        + ["FINISHED"]
        for run in runs
    ]
    assert sorted(table(output)) == sorted(cells)
    assert "8 combinations, 0 failed" in output
    ledger = json.loads(read(outputs / "ledger.json"))
    assert ledger["sweep"] == parent.data.tags["sweep"]
    rows = [[f"{one['validation']:.4f}", f"{one['test']:.4f}"] for one in ledger["runs"]]
    assert rows == [row[3:5] for row in table(output)]
    sweep(outputs / "untracked", *GRID, "tracking=off")
    assert table(said(capsys)) == table(output)


def test_a_sweep_issued_twice_is_one_sweep_in_whichever_order_of_its_factors(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep(outputs, *LINEAR, "seed=0,1", "optimizer.lr=0.1,0.01")
    first, before = said(capsys), {run.info.run_id for run in recorded(outputs)}
    sweep(outputs, *reversed(LINEAR), "optimizer.lr=0.1,1e-2", "seed=1,0")
    again = said(capsys)
    assert {run.info.run_id for run in recorded(outputs)} == before
    assert "4 new" in first and "4 cached" in again
    sweep(outputs, *LINEAR, "seed=0,1", "optimizer.lr=0.1,0.01", "fresh=true")
    assert "4 new" in said(capsys)
    assert (len(parents(outputs)), len(children(outputs))) == (2, 8)


def test_a_sweep_takes_over_what_another_command_trained(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bring(outputs, *LINEAR)
    (single,) = recorded(outputs)
    sweep(outputs, *LINEAR, "seed=0,1")
    assert "1 cached, 1 new" in said(capsys)
    (copy,) = (run for run in children(outputs) if "cached" in run.data.tags)
    assert copy.data.tags["cached"] == single.info.run_id
    assert copy.data.metrics == single.data.metrics
    assert copy.data.params == single.data.params


def test_combinations_that_say_the_same_have_one_child(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep(outputs, *LINEAR, "+optimizer.weight_decay=0,0.0,0.5")
    captured = capsys.readouterr()
    assert "1 of 3 combinations say what others say" in captured.err
    assert "2 combinations, 0 failed" in captured.out
    assert len(children(outputs)) == 2
    (parent,) = parents(outputs)
    assert parent.data.tags["combinations"] == "2"


def test_classes_that_were_typed_stand_on_the_leaderboard(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (outputs / "my_opt.py").write_text(
        "import torch\nclass SignSGD(torch.optim.SGD):\n"
        "    def __init__(self, params, lr):\n        super().__init__(params, lr=lr)\n"
    )
    monkeypatch.syspath_prepend(outputs)
    classes = "optimizer._target_=my_opt.SignSGD,torch.optim.Adam"
    sweep(outputs, "data=digits", "model=linear", "epochs=1", classes, "~optimizer.fused")
    params = [run.data.params for run in children(outputs)]
    assert [(one["optimizer"], one["optimizer._target_"]) for one in params] == [
        ("SignSGD", "my_opt.SignSGD"),
        ("Adam", "torch.optim.Adam"),
    ]
    connect.cache_clear()
    store = look_into(Tracking("local", None, "", None, None), str(outputs))
    comparison = load(store, selection.of_sweep(store, None), "validation/accuracy")
    found = findings.find(comparison)
    assert len(comparison.runs) == len(found.board) == 2
    assert comparison.superseded == 0
    assert all(any(name in word for word in found.board["label"]) for name in ("SignSGD", "Adam"))


@pytest.mark.parametrize("folder", ["/dev/null/ledger.json", "/proc/ledger.json"])
def test_a_ledger_that_can_not_be_written_is_refused_before_anything_starts(
    folder: str, outputs: Path
) -> None:
    with pytest.raises(BadInput, match=f"ledger={folder}: allowed is a file"):
        sweep(outputs, *LINEAR, "seed=0,1", f"ledger={folder}")
    assert recorded(outputs) == []


SWEEPS = {
    "hydra/sweeper=basic plan=true -m": "hydra/sweeper=basic: allowed of Hydra's own settings",
    "experiment=article": "experiment=article: it is a sweep of seed, model, optimizer: add -m",
    "experiment=article,factors -m": "experiment=article,factors: allowed is one, for a preset is",
    "tracking.experiment=a,b -m": "tracking.experiment=a,b: allowed is one value, for it changes",
}


@pytest.mark.parametrize("words", SWEEPS)
def test_a_sweep_that_could_not_be_one_is_refused_in_one_line(words: str, tmp_path: Path) -> None:
    done = train(tmp_path, *words.split())
    assert done.returncode == 1
    assert re.fullmatch(r"error: [^\n]*\n+", done.stderr)
    assert SWEEPS[words] in done.stderr
    assert not list(tmp_path.iterdir())


def test_functions_that_give_images_are_levels(outputs: Path) -> None:
    """Of which what all combinations have in common names none."""
    targets = "data._target_=test_own_data.four,test_own_data.pair"
    sweep(outputs, "data=own", targets, "data.batch_size=8", "model=linear", "epochs=1")
    runs = children(outputs)
    assert sorted(run.data.params["data"] for run in runs) == ["four", "pair"]
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_a_preset_of_which_everything_is_given_one_value_is_one_run() -> None:
    preset = OmegaConf.create(
        {"params": {"seed": "0,1", "epochs": 2}, "systems": [["+optimizer.weight_decay=0.1"]]}
    )
    words = ["seed=0", "epochs.count=2", "+optimizer.weight_decay=0.1"]
    refuse_sweeps(asked(*words), preset)
    with pytest.raises(BadInput, match=r"it is a sweep of optimizer\.weight_decay: add -m"):
        refuse_sweeps(asked(*words[:2]), preset)


def test_a_glob_stands_for_its_options() -> None:
    loader = GlobalHydra.instance().config_loader()
    grid = combinations(["optimizer=glob(ada*)"], {}, [], loader)
    assert grid == [[f"optimizer={name}"] for name in ("adadelta", "adagrad", "adam", "adamw")]


def plan(output: str) -> list[str]:
    """The column `plan` of each row, with the seconds behind it."""
    states = r"(new|cached|resumes|continues|left|invalid)\b.*"
    return [" ".join(found[0].split()) for found in re.finditer(states, output)]


def test_a_plan_says_what_would_be_done_and_does_nothing(
    tmp_path: Path, outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*LINEAR[:-1], "optimizer.lr=0.1,0.01,-1", "epochs=2,4"]
    sweep(tmp_path / "nothing", *words, "plan=true")
    assert not (tmp_path / "nothing").exists()
    refused = "invalid: optimizer.lr=-1: allowed is a finite number above 0"
    assert plan(said(capsys)) == [
        "new ?", "continues the 2-epoch run ?", "new ?", "continues the 2-epoch run ?",
        refused, refused,
    ]  # fmt: skip
    one = bring(outputs, *LINEAR[:-1], "optimizer.lr=0.1", "epochs=2")
    capsys.readouterr()
    sweep(outputs, *words, "plan=true")
    output = said(capsys)
    rows = plan(output)
    assert rows[0] == f"cached (run {one.run_id[:8]}) 0.0"
    assert [row.rpartition(" ")[0] for row in rows[1:4]] == [
        "continues the 2-epoch run", "new", "continues the 2-epoch run",
    ]  # fmt: skip
    assert re.search(r"6 combinations, about \d+ s of training\n", output)
    assert len(recorded(outputs)) == 1


def test_a_plan_knows_what_a_sweep_left_behind(
    outputs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is resumed in its own run, and not continued in a new one."""
    words = [*LINEAR[:-1], "epochs=3", "seed=0,1"]
    with monkeypatch.context() as patched:
        patched.setattr(run, "finish", interrupt)
        with pytest.raises(KeyboardInterrupt):
            sweep(outputs, *words)
    capsys.readouterr()
    sweep(outputs, *words, "plan=true")
    assert [row.rpartition(" ")[0] for row in plan(said(capsys))] == [
        "resumes after epoch 3",
        "new",
    ]


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def test_a_tally_counts_what_ended_once_and_measures_what_was_trained(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 5.0, 10.0, 14.0, 30.0])
    monkeypatch.setattr("factorial.console.time.monotonic", lambda: next(clock))
    tally = Tally(4)
    for member, origin in (("a", "cached"), ("b", "new"), ("c", "resumed"), ("c", "resumed")):
        tally.show(member, Outcome("name", "FINISHED", origin=origin, test=0.5))  # type: ignore[arg-type]
    lines = said(capsys).splitlines()
    assert [line[:3] for line in lines] == ["1/4", "2/4", "3/4", "3/4"]
    assert [re.findall(r"about (\d+) s left", line) for line in lines] == [
        [],
        ["20"],
        ["7"],
        ["10"],
    ]
    assert str(tally) == "3 of 4"
