"""What a report ranks by: any metric of the validation examples, its own way up, never the test."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from composing import configured
from matplotlib.text import Text
from processes import train
from recorded import compared, opened, product, rows, seen_anew
from running import bring, recorded

from factorial.comparison import findings, intervals, report, table, wording
from factorial.comparison import rows as tables
from factorial.comparison.findings import Findings
from factorial.comparison.ranking import Ranking
from factorial.comparison.table import Comparison
from factorial.record import selection, writing
from factorial.record.selection import Asked
from factorial.record.store import Store
from factorial.results import Evaluation
from factorial.settings.messages import BadInput
from factorial.settings.recipe import digest

LOSS, UP = Ranking("loss", higher=False), Ranking("macro_f1", higher=True)
GRID = product(model=["linear", "mlp"], optimizer=["sgd", "adam"], seed=[0, 1, 2])


def drawn(seed: int = 0) -> list[dict[str, Any]]:
    """Values of any size: linear sgd about 2, mlp adam about 1, lower is better."""
    noise = np.random.default_rng(seed)
    return [
        {**one, "accuracy": 2 - 0.4 * (one["model"] == "mlp") - 0.6 * (one["optimizer"] == "adam")
         + float(noise.normal(0, 0.02))}
        for one in GRID
    ]  # fmt: skip


def mirrored(runs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**one, "accuracy": -one["accuracy"]} for one in runs]


def found(runs: Iterable[Mapping[str, Any]], ranking: Ranking) -> Findings:
    return findings.find(compared(runs, ranking))


def test_lower_is_better_mirrors_higher_is_better() -> None:
    """The same values with the other sign: same ranks, same ties, same winner, same shares."""
    low, high = found(drawn(), LOSS), found(mirrored(drawn()), UP)
    assert low.winner["label"] == high.winner["label"] == "mlp adam"
    for column in ("label", "rank", "tied", "tie", "blocked", "front_seconds", "front_parameters"):
        assert low.board[column].tolist() == high.board[column].tolist(), column
    assert low.board["mean"].tolist() == (-high.board["mean"]).tolist()
    assert low.board["mean"].is_monotonic_increasing
    assert low.board["low"].tolist() == pytest.approx((-high.board["high"]).tolist())
    assert low.best_run["id"] == high.best_run["id"]
    ours, theirs = (one.score.analysis.table["share"] for one in (low, high))
    assert ours.tolist() == pytest.approx(theirs.tolist())


def test_the_winners_best_seed_has_the_lowest_loss() -> None:
    made = found(drawn(), LOSS)
    of_winner = [one for one in drawn() if (one["model"], one["optimizer"]) == ("mlp", "adam")]
    assert made.best_run["score"] == min(one["accuracy"] for one in of_winner)


def test_what_is_no_share_of_images_has_no_binomial_error_and_no_end_at_0_or_1() -> None:
    made = found([{**one, "accuracy": one["accuracy"] * 100} for one in drawn()], LOSS)
    assert "binomial_low" not in made.board
    assert made.test_binomial is None and made.error is None
    worst = made.board.iloc[-1]
    values = [100 * one["accuracy"] for one in drawn()
              if (one["model"], one["optimizer"]) == ("linear", "sgd")]  # fmt: skip
    assert (worst["mean"], worst["low"], worst["high"]) == intervals.mean(values)[:3]
    assert worst["high"] > 1


def test_one_seed_alone_tells_nothing_apart_where_there_is_no_binomial_error() -> None:
    made = found([one for one in drawn() if one["seed"] == 0], LOSS)
    assert made.board["rank"].tolist() == [None] * 4
    assert made.board["tie"].all()
    assert "one seed a setting: no interval over seeds; nothing is told apart" in made.notes


def test_every_word_follows_the_metric() -> None:
    made = found(drawn(), LOSS)
    said = wording.summary(made, chance=0.1)
    assert said[0].startswith("Best by validation loss is mlp adam. Its test loss is ")
    assert said[1].startswith("From linear with sgd (validation loss 2.0")
    assert said[-1].startswith("Of the variance in validation loss: ")
    words = " ".join([*said, wording.method(made), *made.notes])
    assert "the lowest mean is among them, or it is the lowest" in words
    assert not [word for word in ("accuracy", "error:", "highest", "images") if word in words]
    listed = [tables.board(made), tables.level_effects(made), tables.squares(made),
              tables.variance(made)]  # fmt: skip
    columns = {column for some in listed for row in some for column in row}
    assert {"validation loss", "loss"} <= columns
    assert not [column for column in columns if "accuracy" in column or "error" in column]


def test_a_tie_of_all_names_the_lowest() -> None:
    noise = np.random.default_rng(0)
    same = [{**one, "accuracy": float(noise.normal(1, 1))} for one in GRID]
    made = found(same, LOSS)
    assert wording.chosen(made) == (
        f"No winner: all 4 settings tie by validation loss; the lowest is {made.winner['label']}"
    )


@pytest.mark.slow
@pytest.mark.parametrize("ranking", [LOSS, UP, Ranking("mine", higher=False)])
def test_every_figure_is_drawn_and_says_what_ranks(ranking: Ranking) -> None:
    levels = product(optimizer_lr=[0.1, 0.01], optimizer=["sgd", "adam"], seed=[0, 1])
    draws = np.random.default_rng(0)
    comparison = compared([{**one, "accuracy": float(draws.normal(5))} for one in levels], ranking)
    curves = comparison.curves.rename(columns={"validation/accuracy": f"validation/{ranking.name}"})
    if ranking.name == "loss":
        curves = comparison.curves
    made = findings.find(Comparison(**{**vars(comparison), "curves": curves}))
    with report.style.style():
        for picture in report.PICTURES:
            figure = picture.draw(made)
            if picture.name in ("gradients", "charts"):
                continue
            assert figure is not None, picture.name
            texts = {text.get_text() for text in figure.findobj(Text)}  # type: ignore[call-arg]
            assert any(f"validation {ranking.words}" in text for text in texts), picture.name
            assert not any("accuracy" in text for text in texts), picture.name


def planted(store: Store, name: str, values: Mapping[int, float], **params: Any) -> writing.Run:
    """A run of three epochs with other metrics beside, by epoch."""
    run = writing.new(store, name, {"recipe": digest([name, params])})
    run.describe({"model": name, "seed": 0, **params})
    made = rows(0.9, 3)
    run.log_rows(
        [row._replace(validation=Evaluation(row.validation.loss, 0.9, {"f1": values[row.epoch]}))
         for row in made if row.validation]
    )  # fmt: skip
    costs = {"train/seconds": 1.0, "parameters": 10}
    run.conclude({"test/accuracy": 0.8, "test/loss": 1.0, "test/f1": values[3] - 0.1, **costs})
    run.end()
    return run


def load(folder: Path, rank_by: str) -> Comparison:
    store = seen_anew(folder)
    return table.load(store, selection.select(store, Asked(None, "planted", None)), rank_by)


BETTER = "metrics.f1.higher_is_better"


def test_a_recorded_metric_ranks_by_its_last_value_and_the_way_that_is_on_record(
    tmp_path: Path,
) -> None:
    store = opened(tmp_path)
    planted(store, "linear", {1: 9.0, 2: 0.2, 3: -3.5}, **{BETTER: False})
    planted(store, "mlp", {1: 0.1, 2: 0.1, 3: 7.5}, **{BETTER: False})
    made = findings.find(load(tmp_path, "validation/f1"))
    assert made.board["label"].tolist() == ["linear", "mlp"]
    assert made.board["mean"].tolist() == [-3.5, 7.5]
    assert made.test.value == pytest.approx(-3.6)
    assert report.metrics(made)["ranked_by"] == "validation/f1"
    curves = load(tmp_path, "validation/f1").curves
    assert sorted(curves["validation/f1"]) == [-3.5, 0.1, 0.1, 0.2, 7.5, 9.0]
    assert load(tmp_path, "validation/f1").settings == ["model"]


@pytest.mark.parametrize(
    ("rank_by", "line"),
    {
        "validation/f2": "allowed is one of validation/accuracy, validation/f1, validation/loss",
        "validation/f1": "allowed is a metric of which all runs say whether higher is better",
    }.items(),
)
def test_what_runs_do_not_have_or_differ_on_ranks_nothing(
    rank_by: str, line: str, tmp_path: Path
) -> None:
    store = opened(tmp_path)
    planted(store, "linear", {1: 1, 2: 1, 3: 1}, **{BETTER: False})
    planted(store, "mlp", {1: 1, 2: 1, 3: 1}, **{BETTER: True})
    with pytest.raises(BadInput) as caught:
        load(tmp_path, rank_by)
    assert str(caught.value) == f"rank_by={rank_by}: {line}"


def test_a_run_without_the_metric_or_without_a_number_is_listed_and_the_test_set_has_no_say(
    tmp_path: Path,
) -> None:
    store = opened(tmp_path)
    planted(store, "linear", {1: 1, 2: 1, 3: 1}, **{BETTER: False})
    planted(store, "mlp", {1: 1, 2: 1, 3: float("nan")}, **{BETTER: False})
    made = load(tmp_path, "validation/f1")
    assert made.runs["model"].tolist() == ["linear"]
    assert made.failures[["model", "reason"]].to_numpy().tolist() == [
        ["mlp", "no validation/f1 that is a finite number is on record"]
    ]
    planted(opened(tmp_path), "mlp", {1: 1, 2: 1, 3: float("nan")}, **{BETTER: False})
    line = "none of its 1 runs has a result to compare (no validation/f1 that is a finite number is"
    with pytest.raises(BadInput, match=re.escape(line)):
        load(tmp_path, "validation/f1")


@pytest.mark.parametrize("word", ["test/accuracy", "test/f1", "train/loss", "f1", "validation/"])
def test_nothing_but_validation_ranks(word: str) -> None:
    line = f"rank_by={word}: allowed is a metric of the validation examples, such as "
    with pytest.raises(BadInput, match=f"^{line}validation/loss: the test set has no say"):
        configured(f"rank_by={word}")


def test_a_run_is_to_have_what_its_report_ranks_by() -> None:
    assert configured("rank_by=validation/macro_f1", "metrics=macro_f1")
    line = "allowed is one of validation/loss, validation/accuracy, which this run has; metrics="
    with pytest.raises(BadInput, match=rf"^rank_by=validation/macro_f1: {line}"):
        configured("rank_by=validation/macro_f1")


@pytest.mark.slow
def test_a_sweep_and_compare_rank_by_what_is_asked(tmp_path: Path) -> None:
    words = ["data=digits", "model=linear", "optimizer=sgd,adam", "seed=0,1", "epochs=1",
             "metrics=calibration_error", "rank_by=validation/calibration_error"]  # fmt: skip
    done = train(tmp_path, "-m", *words, "report=true")
    assert done.returncode == 0, done.stderr
    values: dict[str, list[float]] = {"sgd": [], "adam": []}
    for run in recorded(tmp_path):
        if "optimizer" in run.data.params and "mlflow.parentRunId" in run.data.tags:
            values[run.data.params["optimizer"]].append(
                run.data.metrics["validation/calibration_error"]
            )
    best = min(values, key=lambda name: np.mean(values[name]))
    (folder,) = (tmp_path / "report").iterdir()
    first = json.loads((folder / "metrics.json").read_text())
    assert (first["ranked_by"], first["winner"]) == ("validation/calibration_error", best)
    assert first["score"]["value"] == pytest.approx(np.mean(values[best]))
    assert "Calibration error against cost" in (folder / "index.html").read_text()
    again = train(tmp_path, "rank_by=validation/loss", command="compare")
    assert again.returncode == 0, again.stderr
    assert "by validation loss" in again.stdout
    refused = train(tmp_path, "rank_by=test/loss", command="compare")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: rank_by=test/loss: allowed is a metric of the valid")


def test_what_ranks_is_no_part_of_a_recipe(outputs: Path) -> None:
    made = bring(outputs, "model=linear", "epochs=1")
    again = bring(outputs, "model=linear", "epochs=1", "rank_by=validation/loss")
    assert (again.origin, again.run_id) == ("cached", made.run_id)
