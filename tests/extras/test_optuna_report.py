"""The report of a search: made from its record, and claiming nothing that a grid could."""

import csv
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import optuna
import pytest
from conftest import ROOT
from processes import train
from running import children, parents
from searched import LINEAR, RATE, document, search, trials

from factorial.comparison import trials as tables
from factorial.comparison.figures import search as figures
from factorial.comparison.trials import Trials
from factorial.record.selection import Selection

pytestmark = pytest.mark.slow

WORDS = [*LINEAR[:-2], "epochs=4", "report=false", RATE, "data.batch_size=100,200"]


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reported") / "outputs"
    search(folder, *WORDS, pruner="halving", reduction=2, at_once=6, trials=12, sampler="random")
    return folder


def compare(folder: Path, python: Path | str = ROOT / ".venv-extras/bin/python") -> str:
    """What `factorial compare` says, and the page that it makes."""
    command = [str(python), "-m", "factorial", "compare", f"outputs={folder}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def page(folder: Path) -> str:
    (file,) = (folder / "report").glob("*/index.html")
    return file.read_text()


PICTURES = ["history", "rungs", "importances", "parallel", "slices"]


def test_a_search_is_reported_as_one(halved: Path) -> None:
    said = compare(halved)
    best = max(
        (trial for trial in trials(halved) if trial["state"] == "COMPLETE"),
        key=lambda trial: (trial["value"], -trial["number"]),
    )
    text = page(halved)
    assert "a search, not a controlled comparison" in text
    for words in (said, text):
        assert f"Best of 12 trials: trial {best['number']}, validation accuracy" in words
        assert "neither intervals nor an analysis of variance" in words
    assert re.findall(r'<figure id="(\w+)">', text) == PICTURES
    assert document(halved)["confirm"] in text.replace("&#39;", "'")
    assert "95 %" not in text and "Type II" not in text and 'src="http' not in text
    (folder,) = (halved / "report").iterdir()
    files = {f"{name}{suffix}" for name in PICTURES for suffix in (".png", ".svg")}
    pages = {"index.html", "report.md", "trials.csv", "metrics.json"}
    assert {file.name for file in folder.iterdir()} == files | pages
    (parent,) = parents(halved)
    attached = halved / "runs" / parent.info.run_id / "artifacts" / "report" / "index.html"
    assert attached.read_text() == text
    with (folder / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["value"]) for row in rows] == [trial["value"] for trial in trials(halved)]
    numbers = json.loads((folder / "metrics.json").read_text())
    states = [trial["state"] for trial in trials(halved)]
    assert (numbers["complete"], numbers["pruned"]) == (states.count("COMPLETE"), 12 - states.count(
        "COMPLETE"))  # fmt: skip
    assert numbers["best"] == best["number"] and numbers["score"] == best["value"]


def test_without_optuna_all_but_importances_is_reported(halved: Path) -> None:
    said = compare(halved, ROOT / ".venv" / "bin" / "python")
    assert "note: no importances: importances of a search's settings: needs optuna" in said
    assert re.findall(r'<figure id="(\w+)">', page(halved)) == [
        name for name in PICTURES if name != "importances"
    ]


def loaded(folder: Path) -> Trials:
    (parent,) = parents(folder)
    selection = Selection("search x", "x", [], None, {})
    assert parent.data.tags["search"] == "optuna"
    return tables.read(document(folder), selection)


def test_importances_are_optunas_of_the_first_rung(halved: Path) -> None:
    study = optuna.create_study(direction="maximize")
    space = {
        "optimizer.lr": optuna.distributions.FloatDistribution(0.001, 1, log=True),
        "data.batch_size": optuna.distributions.CategoricalDistribution(["100", "200"]),
    }
    for trial in trials(halved):
        params, value = trial["params"], trial["values"]["1"]
        study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=value))
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    by_hand = optuna.importance.get_param_importances(study, evaluator=evaluator)
    found = tables.importances(loaded(halved))
    assert set(found) == set(by_hand)
    assert next(iter(found)) == next(iter(by_hand)) == "optimizer.lr"
    assert sum(found.values()) == pytest.approx(1)


