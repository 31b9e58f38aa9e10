"""A factor that only some combinations have: the others run once without it, and it is said."""

import re
import sys
from pathlib import Path

import pytest
from composing import composer
from hydra.core.utils import JobReturn
from processes import train
from running import children, parents, recorded, sweep, table, trial

from factorial.runs.applying import Applying, fitted
from factorial.runs.grid import combinations
from factorial.runs.jobs import ended
from factorial.runs.members import Member, check, level_rows, sweep_id
from factorial.settings.messages import BadInput
from factorial.settings.overrides import as_typed, for_hydra, translated

pytestmark = pytest.mark.slow

DIGITS = ["data=digits", "epochs=1"]
SOME = [
    # typed, the combinations that run, what is said
    (
        ["model=linear,mlp", "model.activation=relu,tanh"],
        [
            ["model=linear"],
            ["model=mlp", "model.activation=relu"],
            ["model=mlp", "model.activation=tanh"],
        ],
        ["model.activation does not apply to linear: 1 combination runs once without it"],
    ),
    (  # which no option's file sets, but SGD takes
        ["optimizer=sgd,adam", "optimizer.momentum=0,0.9", "seed=0,1"],
        [
            ["optimizer=sgd", "++optimizer.momentum=0", "seed=0"],
            ["optimizer=sgd", "++optimizer.momentum=0", "seed=1"],
            ["optimizer=sgd", "++optimizer.momentum=0.9", "seed=0"],
            ["optimizer=sgd", "++optimizer.momentum=0.9", "seed=1"],
            ["optimizer=adam", "seed=0"],
            ["optimizer=adam", "seed=1"],
        ],
        ["optimizer.momentum does not apply to adam: 2 combinations run once without it"],
    ),
    (
        ["+optimizer.betas=[0.9,0.99],[0.8,0.99]", "optimizer=adam,sgd,momentum"],
        [
            ["++optimizer.betas=[0.9,0.99]", "optimizer=adam"],
            ["optimizer=sgd"],
            ["optimizer=momentum"],
            ["++optimizer.betas=[0.8,0.99]", "optimizer=adam"],
        ],
        ["optimizer.betas does not apply to sgd, momentum: 2 combinations run once without it"],
    ),
    (  # one level is given to those that have it
        ["model=linear,mlp", "model.activation=tanh"],
        [["model=linear"], ["model=mlp", "model.activation=tanh"]],
        ["model.activation does not apply to linear: 1 combination runs once without it"],
    ),
    (
        ["model=linear,mlp", "model.hidden=[64],[128]", "model.activation=relu"],
        [
            ["model=linear"],
            ["model=mlp", "model.hidden=[64]", "model.activation=relu"],
            ["model=mlp", "model.hidden=[128]", "model.activation=relu"],
        ],
        [
            "model.hidden does not apply to linear: 1 combination runs once without it",
            "model.activation does not apply to linear: 1 combination runs once without it",
        ],
    ),
    (
        ["optimizer._target_=torch.optim.Adamax,torch.optim.SGD", "optimizer.nesterov=true,false"],
        [
            ["optimizer._target_=torch.optim.Adamax"],
            ["optimizer._target_=torch.optim.SGD", "++optimizer.nesterov=True"],
            ["optimizer._target_=torch.optim.SGD", "++optimizer.nesterov=False"],
        ],
        ["optimizer.nesterov does not apply to Adamax: 1 combination runs once without it"],
    ),
    (
        ["schedule=constant,one_cycle", "schedule.factor=1,0.5"],
        [
            ["schedule=constant", "schedule.factor=1"],
            ["schedule=constant", "schedule.factor=0.5"],
            ["schedule=one_cycle"],
        ],
        ["schedule.factor does not apply to one_cycle: 1 combination runs once without it"],
    ),
]


@pytest.mark.parametrize(("typed", "runs", "notes"), SOME, ids=lambda one: " ".join(map(str, one)))
def test_a_combination_without_the_factor_runs_once(
    typed: list[str], runs: list[list[str]], notes: list[str]
) -> None:
    grid = combinations(map(translated, typed), {}, [])
    assert fitted(grid, composer()) == (runs, notes)


