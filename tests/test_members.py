"""The members of a sweep before anything runs: told apart, checked, and what each has to keep."""

import functools
from pathlib import Path

import pytest
import torch
from composing import asked
from running import trial

from factorial.runs.grid import combinations
from factorial.runs.members import Member, adopt, check, distinct, level_rows, sweep_id, varying
from factorial.runs.trial import Family
from factorial.settings.combination import Combination, Composer, by_hydra
from factorial.settings.messages import BadInput

LINEAR = ["model=linear", "optimizer=sgd"]
SIGN = """import torch

class SignSGD(torch.optim.SGD):
    def __init__(self, params, lr):
        super().__init__(params, lr=lr)
    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad.sign_()
        super().step()
"""


@functools.cache
def composer() -> Composer:
    return Composer(by_hydra)


def members(folder: Path, *grid: list[str]) -> list[Member]:
    return [
        check(["data=digits", f"outputs={folder}", *words], Combination.compose) for words in grid
    ]


@pytest.mark.slow
def test_combinations_that_say_the_same_in_other_words_are_one(tmp_path: Path) -> None:
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    same = members(
        tmp_path,
        [*LINEAR, "optimizer.lr=0.1"],
        [*LINEAR, "optimizer.lr=0.5"],
        [*LINEAR, "optimizer.lr=1e-1"],
        [*reversed(LINEAR), "optimizer.lr=0.10", f"device={kind}"],
    )
    assert distinct(same) == same[:2]
    numbered = members(tmp_path, *([*LINEAR, f"device.threads={n}"] for n in (1, 2, 1)))
    assert distinct(numbered) == numbered[:2]
    assert distinct([*members(tmp_path, LINEAR), *numbered]) == [
        *members(tmp_path, LINEAR),
        *numbered[:2],
    ]


@pytest.mark.slow
def test_a_sweep_is_the_same_for_the_same_set_of_combinations_alone(tmp_path: Path) -> None:
    one, other, refused = members(tmp_path, ["seed=0"], ["seed=1"], ["seed=-1"])
    assert refused.trial is None
    assert sweep_id([one, other, refused]) == sweep_id([refused, other, one])
    on_one, on_two = members(tmp_path, ["device.threads=1"], ["device.threads=2"])
    ids = [sweep_id(each) for each in ([one], [other], [one, other], [refused], [on_one], [on_two])]
    assert len(set(ids)) == 6


@pytest.mark.slow
def test_what_one_combination_refuses_fails_it_alone_and_an_option_that_is_not_there_all(
    tmp_path: Path,
) -> None:
    (good, bad) = members(tmp_path, ["seed=1"], ["seed=-1"])
    assert good.trial is not None and not good.reason
    assert bad.trial is None and bad.reason == "seed=-1: allowed is a whole number, 0 to 2**63 - 1"
    (foreign,) = members(tmp_path, ["model=linear", "model.hidden=[8]"])
    assert foreign.trial is None and "model.hidden is not a setting" in foreign.reason
    with pytest.raises(Exception, match="adamm"):
        members(tmp_path, ["optimizer=adamm"])


@pytest.mark.slow
def test_a_longer_run_leaves_behind_what_its_shorter_siblings_end_with(tmp_path: Path) -> None:
    grid = [[f"seed={seed}", f"epochs.count={n}"] for seed in (0, 1) for n in (9, 3, 6)]
    family = Family("parent", "sweep", "an experiment's name")
    adopted = adopt(members(tmp_path, *grid, ["seed=-1"]), family)
    keep = [member.trial.config.keep for member in adopted if member.trial]
    assert keep == [[3, 6], [], [3]] * 2
    assert adopted[-1].context == ()
    apart = [["seed=0", "epochs.count=2"], ["seed=1", "epochs.count=5"], ["seed=1", "epochs=smoke"]]
    adopted = adopt(members(tmp_path, *apart), family)
    assert [member.trial.config.keep for member in adopted if member.trial] == [[], [1], []]


def test_a_member_is_the_same_in_another_process(tmp_path: Path) -> None:
    """By its words alone, whatever the sweep's experiment is called."""
    family = Family("a1" * 16, "c3" * 10, "an experiment's name, of two words")
    (member,) = adopt(members(tmp_path, ["seed=3", "epochs.count=2"]), family)
    composed = Combination.compose([*member.words, *member.context])
    assert member.trial is not None
    assert composed.composed == member.trial.combination.composed
    assert composed.parse().tracking.experiment == "an experiment's name, of two words"


def test_factors_are_the_settings_with_several_levels(tmp_path: Path) -> None:
    grid = [
        ["seed=0", "epochs=smoke", "+optimizer.eps=1"],
        ["seed=0", "epochs=short", "+optimizer.eps=1"],
    ]
    few = members(tmp_path, *grid)
    assert varying(few) == {"epochs": ["1", "5"]}
    assert level_rows(few) == [{"epochs": "1"}, {"epochs": "5"}]


