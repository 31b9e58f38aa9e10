"""Early stopping: its end follows from the values alone, is on record, and the same again."""

import json
import math
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from composing import CPU, configured, digits, put
from hypothesis import given
from hypothesis import strategies as st
from processes import start, train
from recorded import seen_anew
from running import artifacts, bring, client, recorded, sweep, trial

from factorial.record import reading
from factorial.results import Epoch, Evaluation
from factorial.reuse import replay
from factorial.settings import words
from factorial.settings.messages import BadInput
from factorial.settings.recipe import Recipe, identify
from factorial.settings.schema import Config
from factorial.training import rehearsal, sizes, stopping, trainer

pytestmark = pytest.mark.slow

# Whose validation accuracy stands still early: the epochs of each test are few
RUN = ["model=linear", "optimizer=adam", "optimizer.lr=0.05"]
STOPPED = [*RUN, "stopping.metric=accuracy", "stopping.patience=3"]


def by_hand(values: list[float], patience: int, higher: bool, delta: float) -> int | None:
    """The epoch after which training ends, epoch by epoch; None where it does not."""
    best, waits = None, 0
    for epoch, value in enumerate(values, start=1):
        gain = math.nan if best is None else (value - best if higher else best - value)
        if (best is None and not math.isnan(value)) or gain > delta:
            best, waits = value, 0
        else:
            waits += 1
        if waits == patience:
            return epoch
    return None


def asking(metric: str | None, patience: int = 2, delta: float = 0.0, epochs: int = 99) -> Config:
    config = put(configured(), "stopping.metric", metric)
    config = put(put(config, "stopping.patience", patience), "stopping.min_delta", delta)
    return put(config, "epochs.count", epochs)  # type: ignore[no-any-return]


def over(values: list[float], config: Config) -> int | None:
    """The first epoch behind which stopping says that it is over."""
    ends = (n for n in range(len(values) + 1) if stopping.is_over(values[:n], config))
    return next(ends, None)


@pytest.mark.parametrize(
    ("metric", "values", "end"),
    [
        ("accuracy", [0.1, 0.2, 0.3, 0.3, 0.3, 0.9], 5),
        ("accuracy", [0.5, 0.4, 0.6, 0.5, 0.4], 5),
        ("accuracy", [0.5, 0.4], None),
        ("accuracy", [0.5, 0.4, 0.3], 3),
        ("loss", [2.0, 1.0, 1.5, 1.0], 4),
        ("loss", [2.0, 1.0, 0.5, 0.25], None),
        ("loss", [math.nan, math.nan, 1.0], 2),
        ("loss", [math.nan, 1.0, math.inf, 0.5, math.nan, math.inf], 6),
        (None, [], None),
    ],
)
def test_it_is_over_after_so_many_epochs_without_a_better_value(
    metric: str | None, values: list[float], end: int | None
) -> None:
    assert over(values, asking(metric)) == end


def test_a_gain_counts_beyond_min_delta_and_adds_up_from_the_best() -> None:
    values = [0.5, 0.625, 0.75, 0.875]
    assert over(values, asking("accuracy", 1, 0.125)) == 2
    assert over(values, asking("accuracy", 2, 0.125)) is None
    assert over(values, asking("accuracy", 3, 0.375)) == 4
    assert over([1.0, 0.875], asking("loss", 1, 0.125)) == 2
    assert over([1.0, 0.874], asking("loss", 1, 0.125)) is None


VALUES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, math.nan]), max_size=12)


@given(VALUES, st.integers(1, 4), st.sampled_from(["loss", "accuracy"]),
       st.sampled_from([0.0, 0.25, 0.3]))  # fmt: skip
def test_it_is_over_where_counting_by_hand_says(
    values: list[float], patience: int, metric: str, delta: float
) -> None:
    wanted = by_hand(values, patience, metric == "accuracy", delta)
    assert over(values, asking(metric, patience, delta)) == wanted


def row(epoch: int, loss: float, accuracy: float) -> Epoch:
    return Epoch(epoch, 1.0, Evaluation(loss, accuracy, {"f1": loss}), 0.1, (), "")


