"""A record from elsewhere is not trusted: nothing that it names is called, or read, or written."""

import contextlib
import json
import shutil
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from composing import CPU, asked, configured, put
from omegaconf import OmegaConf
from processes import train
from recorded import seen_anew
from running import recorded

from factorial.record import untrusted
from factorial.record.store import artifact
from factorial.reuse import evidence
from factorial.settings import words
from factorial.settings.combination import Combination, filed
from factorial.settings.messages import BadInput
from factorial.training import trainer


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    assert train(folder, "data=digits", "model=linear", "epochs=1").returncode == 0
    return folder


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def poison(folder: Path, key: str, value: Any) -> None:
    """Put a value into the recorded config."""
    (run,) = recorded(folder)
    file = folder / "runs" / run.info.run_id / "artifacts" / "config.yaml"
    config = yaml.safe_load(file.read_text())
    *path, name = key.split(".")
    part = config
    for step in path:
        part = part[step]
    part[name] = value
    file.write_text(yaml.safe_dump(config))


def refused(folder: Path, *words: str) -> str:
    done = train(folder, *words, command="replay")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: ")
    return done.stderr


HOSTILE = {
    "os.system": {"_target_": "os.system", "command": "touch MARK"},
    "builtins.eval": {"_target_": "builtins.eval", "_args_": ["open('MARK', 'w')"]},
    "torch.os.system": {"_target_": "torch.os.system", "command": "touch MARK"},
    "torch.hub.load": {"_target_": "torch.hub.load", "repo_or_dir": "a/b", "model": "c"},
    "torch.load": {"_target_": "torch.load", "f": "MARK"},
    "torch.nn.ReLU": {"_target_": "torch.nn.ReLU"},  # a class, but no optimizer
    "factorial.cli.main": {"_target_": "factorial.cli.main"},
}


@pytest.mark.slow
@pytest.mark.parametrize("target", HOSTILE)
def test_a_hostile_target_is_refused_by_name(copy: Path, target: str) -> None:
    mark = copy / "mark"
    poison(copy, "optimizer", json.loads(json.dumps(HOSTILE[target]).replace("MARK", str(mark))))
    assert f"optimizer._target_={target}: allowed are" in refused(copy)
    assert not mark.exists()


@pytest.mark.slow
def test_a_target_nested_in_a_list_is_refused(copy: Path) -> None:
    mark = copy / "mark"
    nested = [{"deep": [{"_target_": "os.system", "command": f"touch {mark}"}]}]
    poison(copy, "optimizer.betas", nested)
    assert "optimizer.betas[0].deep[0]._target_=os.system: allowed are" in refused(copy)
    assert not mark.exists()


@pytest.mark.slow
@pytest.mark.parametrize("value", ["${oc.env:HOME}", "${seed}", "o${oc.decode:s}.system"])
def test_an_interpolation_in_a_record_is_refused(copy: Path, value: str) -> None:
    poison(copy, "model._target_", value)
    assert "allowed in a record are resolved values" in refused(copy)


@pytest.mark.slow
def test_a_record_can_not_allow_itself_anything(copy: Path) -> None:
    poison(copy, "allow", ["os", "os.system"])
    poison(copy, "model._target_", "os.system")
    assert "model._target_=os.system: allowed are" in refused(copy)


@pytest.mark.slow
def test_a_module_that_is_not_allowed_is_not_even_imported(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "hostile.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w')")
    poison(copy, "model._target_", "hostile.Model")
    done = train(copy, command="replay", env={"PYTHONPATH": str(package)})
    assert "model._target_=hostile.Model: allowed are" in done.stderr
    assert "allow=[hostile.Model]" in done.stderr
    assert not (tmp_path / "mark").exists()


def test_what_the_user_names_is_allowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from factorial.training.models import Linear as Mine")
    monkeypatch.syspath_prepend(tmp_path)
    config = configured("model=linear")
    config.model["_target_"] = "mine.Mine"
    with pytest.raises(BadInput, match="allowed are"):
        trainer.start(config, CPU)
    assert "mine" not in sys.modules
    trainer.start(put(config, "allow", ["mine"]), CPU)
    typed = asked("model=linear", "model._target_=mine.Mine")
    trainer.start(typed.parse(), CPU)


