"""What the record says of a combination: its own result, another's, what was left behind."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from running import artifacts, bring, children, client, parents, recorded, store_of, sweep, trial

from factorial.runs.progress import progress_of
from factorial.runs.trial import Family
from factorial.training import trainer

pytestmark = pytest.mark.slow

LINEAR = ["model=linear", "optimizer=sgd", "epochs=1"]


def provenance(folder: Path, run: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((artifacts(folder, run) / "provenance.json").read_text())
    return read


def threads(folder: Path, runs: list[Any]) -> list[tuple[str, int]]:
    """As recorded among the params, and as torch said when each began."""
    return [
        (run.data.params["threads"], provenance(folder, run.info.run_id)["threads"]) for run in runs
    ]


def test_each_row_runs_with_its_own_number_of_threads(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["data=digits", *LINEAR]
    sweep(outputs, *words, "device.threads=1,2")
    assert threads(outputs, children(outputs)) == [("1", 1), ("2", 2)]
    sweep(outputs, *words, "device.threads=2,1")
    assert "2 cached" in capsys.readouterr().out
    assert len(children(outputs)) == 2
    assert len(parents(outputs)) == 1


def test_no_run_answers_for_another_number_of_threads_and_any_where_none_was_asked(
    outputs: Path,
) -> None:
    first = bring(outputs, *LINEAR, "device.threads=1")
    other = bring(outputs, *LINEAR, "device.threads=3")
    assert (first.origin, other.origin) == ("new", "new")
    assert threads(outputs, recorded(outputs)) == [("1", 1), ("3", 3)]
    assert bring(outputs, *LINEAR, "device.threads=3").run_id == other.run_id
    assert bring(outputs, *LINEAR).run_id in (first.run_id, other.run_id)
    assert len(recorded(outputs)) == 2


def test_a_copy_says_where_its_run_was_made_and_by_which_code(outputs: Path) -> None:
    made = bring(outputs, *LINEAR, "device.threads=3")
    client(outputs).set_tag(made.run_id, "git.commit", "the commit of its time")
    (artifacts(outputs, made.run_id) / "git.patch").write_text("the patch of its time")
    sweep(outputs, "data=digits", *LINEAR, "seed=0,1")
    (copy,) = (run for run in children(outputs) if "cached" in run.data.tags)
    assert copy.data.tags["cached"] == made.run_id
    assert threads(outputs, [copy]) == [("3", 3)]
    assert copy.data.tags["git.commit"] == "the commit of its time"
    patch = artifacts(outputs, copy.info.run_id) / "git.patch"
    assert patch.read_text() == "the patch of its time"


def test_another_level_of_threads_is_not_copied(outputs: Path) -> None:
    bring(outputs, *LINEAR, "device.threads=3")
    sweep(outputs, "data=digits", *LINEAR, "device.threads=1,2")
    assert not any("cached" in run.data.tags for run in children(outputs))
    assert threads(outputs, children(outputs)) == [("1", 1), ("2", 2)]


def test_ones_own_result_comes_before_anothers(outputs: Path) -> None:
    bring(outputs, *LINEAR)
    sweep(outputs, "data=digits", *LINEAR, "seed=0,1")
    (parent,) = parents(outputs)[1:]
    (copy,) = (run for run in children(outputs) if "cached" in run.data.tags)
    single = trial(outputs, *LINEAR)
    store = store_of(single)
    assert progress_of(single, store).result.id == parents(outputs)[0].info.run_id  # type: ignore[union-attr]
    child = single.within(Family(parent.info.run_id, "", single.config.tracking.experiment), [])
    assert progress_of(child, store).result.id == copy.info.run_id  # type: ignore[union-attr]
    fresh = trial(outputs, *LINEAR, "fresh=true")
    assert progress_of(fresh, store).state == "new"
    of_fresh = fresh.within(Family(parent.info.run_id, "", single.config.tracking.experiment), [])
    assert progress_of(of_fresh, store).result.id == copy.info.run_id  # type: ignore[union-attr]


def test_a_copy_has_each_point_once_and_ends_as_its_run_did(outputs: Path) -> None:
    words = [*LINEAR[:-1], "epochs=3"]
    bring(outputs, *words)
    assert "nan in epoch 1" in bring(outputs, *words, "optimizer.lr=1e38").reason
    with pytest.raises(SystemExit):
        sweep(outputs, "data=digits", *words, "optimizer.lr=0.1,1e38")
    copies = [run for run in children(outputs) if "cached" in run.data.tags]
    assert sorted(run.info.status for run in copies) == ["FAILED", "FINISHED"]
    whole = next(run for run in copies if run.info.status == "FINISHED")
    for name in ("train/loss", "validation/accuracy", "gradient_norm/layer1"):
        points = client(outputs).get_metric_history(whole.info.run_id, name)
        assert [point.step for point in points] == [1, 2, 3]


@pytest.mark.parametrize("gone", ["weights.safetensors", "predictions.safetensors", ""])
def test_an_answer_whose_files_are_gone_says_so_and_how_to_make_them_again(
    gone: str, outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = bring(outputs, *LINEAR)
    folder = artifacts(outputs, made.run_id)
    assert bring(outputs, *LINEAR).origin == "cached"
    assert "WARNING" not in capsys.readouterr().err
    shutil.rmtree(folder) if not gone else (folder / gone).unlink()
    outcome = bring(outputs, *LINEAR)
    assert (outcome.origin, outcome.test) == ("cached", made.test)
    said = capsys.readouterr().err
    assert gone in said
    assert f"run {made.run_id} answers, but" in said and "fresh=true makes them again" in said


def test_a_diverged_run_is_a_result_for_every_later_command(outputs: Path) -> None:
    words = ["model.hidden=[8]", "optimizer=sgd", "optimizer.lr=1e30", "epochs=1"]
    first, again = bring(outputs, *words), bring(outputs, *words)
    assert (first.status, first.origin, first.retriable) == ("FAILED", "new", False)
    assert (again.status, again.origin) == ("FAILED", "cached")
    assert again.reason == first.reason == "the training loss is nan in epoch 1"
    assert isinstance(again.error, trainer.Diverged)
    assert len(recorded(outputs)) == 1


def test_each_platform_has_states_of_its_own(outputs: Path) -> None:
    """Another number of threads changes low bits: what it left is not gone on with."""
    bring(outputs, *LINEAR, "device.threads=1")
    assert bring(outputs, *LINEAR, "epochs=2", "device.threads=2").origin == "new"
    assert bring(outputs, *LINEAR, "epochs=3", "device.threads=1").origin == "continued"
    trunk = trial(outputs, *LINEAR, "device.threads=1").trunk
    kept = {
        place.name.rpartition("-threads")[0][-1]: sorted(file.name for file in place.iterdir())
        for place in trunk.folder.parent.iterdir()
        if place.is_dir()
    }
    assert kept == {
        "1": ["final-1.safetensors", "final-3.safetensors"],
        "2": ["final-2.safetensors"],
    }


def test_each_level_of_a_moot_setting_is_on_record_though_it_is_trained_once(
    outputs: Path,
) -> None:
    """1,293 digits by 431: no batch is incomplete, so that both levels have one recipe."""
    words = ["data=digits", "model=linear", "epochs=1", "data.batch_size=431"]
    sweep(outputs, *words, "data.drop_last=true,false")
    levels = {run.data.params["data.drop_last"]: run for run in children(outputs)}
    assert set(levels) == {"True", "False"}
    assert sum("cached" in run.data.tags for run in levels.values()) == 1
    assert len({run.data.metrics["test/loss"] for run in levels.values()}) == 1
    sweep(outputs, *words, "data.drop_last=true,false")
    assert len(children(outputs)) == 2


def test_a_stated_default_is_answered_under_its_own_name(outputs: Path) -> None:
    words = ["model=linear", "optimizer=sgd", "epochs=1"]
    first = bring(outputs, *words)
    again = bring(outputs, *words, "+optimizer.weight_decay=0")
    assert (first.origin, again.origin) == ("new", "cached")
    stated = client(outputs).get_run(again.run_id).data
    assert stated.params["optimizer.weight_decay"] == "0"
    assert stated.tags["cached"] == first.run_id
    assert bring(outputs, *words, "+optimizer.weight_decay=0").run_id == again.run_id
