"""Pruning by continuation: who goes on, and that nothing is trained twice for it."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import pytest
from processes import train
from running import artifacts, bring, children, client, weights
from searched import LINEAR, RATE, search, trials

from factorial.runs.rungs import lengths, promoted
from factorial.settings.messages import BadInput
from factorial.settings.search import Search

pytestmark = pytest.mark.slow

NINE = [*(word for word in LINEAR if word != "epochs=1"), "epochs=9"]
HALVING: dict[str, Any] = {"pruner": "halving", "at_once": 7, "trials": 14, "sampler": "random"}


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search by halving, through a launcher: two brackets of seven trials, rungs of 1, 3, 9."""
    folder = tmp_path_factory.mktemp("halved") / "outputs"
    asked = [f"hydra.sweeper.{key}={value}" for key, value in HALVING.items()]
    words = ["-m", "hydra/sweeper=optuna", *NINE, RATE, "data.batch_size=100,200", *asked]
    words += ["hydra/launcher=parallel", "hydra.launcher.workers=2", "hydra.launcher.threads=1"]
    done = train(folder, *words, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def accuracy_after(folder: Path, trial: int) -> dict[int, float]:
    """By the curve of a trial's longest run."""
    runs = [run for run in children(folder) if run.data.tags["trial"] == str(trial)]
    longest = max(runs, key=lambda run: int(run.data.params["epochs"]))
    history = client(folder).get_metric_history(longest.info.run_id, "validation/accuracy")
    return {point.step: point.value for point in history}


def test_one_in_three_goes_on_from_each_rung(halved: Path) -> None:
    """Against a plain loop over the recorded curves."""
    reached = {}
    for bracket in (range(7), range(7, 14)):
        going = list(bracket)
        for rung, count in ((1, 7), (3, 2), (9, 1)):
            assert len(going) == count
            reached |= dict.fromkeys(going, rung)
            curves = {trial: accuracy_after(halved, trial) for trial in going}
            going.sort(key=lambda trial: (-curves[trial][rung], trial))
            going = going[: max(1, len(going) // 3)]
    assert {trial["number"]: max(map(int, trial["values"])) for trial in trials(halved)} == reached
    for trial in trials(halved):
        whole = reached[trial["number"]] == 9
        assert trial["state"] == ("COMPLETE" if whole else "PRUNED")
        curve = accuracy_after(halved, trial["number"])
        assert {int(k): v for k, v in trial["values"].items()} == {
            rung: curve[rung] for rung in (1, 3, 9) if rung <= reached[trial["number"]]
        }
        assert trial["value"] == curve[reached[trial["number"]]]


def test_what_was_pruned_says_so_on_its_last_run_alone(halved: Path) -> None:
    said = {
        (run.data.tags["trial"], run.data.params["epochs"]): run.data.tags["pruned"]
        for run in children(halved)
        if "pruned" in run.data.tags
    }
    last = {str(t["number"]): max(map(int, t["values"])) for t in trials(halved)}
    assert said == {
        (number, str(rung)): f"after {rung} of 9 epochs"
        for number, rung in last.items()
        if rung < 9
    }
    (file,) = (halved / "studies").glob("*.db")
    study = optuna.load_study(storage=f"sqlite:///{file}", study_name="search")
    pruned = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.PRUNED]
    assert len(pruned) == len(said) == 12
    assert all(trial.value == trial.intermediate_values[trial.last_step] for trial in pruned)


def test_no_epoch_is_trained_twice(halved: Path) -> None:
    """By the logs of all runs: a trial of nine epochs is runs of 1, 2 and 6 more."""
    trained: Counter[tuple[str, int]] = Counter()
    for run in children(halved):
        log = (artifacts(halved, run.info.run_id) / "train.log").read_text()
        for epoch in re.findall(r"epoch +(\d+)/", log):
            trained[run.data.tags["trunk"], int(epoch)] += 1
    assert set(trained.values()) == {1}
    assert sum(trained.values()) == sum(max(map(int, t["values"])) for t in trials(halved)) == 34


def test_what_went_on_has_the_bits_of_what_was_trained_straight_through(
    halved: Path, tmp_path: Path
) -> None:
    whole = [trial for trial in trials(halved) if trial["state"] == "COMPLETE"]
    assert len(whole) == 2
    searched = {name: bits for name, bits in weights(halved).items() if " e9 " in name}
    for trial in whole:
        words = [f"{key}={value}" for key, value in trial["params"].items()]
        bring(tmp_path / "alone", *NINE[:-2], "epochs=9", "seed=0", "device.threads=1", *words)
    alone = weights(tmp_path / "alone")
    assert len(alone) == 2 and set(alone.values()) == set(searched.values())


def test_a_pruned_run_goes_on_when_a_longer_one_is_asked_for(halved: Path) -> None:
    pruned = next(trial for trial in trials(halved) if list(trial["values"]) == ["1", "3"])
    words = [f"{key}={value}" for key, value in pruned["params"].items()]
    outcome = bring(halved, *NINE[:-2], "epochs=4", "seed=0", "device.threads=1", *words)
    assert outcome.origin == "continued"
    log = (artifacts(halved, outcome.run_id) / "train.log").read_text()
    assert re.findall(r"epoch +(\d+)/", log) == ["4"]


def test_the_median_pruner_is_optunas(outputs: Path) -> None:
    """Its verdicts by hand, on the accuracies that were recorded epoch by epoch."""
    words = [*NINE[:-1], "epochs=3", RATE]
    search(outputs, *words, pruner="median", trials=10, sampler="random")
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner())
    space = {"optimizer.lr": optuna.distributions.FloatDistribution(0.001, 1, log=True)}
    ended = []
    for number, recorded in enumerate(trials(outputs)):
        curve = accuracy_after(outputs, number)
        study.enqueue_trial(recorded["params"])
        trial = study.ask(space)
        for epoch in (1, 2, 3):
            trial.report(curve[epoch], epoch)
            if epoch < 3 and trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, curve[3])
        ended.append((epoch, recorded["state"]))
        assert max(curve) == epoch and recorded["value"] == curve[epoch]
    assert {state for epoch, state in ended if epoch < 3} == {"PRUNED"}
    assert all(state == "COMPLETE" for epoch, state in ended if epoch == 3)