def test_where_a_factor_applies_to_all_nothing_is_said() -> None:
    grid = combinations(["model=linear,mlp", "optimizer.lr=0.1,0.2", "seed=1"], {}, [])
    assert fitted(grid, composer()) == (grid, [])


NONE = {
    "model=linear,mlp model.activatoin=relu,tanh": "model.activatoin is not a setting (did you "
    "mean activation?): allowed of model are _target_, activation, hidden",
    "model=linear model.activation=relu,tanh": "model.activation is not a setting: allowed of "
    "model are _target_",
    "optimizer=adam,adamw optimizer.momentum=0.5,0.6": "optimizer.momentum is not a setting: "
    "allowed of optimizer are _target_, fused, lr",
    "optimizer=adam,sgd +optimizer.speed=1,2": "optimizer.speed is not a setting",
}


@pytest.mark.parametrize("words", NONE)
def test_a_factor_that_applies_to_none_is_a_slip_of_the_pen(outputs: Path, words: str) -> None:
    with pytest.raises(BadInput, match=f"^{re.escape(f'no combination can start: {NONE[words]}')}"):
        sweep(outputs, *DIGITS, "seed=0,1", *words.split())
    assert recorded(outputs) == []


def test_a_run_alone_is_refused_what_does_not_apply_to_it(tmp_path: Path) -> None:
    (member,) = [check(["data=digits", "model=linear", "model.activation=tanh"], composer())]
    assert "model.activation is not a setting" in member.reason


