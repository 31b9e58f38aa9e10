"""Searches: trials that can be told beforehand, run as members of one sweep, and kept."""

import itertools
import json
import shutil
import signal
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from conftest import ROOT
from processes import train
from running import bring, children, client, parents, recorded
from searched import LINEAR, RATE, document, killed, search, trials

from factorial.runs import space
from factorial.training.environment import derive_seed

pytestmark = pytest.mark.slow

optuna.logging.set_verbosity(optuna.logging.ERROR)
SPACE = [RATE, "data.batch_size=range(50,250,50)", "optimizer=sgd,adam"]
DISTRIBUTIONS = {
    "data.batch_size": optuna.distributions.IntDistribution(50, 200, step=50),
    "optimizer": optuna.distributions.CategoricalDistribution(["sgd", "adam"]),
    "optimizer.lr": optuna.distributions.FloatDistribution(0.001, 1, log=True),
}
SAMPLERS: dict[str, Any] = {
    "random": optuna.samplers.RandomSampler,
    "tpe": optuna.samplers.TPESampler,
    "cmaes": lambda seed: optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_trials_are_those_of_optuna_run_by_hand(sampler: str, outputs: Path) -> None:
    words = [word for word in LINEAR if not word.startswith("optimizer=")]
    search(outputs, *words, *SPACE, sampler=sampler, trials=12, sampler_seed=5)
    study = optuna.create_study(direction="maximize")
    for number, recorded_trial in enumerate(trials(outputs)):
        study.sampler = SAMPLERS[sampler](seed=derive_seed(5, "trial", number) % 2**32)
        asked = study.ask(DISTRIBUTIONS)
        assert recorded_trial["params"] == asked.params
        study.sampler = optuna.samplers.RandomSampler()
        study.tell(asked, recorded_trial["value"])
    assert len(study.trials) == 12
    sizes = [trial["params"]["data.batch_size"] for trial in trials(outputs)]
    assert all(type(size) is int for size in sizes)
    by_params = {run.data.params["data.batch_size"] for run in children(outputs)}
    assert by_params == {str(size) for size in sizes}


def test_a_grid_has_each_combination_once_and_no_more(outputs: Path) -> None:
    words = [word for word in LINEAR if not word.startswith("optimizer=")]
    grid = ["optimizer=sgd,adam", "optimizer.lr=0.1,0.01", "data.batch_size=range(100,301,100)"]
    search(outputs, *words, *grid, sampler="grid", trials=50, at_once=5)
    seen = [tuple(trial["params"].values()) for trial in trials(outputs)]
    expected = itertools.product((100, 200, 300), ("sgd", "adam"), ("0.1", "0.01"))
    assert sorted(seen) == sorted(expected)


def test_a_trial_to_which_a_parameter_does_not_apply_runs_without_it(outputs: Path) -> None:
    words = ["data=digits", "epochs=1", "report=false", "model=linear,mlp"]
    search(outputs, *words, "model.activation=relu,tanh", sampler="grid", trials=4)
    told = trials(outputs)
    assert {trial["state"] for trial in told} == {"COMPLETE"} and len(told) == 4
    linear = [trial["value"] for trial in told if trial["params"]["model"] == "linear"]
    assert len(linear) == 2 and linear[0] == linear[1]
    params = [run.data.params for run in children(outputs)]
    assert sorted(one.get("model.activation", "-") for one in params) == ["-", "relu", "tanh"]


def test_the_value_of_a_trial_is_the_mean_over_its_seeds(outputs: Path) -> None:
    search(outputs, *LINEAR, RATE, sampler="random", trials=3, seeds=[0, 1, 5], at_once=3)
    assert len(children(outputs)) == 9
    for trial in trials(outputs):
        accuracies = {
            run.data.params["seed"]: run.data.metrics["validation/accuracy"]
            for run in children(outputs)
            if run.data.tags["trial"] == str(trial["number"])
        }
        assert set(accuracies) == {"0", "1", "5"}
        assert trial["value"] == pytest.approx(statistics.mean(accuracies.values()), abs=1e-12)


def test_a_space_stands_in_the_config_and_what_is_typed_has_the_last_word(outputs: Path) -> None:
    params = {"optimizer.lr": "interval(0.5,0.6)", "data.batch_size": "choice(50,100)", "epochs": 9}
    words = [*LINEAR[:3], "epochs=smoke", "report=false", "optimizer.lr=0.1,0.2"]
    search(outputs, *words, params=params, sampler="random", trials=4)
    assert {trial["params"]["optimizer.lr"] for trial in trials(outputs)} <= {"0.1", "0.2"}
    assert {trial["params"]["data.batch_size"] for trial in trials(outputs)} <= {"50", "100"}
    assert {run.data.params["epochs"] for run in children(outputs)} == {"1"}


FIFTY = [
    "-m", "hydra/sweeper=optuna", "data=digits", "model=linear", "epochs=2",
    "optimizer.lr=tag(log,interval(1e-4,1))", "optimizer=sgd,adam", "hydra.sweeper.sampler=random",
]  # fmt: skip


def test_fifty_trials_on_digits_then_nothing_then_more_of_them(outputs: Path) -> None:
    done = train(outputs, *FIFTY, "hydra/launcher=parallel", "hydra.launcher.workers=2",
                 "hydra.launcher.threads=1", "hydra.sweeper.at_once=10")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "50 trials, 0 failed" in done.stdout
    first = trials(outputs)
    assert [trial["number"] for trial in first] == list(range(50))
    assert all(trial["state"] == "COMPLETE" for trial in first)
    assert len(children(outputs)) == 50
    (parent,) = parents(outputs)
    best = max(first, key=lambda trial: trial["value"])
    assert f"best: trial {best['number']}, validation accuracy {best['value']:.4f}" in done.stdout
    again = train(outputs, *FIFTY)
    assert again.returncode == 0 and " new " not in again.stdout and "50 trials" in again.stdout
    assert trials(outputs) == first and len(children(outputs)) == 50
    more = train(outputs, *FIFTY, "hydra.sweeper.trials=53")
    assert more.returncode == 0, more.stdout + more.stderr
    assert trials(outputs)[:50] == first and len(trials(outputs)) == 53
    assert [run.info.run_id for run in parents(outputs)][:1] == [parent.info.run_id]


def test_the_command_that_confirms_the_best_trial_works_as_printed(outputs: Path) -> None:
    words = [*LINEAR, "+optimizer.weight_decay=tag(log,interval(1e-6,1e-2))", RATE]
    words += ["tracking.experiment='two words'"]
    search(outputs, *words, trials=3, seeds=[0, 3], sampler="random")
    command = document(outputs)["confirm"]
    assert command.startswith("python train.py -m ")
    python = f"{sys.executable} {command.removeprefix('python ')}"
    done = subprocess.run(python, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    best = max(trials(outputs), key=lambda trial: trial["value"])
    (swept,) = [run for run in parents(outputs) if "search" not in run.data.tags]
    confirmed = [
        run.data.params for run in children(outputs)
        if run.data.tags["mlflow.parentRunId"] == swept.info.run_id
    ]  # fmt: skip
    assert sorted(one["seed"] for one in confirmed) == ["4", "5", "6", "7", "8"]
    assert {float(one["optimizer.lr"]) for one in confirmed} == {best["params"]["optimizer.lr"]}
    assert {float(one["optimizer.weight_decay"]) for one in confirmed} == {
        best["params"]["++optimizer.weight_decay"]
    }


def test_a_trial_that_failed_is_told_so_and_the_search_goes_on(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A linear model diverges at this learning rate; a negative one is refused."""
    words = [*LINEAR, "optimizer.lr=choice(0.1,1e38,-1)"]
    with pytest.raises(SystemExit) as end:
        search(outputs, *words, sampler="grid", trials=3)
    assert end.value.code == 1
    states = {trial["params"]["optimizer.lr"]: trial["state"] for trial in trials(outputs)}
    assert states == {"0.1": "COMPLETE", "1e+38": "FAIL", "-1": "FAIL"}
    assert "3 trials, 2 failed" in capsys.readouterr().out
    (parent,) = parents(outputs)
    assert parent.info.status == "FAILED"
    reasons = [trial["reason"] for trial in trials(outputs) if trial["state"] == "FAIL"]
    assert any("optimizer.lr=-1" in reason for reason in reasons)


KILLED = [
    "-m", "hydra/sweeper=optuna", *LINEAR[:-2], "epochs=4", "report=false", "cadence=0", RATE,
    "hydra.sweeper.trials=6", "hydra.sweeper.at_once=3", "hydra.sweeper.pruner=halving",
    "hydra.sweeper.reduction=2",
]  # fmt: skip


def test_a_search_killed_at_many_instants_ends_as_if_never_killed(
    outputs: Path, tmp_path: Path
) -> None:
    """Further on at each time: after 3 writes to the record, then 10 more, 17 more and so on."""
    shutil.copytree(outputs, tmp_path / "undisturbed")
    assert train(tmp_path / "undisturbed", *KILLED).returncode == 0
    kills = 0
    while (issued := killed(outputs, *KILLED, after=3 + 7 * kills)).ended() != 0:
        assert issued.returncode == -signal.SIGKILL, issued.stderr
        kills += 1
    assert kills >= 5
    whole = document(tmp_path / "undisturbed")
    left = document(outputs)
    assert left["trials"] == whole["trials"] and len(left["trials"]) == 6
    assert {run.info.status for run in recorded(outputs)} == {"FINISHED"}
    assert labels(outputs) == labels(tmp_path / "undisturbed")


def labels(folder: Path) -> list[tuple[str, ...]]:
    """What tells the runs of a search apart, and what became of them."""
    return sorted(
        (run.info.run_name, run.data.tags["trial"], run.data.tags.get("pruned", ""))
        for run in children(folder)
    )


def test_a_batch_that_was_told_in_part_is_told_to_the_end(outputs: Path, tmp_path: Path) -> None:
    """With other trials at once: those of the batch that was begun stay what they were.

    Of its third batch, at whose beginning Optuna's sampler still drew at random, as it would not
    any more if it knew the trials of it that are kept.
    """
    shutil.copytree(outputs, tmp_path / "undisturbed")
    words = ["-m", "hydra/sweeper=optuna", *LINEAR, RATE, "hydra.sweeper.trials=12"]
    at_once = "hydra.sweeper.at_once=4"
    assert train(tmp_path / "undisturbed", *words, at_once).returncode == 0
    shutil.copytree(tmp_path / "undisturbed", tmp_path / "half")
    (file,) = (tmp_path / "half" / "studies").glob("*.db")
    study = optuna.load_study(storage=f"sqlite:///{file}", study_name="search")
    kept = study.trials
    batches = [[0, 4]] * 4 + [[4, 4]] * 4 + [[8, 4]] * 4
    assert [trial.user_attrs["batch"] for trial in kept] == batches
    file.unlink()
    half = optuna.create_study(
        storage=f"sqlite:///{file}", study_name="search", direction="maximize"
    )
    half.add_trials(kept[:11])
    done = train(tmp_path / "half", *words, "hydra.sweeper.at_once=1")
    assert done.returncode == 0, done.stderr
    assert " new " not in done.stdout and done.stdout.count(" cached ") == 4
    assert trials(tmp_path / "half") == trials(tmp_path / "undisturbed")


def test_a_study_whose_run_is_gone_is_set_aside(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search(outputs, *LINEAR, RATE, trials=2)
    (file,) = (outputs / "studies").glob("*.db")
    (parent,) = parents(outputs)
    client(outputs).delete_run(parent.info.run_id)
    search(outputs, *LINEAR, RATE, trials=2)
    assert file.exists() and file.with_suffix(".without-record").exists()
    assert "is not on record any more" in capsys.readouterr().err
    assert len(trials(outputs)) == 2


def test_what_is_on_record_answers_a_trial(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bring(outputs, *LINEAR[:-1], "optimizer.lr=0.1", "seed=0")
    search(outputs, *LINEAR, "optimizer.lr=0.1,0.2", sampler="grid", trials=2)
    assert capsys.readouterr().out.count(" cached ") == 1
    assert sum("cached" in run.data.tags for run in children(outputs)) == 1


def test_a_plan_says_how_many_trials_remain_and_does_nothing(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search(outputs, *LINEAR, RATE, "plan=true", trials=7)
    assert "0 of 7 trials are on record, 7 remain, of 1 epochs" in capsys.readouterr().out
    assert sorted(file.name for file in outputs.iterdir()) == ["mlflow.db"]
    search(outputs, *LINEAR, RATE, trials=2)
    search(outputs, *LINEAR, RATE, "plan=true", trials=7)
    assert "2 of 7 trials are on record, 5 remain" in capsys.readouterr().out


def test_a_ledger_has_the_trials(outputs: Path, tmp_path: Path) -> None:
    search(outputs, *LINEAR, RATE, f"ledger={tmp_path / 'ledger.json'}", trials=2)
    ledger = json.loads((tmp_path / "ledger.json").read_text())
    (parent,) = parents(outputs)
    assert ledger["sweep"] == parent.data.tags["sweep"]
    assert [run["validation"] for run in ledger["runs"]] == [t["value"] for t in trials(outputs)]


def test_the_same_search_in_other_words_is_the_same(outputs: Path) -> None:
    search(outputs, *LINEAR, RATE, "data.batch_size=100,200", trials=2, sampler="random")
    search(outputs, "data.batch_size=100,200", RATE, *LINEAR, "data.validation_share=1e-1",
           trials=3, sampler="random", at_once=2)  # fmt: skip
    assert len(parents(outputs)) == 1
    assert len(trials(outputs)) == 3


@pytest.mark.parametrize(
    ("other", "asked"),
    [
        ([RATE], {"sampler": "tpe"}),
        ([RATE], {"sampler_seed": 1}),
        ([RATE], {"seeds": [1]}),
        ([RATE, "data.batch_size=50"], {}),
        (["optimizer.lr=interval(0.001,1)"], {}),
    ],
)
def test_another_space_setting_or_sampler_is_another_search(
    other: list[str], asked: dict[str, Any], outputs: Path
) -> None:
    search(outputs, *LINEAR, RATE, trials=1, sampler="random")
    search(outputs, *LINEAR, *other, **{"trials": 1, "sampler": "random", **asked})
    assert len(parents(outputs)) == 2


def test_a_run_says_which_trials_it_is_of(outputs: Path) -> None:
    """Two choices, five trials: some are asked for again, and answered from the record."""
    search(outputs, *LINEAR, "optimizer.lr=0.1,0.2", trials=5, at_once=2, sampler="random")
    said = {run.data.params["optimizer.lr"]: run.data.tags["trial"] for run in children(outputs)}
    expected: dict[str, list[str]] = {}
    for trial in trials(outputs):
        expected.setdefault(trial["params"]["optimizer.lr"], []).append(str(trial["number"]))
    assert said == {rate: ", ".join(numbers) for rate, numbers in expected.items()}
    assert len(trials(outputs)) == 5 and len(said) == 2


def test_ends_of_a_space_are_what_is_probed() -> None:
    probes = space.Space(DISTRIBUTIONS, ["a=1"]).probes()
    first = {"data.batch_size": 50, "optimizer": "sgd", "optimizer.lr": 0.001}
    assert probes == [first, first | {"data.batch_size": 200}, first | {"optimizer": "adam"},
                      first | {"optimizer.lr": 1.0}]  # fmt: skip
