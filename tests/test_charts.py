"""The charts that one plays with, as specs: what survives many settings and long names."""

from typing import Any

import numpy as np
import pytest
from recorded import compared, planted, product

from factorial.comparison import findings
from factorial.comparison.explore.document import Beside, document
from factorial.comparison.findings import Findings

FEW = product(model=["linear", "mlp"], optimizer=["sgd", "adam"], seed=[0, 1])
HIDDEN = ["[512,256,128,64,32,16]", "[512,256,128,64,32,8]", "[512,256,128,64,32,4]"]
MANY = product(model_hidden=HIDDEN, optimizer_lr=[0.001, 0.01, 0.1], epochs=[3, 5, 8, 9],
               precision=["bfloat16"], optimizer=["sgd", "adam"], seed=[0, 1])  # fmt: skip

# A preset with one ingredient left out at a time
LEFT_OUT = {"augmentation": "shift", "schedule": "one_cycle", "label_smoothing": 0.05,
            "augmentation_elastic": 1, "ema_decay": 0.995, "model_dropout": 0.05}  # fmt: skip
OTHERS: list[dict[str, Any]] = [
    {}, {"augmentation": "none"}, {"schedule": "constant"}, {"label_smoothing": 0},
    {"augmentation_elastic": 0}, {"ema_decay": "None"}, {"model_dropout": 0},
]  # fmt: skip
ONE_AT_A_TIME = [{"seed": seed, **LEFT_OUT, **other} for other in OTHERS for seed in (0, 1)]


def charted(grid: list[dict[str, Any]]) -> tuple[Findings, dict[str, Any]]:
    made = findings.find(compared(planted(grid)))
    return made, document(made, Beside())


def bands(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [layer for layer in spec["layer"] if "values" in layer.get("data", {})]


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["score", "loss"])
def test_many_other_settings_are_bands_of_quantiles(metric: str) -> None:
    made, told = charted(MANY)
    spec = told["charts"][metric]
    outer, inner, median = bands(spec)
    assert [outer["encoding"][key]["field"] for key in ("y", "y2")] == ["q10", "q90"]
    assert [inner["encoding"][key]["field"] for key in ("y", "y2")] == ["q25", "q75"]
    assert median["encoding"]["y"]["field"] == "q50"
    column = {"score": "validation/accuracy", "loss": "train/loss"}[metric]
    runs = made.comparison.runs.assign(label=made.comparison.labels)
    table = made.comparison.curves.merge(runs[["id", "label"]], on="id")
    others = table[~table["label"].isin(made.board["label"][:6])]
    means = others.groupby(["epoch", "label"])[column].mean()
    for row in outer["data"]["values"]:
        expected = np.percentile(means[row["epoch"]], [10, 25, 50, 75, 90])
        assert [row[f"q{share}"] for share in (10, 25, 50, 75, 90)] == pytest.approx(
            expected.tolist(), abs=1e-6
        )
    lines = [one for one in spec["layer"] if one["mark"]["type"] == "line" and "data" not in one]
    assert "datum.s < 6 || " in lines[0]["transform"][0]["filter"]  # the best, and what is chosen
    assert "of 66 other settings" in " ".join(spec["title"]["text"])
    assert "of 66 other settings" in spec["description"]


@pytest.mark.parametrize(
    ("epochs", "ticks"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (20, [*range(3, 19, 3)])]
)
def test_an_axis_of_epochs_has_whole_numbers_and_each_once(epochs: int, ticks: list[int]) -> None:
    _, told = charted(product(optimizer=["sgd", "adam"], epochs=[epochs], seed=[0, 1]))
    for metric in ("score", "loss"):
        for layer in told["charts"][metric]["layer"]:
            axis = layer["encoding"]["x"]["axis"]
            assert axis["values"] == ticks
            assert axis["labelFlush"] is False  # each below its own tick