def test_a_value_that_is_refused_fails_those_that_have_the_factor(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        sweep(outputs, *DIGITS, "model=linear,mlp", "model.activation=nonsense")
    statuses = {run.data.params["model"]: run.info.status for run in children(outputs)}
    assert statuses == {"linear": "FINISHED", "mlp": "FAILED"}
    assert "model.activation=nonsense: allowed is one of relu" in capsys.readouterr().out


def test_the_record_states_what_ran_and_the_same_run_alone_answers(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*DIGITS, "model=linear,mlp", "model.hidden=[8]", "model.activation=relu,tanh"]
    sweep(outputs, *words)
    shown = capsys.readouterr()
    assert [row[:2] for row in table(shown.out)] == [
        ["linear", "-"],
        ["mlp", "relu"],
        ["mlp", "tanh"],
    ]
    note = "note: model.activation does not apply to linear: 1 combination runs once without it"
    assert note in shown.err.splitlines()
    (linear,) = [run for run in children(outputs) if run.data.params["model"] == "linear"]
    assert not [key for key in linear.data.params if key.startswith("model.")]
    alone = trial(outputs, "model=linear", "epochs=1")
    assert linear.data.tags["recipe"] == alone.recipe.id
    (parent,) = parents(outputs)
    assert parent.data.params == {"model": "linear, mlp", "model.activation": "relu, tanh"}
    sweep(outputs, *reversed(words))
    assert "3 cached" in capsys.readouterr().out
    assert len(recorded(outputs)) == 4


def test_a_sweep_is_the_set_of_what_runs(tmp_path: Path) -> None:
    """However it was typed: as one grid, or as the combinations one by one."""

    def members(words: list[list[str]]) -> list[Member]:
        fits, _ = fitted(words, composer())
        return [check(["data=digits", f"outputs={tmp_path}", *each], composer()) for each in fits]

    grid = members(combinations(["model=linear,mlp", "model.activation=relu,tanh"], {}, []))
    listed = members([[f"model.activation={a}", "model=mlp"] for a in ("tanh", "relu")])
    listed += members([["model=linear"]])
    assert sweep_id(grid) == sweep_id(listed)
    assert level_rows(grid)[0] == {"model": "linear", "model.activation": "-"}


def test_other_processes_get_the_words_that_apply(outputs: Path) -> None:
    sent: list[list[str]] = []

    def launch(jobs: list[list[str]]) -> list[JobReturn]:
        sent.extend(jobs)
        return [ended(RuntimeError("not run")) for _ in jobs]

    words = [*DIGITS, "optimizer=sgd,adam", "optimizer.momentum=0.5,0.9"]
    with pytest.raises(SystemExit):
        sweep(outputs, *words, launch=launch)
    momenta = [[word for word in job if "momentum" in word] for job in sent]
    assert momenta == [["++optimizer.momentum=0.5"], ["++optimizer.momentum=0.9"], []]


def test_of_a_preset_too_and_what_its_file_sets_for_another_model_is_dropped(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preset = ["experiment=activation", *DIGITS, "model=linear,mlp", "seed=0", "plan=true"]
    sweep(outputs, *preset)
    shown = capsys.readouterr()
    assert "invalid" not in shown.out and "4 combinations" in shown.out
    assert "note: model.hidden is dropped: linear has none" in shown.err.splitlines()
    own = ["optimizer.momentum=0.5,0.9", "model.activation=relu"]  # of the preset's optimizer, SGD
    sweep(outputs, "experiment=activation", *DIGITS, *own, "seed=0", "plan=true")
    shown = capsys.readouterr()
    assert "invalid" not in shown.out and "2 combinations" in shown.out


def test_to_ask_what_a_class_takes_imports_none_that_is_not_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unasked.py").write_text("from factorial.training.models import MLP as Mine")
    (tmp_path / "taking.py").write_text(
        "from factorial.training.models import Linear\n"
        "class Any(Linear):\n"
        "    def __init__(self, shape, classes, **settings):\n"
        "        super().__init__(shape, classes)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    nested = ["model={_target_:unasked.Mine}", "model.activation=tanh"]
    assert Applying(composer()).fit(nested) == nested
    assert "unasked" not in sys.modules
    whatever = ["model._target_=taking.Any", "+model.depth=3"]
    assert Applying(composer()).fit(whatever) == whatever
    plain = ["model=linear", "model._target_=taking.Any", "model.depth=3"]
    assert Applying(composer()).fit(plain) == plain  # to be refused: no file sets it


@pytest.mark.parametrize(
    ("typed", "given"),
    [
        # Hydra would compose the one value on the default optimizer, which has no momentum
        (["-m", "optimizer=sgd,adam", "optimizer.momentum=0.9"], "optimizer.momentum=choice(0.9)"),
        (["-m", "experiment=factors", "model.hidden=[8,8]"], "model.hidden=choice([8,8])"),
        (["-m", "model._target_=a.B,a.C", "+model.x='a b'"], "++model.x=choice('a b')"),
        (["-m", "optimizer=sgd,adam", "optimizer.lr=0.1,0.2"], "optimizer.lr=0.1,0.2"),
        (["-m", "optimizer=sgd", "optimizer.lr=0.1"], "optimizer.lr=0.1"),
        (["optimizer=sgd,adam", "optimizer.lr=0.1"], "optimizer.lr=0.1"),
        (["-m", "optimizer=sgd,adam", "optimizer.lr=["], "optimizer.lr=["),
        (["-m", "optimizer=sgd,adam", "optimizer.lr="], "optimizer.lr="),
        (["-m", "optimizer=sgd,adam", "seed=3"], "seed=3"),
        (["-m", "optimizer=sgd,adam", "optimizer._target_=a.B"], "optimizer._target_=a.B"),
    ],
    ids=str,
)
def test_one_value_waits_for_the_class_that_a_sweep_chooses(typed: list[str], given: str) -> None:
    last = for_hydra(typed)[-1]
    assert last == given
    assert as_typed(last) == translated(typed[-1])


def test_levels_stay_as_they_were_typed() -> None:
    for word in ("optimizer.lr=choice(0.1,0.2)", "seed=range(3)", "optimizer.lr=choice(0.1"):
        assert as_typed(word) == word


@pytest.mark.slow
def test_the_command_gives_one_value_to_those_that_have_it(tmp_path: Path) -> None:
    words = [
        *DIGITS,
        "model=linear",
        "optimizer=sgd,adam",
        "optimizer.momentum=0.9",
        "report=false",
    ]
    done = train(tmp_path, "-m", *words, "hydra/launcher=parallel", "hydra.launcher.workers=2")
    assert done.returncode == 0, done.stderr
    momenta = {run.data.params["optimizer"]: run.data.params.get("optimizer.momentum")
               for run in children(tmp_path)}  # fmt: skip
    assert momenta == {"sgd": "0.9", "adam": None}