@pytest.mark.slow
def test_what_was_typed_for_some_alone_has_its_recorded_level_in_the_others(tmp_path: Path) -> None:
    """As a preset's systems do: each sets what it changes, and the rest is as it stands."""
    systems = [["optimizer.lr=1e-2"], ["schedule=cosine"], ["model.hidden=[8, 9]", "clip_norm=2"]]
    few = members(tmp_path, *systems)
    usual = {"optimizer.lr": "0.001", "schedule": "constant", "model.hidden": "[256,256]",
             "clip_norm": "null"}  # fmt: skip
    assert level_rows(few) == [
        usual | {"optimizer.lr": "0.01"},
        usual | {"schedule": "cosine"},
        usual | {"model.hidden": "[8,9]", "clip_norm": "2"},
    ]


@pytest.mark.slow
def test_what_some_alone_have_is_a_factor_where_nothing_else_tells_them_apart(
    tmp_path: Path,
) -> None:
    """An argument that no file sets: the others have no level of it on record."""
    decay, momentum = "+optimizer.weight_decay=0.1", "+optimizer.momentum=0.9"
    systems = [LINEAR, [*LINEAR, decay], [*LINEAR, momentum]]
    seeds = [[*system, f"seed={seed}"] for system in systems for seed in (0, 1)]
    few = members(tmp_path, *seeds)
    assert varying(few) == {
        "seed": ["0", "1"],
        "optimizer.weight_decay": ["-", "0.1"],
        "optimizer.momentum": ["-", "0.9"],
    }
    assert len({tuple(row.values()) for row in level_rows(few)}) == 6
    told = members(tmp_path, LINEAR, ["model=mlp", "optimizer=sgd", decay])
    assert varying(told) == {"model": ["linear", "mlp"]}


def test_classes_that_were_typed_are_factors_under_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_opt.py").write_text(SIGN)
    monkeypatch.syspath_prepend(tmp_path)
    words = ["optimizer._target_=my_opt.SignSGD,torch.optim.Adam", "~optimizer.fused"]
    params = []
    for grid in combinations(words, {}, []):
        combination = trial(tmp_path, *grid).combination
        params.append({k: v for k, v in combination.params().items() if k.startswith("optimizer")})
    assert params == [
        {"optimizer": "SignSGD", "optimizer._target_": "my_opt.SignSGD", "optimizer.lr": 0.001},
        {"optimizer": "Adam", "optimizer._target_": "torch.optim.Adam", "optimizer.lr": 0.001},
    ]
    assert asked("optimizer=adam").params()["optimizer"] == "adam"
    assert "optimizer._target_" not in asked("optimizer=adam").params()


def test_what_a_file_sets_for_another_class_is_dropped_and_what_was_typed_refused(
    tmp_path: Path,
) -> None:
    adamax = "optimizer._target_=torch.optim.Adamax"
    fitted = trial(tmp_path, adamax)  # conf/optimizer/adam.yaml sets `fused`
    assert fitted.config.optimizer == {"_target_": "torch.optim.Adamax", "lr": 0.001}
    assert fitted.notes == ("optimizer.fused is dropped: Adamax has none",)
    assert "optimizer.fused" not in fitted.combination.params()
    with pytest.raises(BadInput, match=r"optimizer\.fused is not a setting"):
        trial(tmp_path, adamax, "optimizer.fused=true")
    with pytest.raises(BadInput, match=r"optimizer\.momentum is not a setting"):
        trial(tmp_path, adamax, "+optimizer.momentum=0.5")


RECURRENT = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, shape, classes, hidden=16, activation="gelu"):
        super().__init__(nn.Flatten(), nn.Linear(64, hidden), nn.GELU(), nn.Linear(hidden, classes))
"""


def test_what_a_file_sets_is_dropped_too_where_a_typed_class_takes_another_kind_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """conf/model/mlp.yaml sets `hidden: [256, 256]` and `activation: relu`."""
    (tmp_path / "my_recurrent.py").write_text(RECURRENT)
    monkeypatch.syspath_prepend(tmp_path)
    fitted = trial(tmp_path, "model._target_=my_recurrent.Net")
    assert fitted.config.model == {"_target_": "my_recurrent.Net", "activation": "relu"}
    assert fitted.notes == ("model.hidden is dropped: Net takes a number",)
    with pytest.raises(BadInput, match=r"model\.hidden=\[8\]: allowed is a number"):
        trial(tmp_path, "model._target_=my_recurrent.Net", "model.hidden=[8]")


def test_a_plus_sets_what_is_there_too(tmp_path: Path) -> None:
    for words in (["optimizer=adamw"], ["optimizer=adam"]):  # the first has it in its file
        made = trial(tmp_path, *words, "+optimizer.weight_decay=0.5")
        assert made.config.optimizer["weight_decay"] == 0.5