def test_the_outcome_has_the_last_and_the_best_epoch_and_says_why() -> None:
    rows = [row(1, 2.0, 0.5), row(2, 1.0, 0.75), row(3, 1.0, 0.5), row(4, 1.5, 0.5)]
    assert stopping.outcome(rows, asking("loss")) == {"stopping/epoch": 4, "stopping/best_epoch": 2}
    assert stopping.said(rows, asking("loss")) == (
        "after epoch 4 of 99: validation/loss has not improved for 2 epochs "
        "(best 1.0000 in epoch 2)"
    )
    one = stopping.said([*rows[:2], row(3, 1.0, 0.5)], asking("loss", 1))
    assert "has not improved for 1 epoch (" in one
    assert stopping.said(rows, asking("loss", 3)) == ""
    assert stopping.said(rows, asking("loss", epochs=4)) == ""  # it was to end there
    assert stopping.outcome(rows, asking(None)) == {}
    assert stopping.said(rows, asking(None)) == ""
    bad = [row(1, math.nan, 0.1), row(2, math.nan, 0.1)]
    assert stopping.outcome(bad, asking("loss"))["stopping/best_epoch"] == 0
    assert stopping.said(bad, asking("loss")).endswith("for 2 epochs (best none)")


def test_an_own_metric_stops_its_own_way_up() -> None:
    for higher, best in ((True, 1), (False, 2)):
        node = {"_target_": "a.b", "higher_is_better": higher}
        config = put(asking("f1"), "metrics", {"f1": node})
        rows = [row(1, 2.0, 0.5), row(2, 1.0, 0.75), row(3, 1.5, 0.5)]
        assert stopping.outcome(rows, config)["stopping/best_epoch"] == best


def fitted(config: Config) -> tuple[trainer.State, list[Epoch]]:
    state = trainer.start(config, CPU)
    return state, list(trainer.epochs(state, digits(config), config))


def test_training_is_the_same_up_to_where_it_stops() -> None:
    """And stops where the values of the run that does not say."""
    plain = fitted(configured(*RUN, "epochs.count=20"))[1]
    state, rows = fitted(configured(*STOPPED, "epochs.count=20"))
    accuracies = [one.validation.accuracy for one in plain if one.validation]
    end = by_hand(accuracies, 3, higher=True, delta=0.0)
    assert end is not None and end < 20
    assert [one.weights for one in rows] == [one.weights for one in plain[:end]]
    assert state.scores == accuracies[:end]
    assert fitted(configured(*RUN, "epochs.count=2"))[0].scores == []


def test_wherever_a_state_is_taken_up_it_stops_in_the_same_epoch() -> None:
    config = configured(*STOPPED, "epochs.count=20", "data.batch_size=700")
    whole, splits = trainer.start(config, CPU), digits(config)
    events = 0
    for _ in trainer.fit(whole, splits, config):
        events += 1
    for left in range(1, events + 1):
        state, again = trainer.start(config, CPU), trainer.start(config, CPU)
        for _, _ in zip(range(left), trainer.fit(state, splits, config), strict=False):
            pass
        again.restore(state.tree())
        for _ in trainer.fit(again, splits, config):
            pass
        assert (again.epoch, again.scores) == (whole.epoch, whole.scores)
        for name, value in whole.model.state_dict().items():
            assert torch.equal(again.model.state_dict()[name], value)


def identified(*words: str) -> Recipe:
    config = configured(*words)
    return identify(config, "data", sizes.validation_examples(config.data), "cpu")


def test_it_is_part_of_a_recipe_where_a_metric_stops_and_no_part_where_none_does() -> None:
    plain = identified(*RUN)
    assert "stopping" not in plain.document["config"]
    assert identified(*RUN, "stopping.patience=9", "stopping.min_delta=1") == plain
    some = [identified(*STOPPED), identified(*STOPPED, "stopping.patience=9"),
            identified(*STOPPED, "stopping.min_delta=0.1"),
            identified(*RUN, "stopping.metric=loss", "stopping.patience=3"), plain]  # fmt: skip
    assert len({one.id for one in some}) == len({one.trunk for one in some}) == 5
    assert identified(*STOPPED, "epochs.count=3").trunk == identified(*STOPPED).trunk


def test_it_needs_what_is_held_out_and_a_metric_that_is_measured() -> None:
    line = r"^data\.validation_share=0\.0: allowed with stopping\.metric=loss is what holds an exam"
    with pytest.raises(BadInput, match=line):
        configured("stopping.metric=loss", "data.validation_share=0")
    line = r"^stopping\.metric=macro_f1: allowed is null, or one of loss, accuracy, which this run"
    with pytest.raises(BadInput, match=line):
        configured("stopping.metric=macro_f1")
    config = configured("stopping.metric=macro_f1", "metrics=macro_f1")
    rehearsal.rehearse(config, CPU)
    assert fitted(put(config, "epochs.count", 1))[0].scores[0] > 0