def asked(**settings: Any) -> Search:
    usual = {"params": {}, "trials": 9, "at_once": 9, "seeds": [0], "sampler": "tpe",
             "sampler_seed": 0, "pruner": "halving", "rungs": None, "reduction": 3}  # fmt: skip
    return Search(**{**usual, **settings})


@pytest.mark.parametrize(
    ("settings", "epochs", "rungs"),
    [
        ({}, 9, [1, 3, 9]),
        ({}, 27, [1, 3, 9, 27]),
        ({}, 10, [1, 3, 10]),
        ({"reduction": 2}, 15, [1, 3, 7, 15]),
        ({"rungs": [2, 5]}, 9, [2, 5, 9]),
        ({"rungs": [2, 9]}, 9, [2, 9]),
        ({"pruner": "median"}, 3, [1, 2, 3]),
        ({"pruner": None}, 5, [5]),
    ],
)
def test_rungs(settings: dict[str, Any], epochs: int, rungs: list[int]) -> None:
    assert lengths(asked(**settings), epochs) == rungs


@pytest.mark.parametrize(
    ("settings", "epochs", "line"),
    [
        ({}, 2, "epochs=2: allowed with hydra.sweeper.pruner=halving"),
        ({"pruner": "median"}, 1, "epochs=1: allowed with hydra.sweeper.pruner=median"),
        ({"at_once": 2}, 9, "hydra.sweeper.at_once=2: allowed with hydra.sweeper.pruner=halving"),
        ({"rungs": [1, 12]}, 9, "hydra.sweeper.rungs=[1, 12]: allowed are up to 9"),
        ({"rungs": [1], "pruner": None}, 9, "hydra.sweeper.rungs=[1]: allowed is null"),
    ],
)
def test_rungs_that_can_not_be(settings: dict[str, Any], epochs: int, line: str) -> None:
    with pytest.raises(BadInput) as error:
        lengths(asked(**settings), epochs)
    assert str(error.value).startswith(line)


def test_promoted_are_the_best_the_earlier_of_equals_and_one_at_least() -> None:
    assert promoted({4: 0.5, 1: 0.5, 2: 0.9, 3: 0.1, 5: 0.2, 6: 0.3}, 3) == {2, 1}
    assert promoted({4: 0.5, 1: 0.6}, 3) == {1}
    assert promoted({8: 0.5}, 3) == {8}
