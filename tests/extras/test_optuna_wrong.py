"""What a search can't be gets one line, and leaves nothing behind."""

import subprocess
from pathlib import Path

import optuna
import pytest
from conftest import ROOT
from hydra.core.global_hydra import GlobalHydra
from searched import LINEAR, RATE, search

from factorial.runs import space
from factorial.settings.messages import BadInput

Int, Float, Choice = (
    optuna.distributions.IntDistribution,
    optuna.distributions.FloatDistribution,
    optuna.distributions.CategoricalDistribution,
)


@pytest.mark.parametrize(
    ("word", "distribution"),
    [
        ("a=interval(1e-4,1)", Float(0.0001, 1.0)),
        ("a=tag(log,interval(1e-4,1))", Float(0.0001, 1.0, log=True)),
        ("a=interval(1,10)", Float(1.0, 10.0)),
        ("a=int(interval(1,10))", Int(1, 10)),
        ("a=tag(log,int(interval(1,10)))", Int(1, 10, log=True)),
        ("a=range(1,10)", Int(1, 9)),
        ("a=range(10,1,-3)", Int(4, 10, step=3)),
        ("a=range(0,10,3)", Int(0, 9, step=3)),
        ("a=range(0,1,0.25)", Float(0.0, 0.75, step=0.25)),
        ("a=tag(log,range(1,9))", Int(1, 8, log=True)),
        ("a=choice(x,y,z)", Choice(["x", "y", "z"])),
        ("a=1,2", Choice(["1", "2"])),
        ("a=1,2,1", Choice(["1", "2"])),
        ("a=[1,2],[3]", Choice(["[1,2]", "[3]"])),
        ("+a.b=true,null", Choice(["True", "null"])),
    ],
)
def test_hydras_words_are_optunas_distributions(
    word: str, distribution: optuna.distributions.BaseDistribution
) -> None:
    read = space.read([word, "b=3"], {}, GlobalHydra.instance().config_loader())
    assert read.fixed == ["b=3"]
    (found,) = read.varying.values()
    assert found == distribution
    assert [type(value) for value in space.ends(found)] == [
        type(value) for value in space.ends(distribution)
    ]


IMAGES = "allowed is one value, for accuracies on other images don't compare"
WRONG = [
    ("optimizer.lr=interval(1,0)", {}, "optimizer.lr=interval(1,0): allowed are two finite"),
    ("optimizer.lr=interval(0,inf)", {}, "optimizer.lr=interval(0,inf): allowed are two finite"),
    ("optimizer.lr=tag(log,interval(0,1))", {}, "optimizer.lr=tag(log,interval(0,1)): allowed wit"),
    ("optimizer.lr=tag(log,choice(1,2))", {}, "optimizer.lr=tag(log,choice(1,2)): allowed with"),
    ("optimizer.lr=tag(big,interval(0,1))", {}, "optimizer.lr=tag(big,interval(0,1)): allowed as"),
    ("optimizer.lr=range(1,1)", {}, "optimizer.lr=range(1,1): allowed is what gives 1 to"),
    (RATE, {"sampler": "grid"}, "optimizer.lr=interval(0.001,1): allowed with hydra.sweeper.sampl"),
    (RATE, {"sampler": "cmaes"}, "hydra.sweeper.sampler=cmaes: allowed where two keys or more"),
    (RATE, {"sampler": "tpee"}, "hydra.sweeper.sampler=tpee: allowed is one of tpe, cmaes, random"),
    (RATE, {"trials": 0}, "hydra.sweeper.trials=0: allowed is a whole number, 1 or more"),
    (RATE, {"at_once": 1.5}, "hydra.sweeper.at_once=1.5: allowed is a whole number, 1 or more"),
    (RATE, {"seeds": []}, "hydra.sweeper.seeds=[]: allowed is a list of different whole numbers"),
    (RATE, {"seeds": [1, 1]}, "hydra.sweeper.seeds=[1, 1]: allowed is a list of different"),
    (RATE, {"pruner": "x"}, "hydra.sweeper.pruner=x: allowed is one of median, halving, or null"),
    (RATE, {"pruner": "median", "rungs": [2, 1]}, "hydra.sweeper.rungs=[2, 1]: allowed is a list"),
    (RATE, {"reduction": 1}, "hydra.sweeper.reduction=1: allowed is a whole number, 2 or more"),
    (RATE, {"trails": 3}, "hydra.sweeper.trails is not a setting (did you mean trials?)"),
    (RATE, {"params": {"a": [1]}}, "hydra.sweeper.params={a: [1]}: allowed is KEY: SPACE, such as"),
    ("seed=0,1", {}, "seed=0,1: a search has no space of seeds: allowed is hydra.sweeper.seeds"),
    ("seed=3", {}, "hydra/sweeper=optuna: allowed with a space, such as optimizer.lr=interval"),
    (f"{RATE} seed=3", {}, "seed=3: a search has no space of seeds: allowed is hydra.sweeper.seed"),
    ("data=digits,mnist", {}, f"data=digits,mnist: {IMAGES}"),
    ("data.seed=range(3)", {}, f"data.seed=range(3): {IMAGES}"),
    ("cadence=1,2", {}, "cadence=1,2: allowed is one value, for it changes no result"),
    ("optimizer.lrr=interval(0,1)", {}, "no combination can start: optimizer.lrr is not a setting"),
    (f"{RATE} data.validation_share=0", {}, "data.validation_share=0.0: allowed in a search is wh"),
    (f"{RATE} schedule=cosine epochs=2", {"pruner": "median"}, "schedule=cosine: allowed with hyd"),
    (f"{RATE} schedule=constant,cosine epochs=2", {"pruner": "median"}, "schedule=cosine: allowed"),
    ("epochs=1,2", {"pruner": "median"}, "epochs: allowed with hydra.sweeper.pruner=median is one"),
    ("optimizer.lr=choice(-1,-2)", {}, "no trial can start: optimizer.lr=-1: allowed is a finite"),
    (f"{RATE} fresh=true", {}, "fresh=true: allowed in a search is false"),
    (f"{RATE} on_failure=stop", {}, "on_failure=stop: allowed in a search is continue"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "asked", "line"), WRONG)