def results(folder: Path, run: str) -> dict[str, Any]:
    read = json.loads((artifacts(folder, run) / "metrics.json").read_text())
    rows = [{k: v for k, v in one.items() if k != "epoch_seconds"} for one in read["epochs"]]
    return {**read, "epochs": rows, "train/seconds": 0}


def tags(folder: Path, run: str) -> dict[str, str]:
    found: dict[str, str] = client(folder).get_run(run).data.tags
    return found


def test_the_outcome_is_on_record_and_a_longer_run_is_answered_without_training(
    outputs: Path,
) -> None:
    short = bring(outputs, *STOPPED, "epochs=2")
    assert short.stopped == "" and "stopped" not in tags(outputs, short.run_id)
    made = bring(outputs, *STOPPED, "epochs=20")
    assert (made.status, made.origin) == ("FINISHED", "continued")
    ended = results(outputs, made.run_id)
    end = len(ended["epochs"])
    assert 3 < end < 20
    assert ended["stopping/epoch"] == end and ended["stopping/best_epoch"] == end - 3
    assert client(outputs).get_run(made.run_id).data.metrics["stopping/epoch"] == end
    assert client(outputs).get_run(made.run_id).data.params["epochs"] == "20"
    assert tags(outputs, made.run_id)["stopped"] == made.stopped
    assert made.stopped.startswith(f"after epoch {end} of 20: validation/accuracy has not")
    longer = bring(outputs, *STOPPED, "epochs=40")
    assert longer.origin == "continued"
    assert results(outputs, longer.run_id) == ended
    logs = [(artifacts(outputs, one.run_id) / "train.log").read_text() for one in (made, longer)]
    assert ["  accuracy " in log for log in logs] == [True, False]  # a line for each epoch trained
    assert bring(outputs, *STOPPED, "epochs=20").stopped == made.stopped  # from the record
    fresh = bring(outputs, *STOPPED, "epochs=40", "fresh=true")
    assert fresh.origin == "new"
    assert results(outputs, fresh.run_id) == ended


def test_the_state_where_it_stopped_is_kept_as_a_runs_end(outputs: Path) -> None:
    made = bring(outputs, *STOPPED, "epochs=20")
    end = len(results(outputs, made.run_id)["epochs"])
    kept = trial(outputs, *STOPPED, "epochs=20").trunk.positions(20)
    assert [(place, file.stem) for place, file in kept] == [((end, 0), f"final-{end}")]


def test_a_replay_stops_in_the_same_epoch(outputs: Path) -> None:
    made = bring(outputs, *STOPPED, "epochs=20")
    store = seen_anew(outputs)
    (run,) = [one for one in reading.search(store, "") if one.id == made.run_id]
    judged = replay.replay(store, run, words.read("replay", [f"outputs={outputs}"]))
    assert judged.kind == "identical"


def test_a_sweep_shares_the_trunk_and_a_copy_says_that_it_was_stopped(outputs: Path) -> None:
    made = bring(outputs, *STOPPED, "epochs=20")
    sweep(outputs, "data=digits", *STOPPED, "epochs=2,20,40")
    runs = {run.data.params["epochs"]: run for run in recorded(outputs)
            if "mlflow.parentRunId" in run.data.tags}  # fmt: skip
    assert runs["20"].data.tags["cached"] == made.run_id
    assert runs["20"].data.tags["stopped"] == made.stopped
    ended = results(outputs, made.run_id)
    assert results(outputs, runs["20"].info.run_id) == ended
    assert results(outputs, runs["40"].info.run_id) == ended
    assert len(results(outputs, runs["2"].info.run_id)["epochs"]) == 2


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_with_what_it_knew(tmp_path: Path) -> None:
    run = ["data=digits", "model=linear", "optimizer=sgd", "optimizer.lr=0.001",
           "stopping.metric=loss", "stopping.min_delta=10", "stopping.patience=40"]  # fmt: skip
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    done = train(straight, *run, "epochs=400")
    assert done.returncode == 0, done.stderr
    assert "stopped        after epoch 41 of 400: validation/loss" in done.stdout
    stopped = start(broken, *run, "epochs=400", "cadence=0")
    stopped.wait_until("epoch  20/400")
    stopped.kill(signal.SIGKILL)
    assert train(broken, *run, "epochs=400").returncode == 0
    (one,), (other,) = recorded(straight), recorded(broken)
    assert "resumed_from_epoch" in other.data.tags
    assert results(straight, one.info.run_id) == results(broken, other.info.run_id)