TYPED = [
    ["model._target_=mine.Model"],
    ["model={_target_:mine.Model}"],
    ["+model.inner={_target_:mine.Model}"],
    ["+optimizer.betas=[{deep:[{_target_:mine.Model}]}]"],
    ["data=own", "data._target_=mine.tensors"],
    ["+metrics.mine._target_=mine.score"],
]


@pytest.mark.slow
def test_a_class_of_a_file_is_allowed_by_that_and_one_within_a_typed_value_is_not() -> None:
    composed = OmegaConf.create({"model": {"_target_": "mine.Model", "in": [{"_target_": "a.B"}]}})
    assert filed(composed, ["model=mine", "seed=3"]) == ("mine.Model", "a.B")
    assert filed(composed, ["model._target_=mine.Model"]) == ("a.B",)
    assert filed(composed, ["model.in=[{_target_:a.B}]"]) == ("mine.Model",)
    assert filed(composed, ["model={_target_:mine.Model}"]) == ()
    assert [asked(*typed).filed for typed in TYPED] == [()] * len(TYPED)


@pytest.mark.parametrize("part", ["model", "optimizer", "schedule", "data", "metrics"])
def test_so_is_what_a_file_of_any_other_group_names(part: str) -> None:
    composed = OmegaConf.create({part: {"of_mine": {"_target_": "mine.Own"}}})
    assert filed(composed, [f"{part}=mine"]) == ("mine.Own",)
    assert filed(composed, [f"{part}.of_mine._target_=mine.Own"]) == ()
    assert filed(OmegaConf.create({part: {"_target_": None}}), []) == ()


def test_a_config_that_comes_from_a_record_has_no_files() -> None:
    """Whatever it calls its options, and whatever lies in conf."""
    composed = asked("model=linear", "model._target_=mine.Model").composed
    assert Combination(composed, {"model": "mine"}, []).parse().allow == []


@pytest.mark.slow
@pytest.mark.parametrize("key", ["outputs", "data.root", "tracking.uri"])
def test_paths_in_a_record_lead_nowhere(copy: Path, tmp_path: Path, key: str) -> None:
    poison(copy, key, f"../../{tmp_path}/elsewhere")
    done = train(copy, command="replay")
    assert "verdict: identical" in done.stdout, done.stderr
    assert not list(tmp_path.rglob("elsewhere*"))


@pytest.mark.slow
def test_a_database_from_elsewhere_has_no_say_in_where_files_go(
    copy: Path, made: Path, tmp_path: Path
) -> None:
    """A copied database names the folder that it comes from; a hostile one could name any."""
    before = sorted(made.rglob("*"))
    with sqlite3.connect(copy / "mlflow.db") as database:
        database.execute(f"update experiments set artifact_location = '{tmp_path}/elsewhere'")
        database.execute(f"update runs set artifact_uri = '{tmp_path}/elsewhere'")
    assert "verdict: identical" in train(copy, command="replay").stdout
    assert train(copy, "data=digits", "model=linear", "epochs=1", "seed=5").returncode == 0
    assert sorted(made.rglob("*")) == before
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.slow
def test_an_id_in_a_record_is_no_path(made: Path) -> None:
    for run in ("../../../etc", "..", "a/b", ""):
        with pytest.raises(BadInput, match="allowed is a run's id"):
            artifact(seen_anew(made), run, "config.yaml")


@pytest.mark.slow
def test_a_dataset_that_is_none_is_refused(copy: Path) -> None:
    poison(copy, "data.name", "../../etc/passwd")
    assert "data.name=../../etc/passwd: allowed is one of cifar10, digits" in refused(copy)