def test_wrong_input_gets_one_line_and_leaves_nothing(
    words: str, asked: dict[str, object], line: str, tmp_path: Path
) -> None:
    folder = tmp_path / "outputs"
    given = {"trials": 3, **asked}
    params = given.pop("params", {})
    with pytest.raises(BadInput) as error:
        search(folder, *LINEAR, *words.split(), params=params, **given)  # type: ignore[arg-type]
    assert str(error.value).startswith(line) and "\n" not in str(error.value)
    assert not folder.exists()


def command(python: str, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [python, "train.py", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_commands_that_can_not_search_say_why_in_one_line(tmp_path: Path) -> None:
    """Those of the environment without Optuna; what is refused before it is needed, too."""
    without = str(ROOT / ".venv" / "bin" / "python")
    folder = f"outputs={tmp_path / 'outputs'}"
    for words, line in (
        (["-m", "hydra/sweeper=optuna", RATE], "hydra/sweeper=optuna: needs optuna, which is not "
         "installed: allowed after `pip install --editable '.[optuna]'`"),
        (["hydra/sweeper=optuna"], "hydra/sweeper=optuna: allowed with -m, for a search is many"),
        (["-m", "hydra.sweeper.trials=3", "seed=0,1"], "hydra.sweeper.trials is not a setting"),
        (["-m", "hydra/sweeper=optunaa", RATE], "hydra/sweeper=optunaa: allowed of Hydra's own"),
        (["-m", RATE], f"{RATE}: allowed is a list of levels, a range or a glob"),
    ):  # fmt: skip
        done = command(without, *words, *LINEAR, folder)
        assert done.returncode == 1 and done.stdout == ""
        assert done.stderr.startswith(f"error: {line}") and done.stderr.count("\n") == 1
    assert not (tmp_path / "outputs").exists()


def test_a_file_that_is_no_study_is_left_alone(outputs: Path) -> None:
    search(outputs, *LINEAR, RATE, trials=1)
    (file,) = (outputs / "studies").glob("*.db")
    file.write_text("nonsense")
    with pytest.raises(BadInput, match="it is no whole study; allowed is one, or none"):
        search(outputs, *LINEAR, RATE, trials=1)
    assert file.read_text() == "nonsense"