def test_the_history_draws_each_trial_and_the_best_so_far(halved: Path) -> None:
    drawn = figures.history(loaded(halved), {})
    assert drawn is not None
    lines = {line.get_label(): line for line in drawn.axes[0].get_lines()}
    complete = [trial for trial in trials(halved) if trial["state"] == "COMPLETE"]
    pruned = [trial for trial in trials(halved) if trial["state"] == "PRUNED"]
    for name, some in (("complete", complete), ("pruned", pruned)):
        assert list(lines[name].get_xdata()) == [trial["number"] for trial in some]
        assert list(lines[name].get_ydata()) == [trial["value"] for trial in some]
    best = [max(one["value"] for one in complete[: place + 1]) for place in range(len(complete))]
    assert list(lines["best so far"].get_ydata()) == best


def planted(places: list[tuple[float, int]]) -> Trials:
    """Trials of one rung at these learning rates and sizes of batch."""
    space = {"lr": {"low": 0.01, "high": 1.0, "log": True, "step": None},
             "size": {"low": 100, "high": 300, "log": False, "step": 1}}  # fmt: skip
    document = {
        "space": {key: json.dumps({"attributes": one}) for key, one in space.items()},
        "rungs": [9], "seeds": [0], "sampler": "random", "confirm": "",
        "trials": [{"number": n, "state": "COMPLETE", "values": {"9": 0.9 + n / 100}, "reason": "",
                    "params": {"lr": lr, "size": size}} for n, (lr, size) in enumerate(places)],
    }  # fmt: skip
    return tables.read(document, Selection("search x", "x", [], None, {}))


def test_a_contour_lies_between_the_trials() -> None:
    corners = [(0.01, 100), (0.01, 300), (1.0, 100), (1.0, 300), (0.1, 200), (0.1, 300)]
    drawn = figures.contour(planted(corners), {"size": 0.7, "lr": 0.3})
    assert drawn is not None
    axes = drawn.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("size", "lr, log scale")
    (line,) = axes.get_lines()
    assert list(line.get_xdata()) == [0, 1, 0, 1, 0.5, 1]
    assert list(line.get_ydata()) == pytest.approx([0, 0, 1, 1, 0.5, 0.5])
    (filled,) = axes.collections
    assert filled.levels[0] <= 0.9 and filled.levels[-1] >= 0.95


@pytest.mark.parametrize(
    "places", [[(0.1, 100 + place) for place in range(9)], [(0.1, 100), (1.0, 200)] * 9, []]
)
def test_none_is_drawn_between_too_few_or_on_one_line(places: list[tuple[float, int]]) -> None:
    assert figures.contour(planted(places), {}) is None


@pytest.mark.parametrize("gone", ["space", "trials", "rungs"])
def test_a_file_that_is_no_searchs_is_one_line(gone: str, halved: Path, tmp_path: Path) -> None:
    damaged: dict[str, Any] = {k: v for k, v in document(halved).items() if k != gone}
    (parent,) = parents(halved)
    file = halved / "runs" / parent.info.run_id / "artifacts" / "search.json"
    whole = file.read_bytes()
    try:
        file.write_text(json.dumps(damaged))
        done = train(halved, command="compare")
        assert done.returncode == 1 and done.stderr.count("\n") == 1
        assert "search.json can't be read" in done.stderr
        file.unlink()
        done = train(halved, command="compare")
        assert done.returncode == 1 and "search.json is gone from the files of" in done.stderr
    finally:
        file.write_bytes(whole)


def test_a_search_whose_trials_all_failed_is_reported(outputs: Path) -> None:
    words = ["-m", "hydra/sweeper=optuna", *LINEAR[:-1], "optimizer.lr=choice(1e37,1e38)"]
    done = train(outputs, *words, "hydra.sweeper.sampler=grid", "report=true")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 trials, 2 failed" in done.stdout and "No trial is complete." in done.stdout
    assert "<h2>Trials without a value</h2>" in page(outputs) and "<figure" not in page(outputs)


def test_a_search_ends_with_its_report(outputs: Path) -> None:
    words = ["-m", "hydra/sweeper=optuna", *LINEAR[:-1], RATE, "hydra.sweeper.trials=2"]
    done = train(outputs, *words, "report=true")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "report: " in done.stdout and "a search, not a controlled" in page(outputs)
    assert len(children(outputs)) == 2