BOMB = "a: &a [x,x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x: " + "y" * 64_000, "64,003 bytes; allowed are 64,000"),
        (BOMB, "allowed is YAML without aliases"),
        ("[" * 51, "at most 50 levels"),
        ('x: !!int ""\n', "not YAML"),  # these three break PyYAML, each in another way
        ("x: !!bool maybe\n", "not YAML"),
        ("x: !!timestamp now\n", "not YAML"),
        ("model:\n  _target_: torch.nn.Lin", "cut off, in the middle of a line"),
        ("x: !!python/object/apply:os.system [id]", "not YAML"),
        ("- 1", "allowed is a mapping"),
        ("x: \x00", "not YAML"),
        ("x: ['${oc.env:HOME}']", "allowed in a record are resolved values"),
    ],
)
def test_a_config_that_is_no_plain_small_one_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(BadInput, match=message) as error:
        untrusted.read_yaml(file, "config.yaml")
    assert "\n" not in str(error.value)


FLAT = {
    "list": "a: [" + "x," * 31_990 + "]\n",
    "lists": "a: [" + "[]," * 21_320 + "]\n",
    "mapping": "{" + "a:," * 21_320 + "}\n",
    "keys": "a: [" + "? ," * 21_320 + "]\n",
    "lines": "abcde: 1\n" * 7_000,
    "base 60": "a: 1" + ":1" * 31_990 + "\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("form", FLAT)
def test_no_file_keeps_the_parser_busy(tmp_path: Path, form: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(FLAT[form])
    assert 60_000 < file.stat().st_size <= 64_000
    began = time.process_time()
    with contextlib.suppress(BadInput):
        untrusted.read_yaml(file, "config.yaml")
    assert time.process_time() - began < 5


def test_a_recorded_file_has_at_most_four_million_bytes(tmp_path: Path) -> None:
    file = tmp_path / "metrics.json"
    file.write_bytes(b"{}" + b" " * 3_999_998)
    assert untrusted.read_json(file, "metrics.json") == {}
    file.write_bytes(b"{}" + b" " * 3_999_999)
    with pytest.raises(BadInput, match="4,000,001 bytes; allowed are 4,000,000"):
        untrusted.read_json(file, "metrics.json")


@pytest.mark.parametrize("depth", [60, 600, 900])
@pytest.mark.parametrize("level", [('{"a": ', "}"), ('{"a": [', "]}")])
def test_json_that_is_deep_is_refused(tmp_path: Path, depth: int, level: tuple[str, str]) -> None:
    """What walks through it would fall over the interpreter's limit."""
    file = tmp_path / "recipe.json"
    file.write_text(level[0] * depth + "1" + level[1] * depth)
    with pytest.raises(BadInput, match=r"recipe\.json: "):
        untrusted.read_json(file, "recipe.json")


@pytest.mark.parametrize("text", ["[" * 200_000, "[1]", "{", '{"a": NaN'])
def test_json_that_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "recipe.json"
    file.write_text(text)
    with pytest.raises(BadInput, match=r"recipe.json"):
        untrusted.read_json(file, "recipe.json")


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [None, 3, [1], [{"loss": 1}], [{"epoch": "x", "train/loss": 1}]])
def test_metrics_of_another_form_are_refused(made: Path, epochs: Any) -> None:
    run = evidence.choose(seen_anew(made), "last")
    with pytest.raises(BadInput, match="holds no rows of epochs"):
        evidence.of_file({"epochs": epochs}, run)


@pytest.mark.parametrize("word", ["trust=no", "trust=0", "worktree=yes"])
def test_a_switch_is_true_or_false(word: str) -> None:
    with pytest.raises(BadInput, match="allowed is true or false"):
        words.read("replay", [word])


def test_a_switch_may_be_spelled_in_any_case() -> None:
    assert words.read("replay", ["trust=False"])["trust"] is False


@pytest.mark.parametrize(
    "name",
    ["torch.utils.model_dump.__main__.x", "torch.classes.a.b", "torch.optim._multi_tensor.x"],
)
def test_a_module_of_torch_that_holds_no_model_is_not_imported(name: str) -> None:
    config = configured("model=linear")
    config.model["_target_"] = name
    with pytest.raises(BadInput, match="allowed are"):
        trainer.start(config, CPU)
    assert "torch.utils.model_dump.__main__" not in sys.modules