def test_few_settings_are_all_lines_and_nothing_stands_above_them() -> None:
    _, told = charted(FEW)
    for metric in ("score", "loss"):
        spec = told["charts"][metric]
        assert not bands(spec) and "title" not in spec
        assert [one["transform"] for one in spec["layer"][:1]] == [[]]


@pytest.mark.slow
def test_names_on_axes_are_short_whole_and_no_two_alike() -> None:
    made, told = charted(MANY)
    names = [one["name"] for one in told["settings"]]
    assert len(set(names)) == len(names) == len(made.board) == 72
    assert all("\n" not in name for name in names)
    spec = told["charts"]["leaderboard"]
    axis = spec["layer"][0]["encoding"]["y"]
    assert axis["sort"] == names and axis["axis"]["labelLimit"] == 0
    assert spec["usermeta"]["least"] >= 6 * max(map(len, names)) + 200  # or the page scrolls it


def test_what_all_settings_with_a_result_share_is_said_once() -> None:
    runs = planted(FEW)
    for run in runs:
        if run["model"] == "linear":
            del run["accuracy"]
            run["failure"] = "the training loss is nan in epoch 1"
    made = findings.find(compared([run for run in runs if "accuracy" in run] + [
        run for run in runs if "accuracy" not in run]))  # fmt: skip
    told = document(made, Beside())
    assert [one["name"] for one in told["settings"]] == ["adam", "sgd"]
    assert told["charts"]["leaderboard"]["title"]["text"] == ["all with mlp"]


@pytest.mark.slow
def test_panels_and_levels_of_the_map_are_called_apart() -> None:
    _, told = charted(MANY)
    spec = told["charts"]["map"]
    encoding = spec["spec"]["layer"][0]["encoding"]
    for channel, field in (("x", "column"), ("y", "row")):
        levels = encoding[channel]["sort"]
        assert len(set(levels)) == len(levels) > 1 and max(map(len, levels)) <= 20
        assert {cell[field] for cell in told["cells"]} == set(levels)
        assert encoding[channel]["axis"]["labelLimit"] == 0
    panels = spec["facet"]["sort"]
    assert len(set(panels)) == len(panels) == 6
    assert {cell["panel"] for cell in told["cells"]} == set(panels)
    assert spec["usermeta"]["panel"] >= 6 * max(map(len, panels))


def test_words_above_a_chart_leave_it_its_room_on_a_phone() -> None:
    """A line that is wider than the page would leave the chart none."""
    _, told = charted(ONE_AT_A_TIME)
    lines = told["charts"]["leaderboard"]["title"]["text"]
    assert len(lines) > 1 and max(map(len, lines)) <= 50
    assert " ".join(lines).startswith("all with shift one_cycle label_smoothing=0.05 ")
    assert " ".join(lines).endswith(" unless said otherwise")


def test_a_map_says_what_its_panels_share_and_has_room_for_the_names_of_its_axes() -> None:
    _, told = charted(ONE_AT_A_TIME)
    spec = told["charts"]["map"]
    assert "base" in spec["facet"]["sort"]
    assert spec["usermeta"]["note"].startswith("all with ")
    assert spec["usermeta"]["note"].endswith(" unless said otherwise")
    encoding = spec["spec"]["layer"][0]["encoding"]
    for channel, side in (("x", "width"), ("y", "height")):
        long = spec["spec"][side]["step"] * len(encoding[channel]["sort"])
        assert long >= 6.5 * len(encoding[channel]["title"]) > 90, channel


def test_an_axis_of_losses_ends_where_they_do() -> None:
    _, told = charted(FEW)
    scale = told["charts"]["loss"]["layer"][0]["encoding"]["y"]["scale"]
    assert (scale["type"], scale["nice"]) == ("log", False)  # or it goes on to whole decades


def test_a_cell_of_the_map_has_room_for_the_longest_number_of_any_score() -> None:
    made = findings.find(compared(planted(FEW)))
    made.comparison.runs["gap"] = -3.3512e27
    step = document(made, Beside())["charts"]["map"]["spec"]
    assert step["width"]["step"] >= 6.5 * len("-3.35e+27")
