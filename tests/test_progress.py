"""What the record says of a combination: its own result, another's, what was left behind."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import bring, children, client, parents, recorded, sweep, trial

from factorial.console import Display
from factorial.record import writing
from factorial.record.store import Store, open_store
from factorial.results import Epoch
from factorial.runs.progress import open_run, progress_of
from factorial.runs.run import run_trial
from factorial.runs.trial import Family, Trial
from factorial.training import trainer

pytestmark = pytest.mark.slow

LINEAR = ["model=linear", "optimizer=sgd", "epochs=1"]


def store_of(one: Trial) -> Store:
    return open_store(one.config.tracking, one.config.outputs)


def artifacts(folder: Path, run: str) -> Path:
    return folder / "runs" / run / "artifacts"


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


def abandon(one: Trial, host: str = "another") -> str:
    """A run that a process on some host began, and was killed; its id."""
    run = open_run(one, store_of(one), None, one.actual)
    run.tag(owner=json.dumps([host, 1, 0.0]))
    return run.id


def test_what_was_left_behind_resumes_and_what_is_longer_continues(outputs: Path) -> None:
    bring(outputs, *LINEAR)
    longer = trial(outputs, *LINEAR[:-1], "epochs=3")
    store = store_of(longer)
    assert (progress_of(longer, store).state, progress_of(longer, store).epoch) == ("continues", 1)
    abandon(longer)
    assert progress_of(longer, store, locked=True).state == "resumes"


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


def test_a_run_left_by_another_host_is_taken_over_by_who_holds_the_lock(outputs: Path) -> None:
    one = trial(outputs, *LINEAR)
    left = abandon(one)
    store = store_of(one)
    assert progress_of(one, store).left is None  # it may be alive
    with one.trunk.lock(waiting=print):
        assert progress_of(one, store, locked=True).left.id == left  # type: ignore[union-attr]
    assert run_trial(one, Display(brief=True)).run_id == left
    (run,) = recorded(outputs)
    assert run.info.status == "FINISHED"
    assert json.loads(run.data.tags["owner"])[0] != "another"


def test_a_sweep_has_no_second_child_for_one_left_by_another_host(outputs: Path) -> None:
    sweep(outputs, "data=digits", *LINEAR, "seed=0,1")
    left, done = children(outputs)
    client(outputs).update_run(left.info.run_id, status="RUNNING")
    client(outputs).set_tag(left.info.run_id, "owner", json.dumps(["another", 1, 0.0]))
    sweep(outputs, "data=digits", *LINEAR, "seed=0,1")
    after = children(outputs)
    assert {run.info.run_id for run in after} == {left.info.run_id, done.info.run_id}
    assert {run.info.status for run in after} == {"FINISHED"}


def test_a_run_of_another_folder_on_a_server_is_left_alone_whatever_lock_is_held_here(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines with one server have locks of their own."""
    one = trial(outputs, *LINEAR)
    left = abandon(one)
    store = store_of(one)
    monkeypatch.setattr(Store, "is_remote", True)
    assert progress_of(one, store, locked=True).left.id == left  # type: ignore[union-attr]
    shutil.rmtree(outputs / "runs" / left)
    assert progress_of(one, store, locked=True).left is None


def test_a_run_that_ran_elsewhere_is_not_gone_on_with(outputs: Path) -> None:
    """Its params say where it ran, and are written once."""
    left = abandon(trial(outputs, *LINEAR, "device.threads=3"))
    assert bring(outputs, *LINEAR).run_id != left
    assert bring(outputs, *LINEAR, "device.threads=3", "fresh=true").run_id != left


def test_a_copy_is_not_written_into_a_run_that_ran_elsewhere(outputs: Path) -> None:
    sweep(outputs, "data=digits", *LINEAR, "seed=1,2")  # so that there is a parent
    (parent,) = parents(outputs)
    bring(outputs, *LINEAR, "device.threads=3")
    alone = trial(outputs, *LINEAR, "device.threads=1")
    family = Family(parent.info.run_id, "", alone.config.tracking.experiment)
    left = abandon(alone.within(family, []))
    outcome = run_trial(trial(outputs, *LINEAR).within(family, []), Display(brief=True))
    assert outcome.run_id != left
    assert threads(outputs, [client(outputs).get_run(outcome.run_id)]) == [("3", 3)]


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


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """From the epoch on that a test sets, the record can't be written."""
    last = {"epoch": 10**9}
    log_rows = writing.Run.log_rows

    def fail(run: writing.Run, rows: list[Epoch]) -> None:
        if any(row.epoch > last["epoch"] for row in rows):
            raise OSError("the record can't be written: no server")
        log_rows(run, rows)

    monkeypatch.setattr(writing.Run, "log_rows", fail)
    return last


def test_leaving_because_the_record_is_lost_keeps_what_was_trained(
    outputs: Path, failing: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["model=linear", "optimizer=sgd", "epochs=4"]
    failing["epoch"] = 2
    outcome = bring(outputs, *words)
    assert (outcome.status, outcome.retriable) == ("FAILED", True)
    assert outcome.reason == "the record can't be written: no server"
    assert trial(outputs, *words).trunk.positions(4)[0][0] == (3, 0)  # the epoch that was lost too
    failing["epoch"] = 10**9
    trained: list[int] = []
    fit = trainer.fit

    def counting(*arguments: Any) -> Iterator[Any]:
        for event in fit(*arguments):
            trained.extend([event.epoch] if isinstance(event, Epoch) else [])
            yield event

    monkeypatch.setattr(trainer, "fit", counting)
    resumed = bring(outputs, *words)
    assert (resumed.origin, resumed.run_id) == ("resumed", outcome.run_id)
    assert trained == [4]
    points = client(outputs).get_metric_history(resumed.run_id, "train/loss")
    assert sorted(point.step for point in points) == [1, 2, 3, 4]
    straight = bring(outputs, *words, "fresh=true")
    assert resumed.test == straight.test
    weights = [
        artifacts(outputs, one.run_id) / "weights.safetensors" for one in (resumed, straight)
    ]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_what_could_not_be_recorded_to_its_end_is_no_result(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(run: writing.Run) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(writing.Run, "end", full)
        outcome = bring(outputs, *LINEAR)
    assert (outcome.status, outcome.reason) == ("FAILED", "no space left")
    assert bring(outputs, *LINEAR).run_id == outcome.run_id
    assert [run.info.status for run in recorded(outputs)] == ["FINISHED"]


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
