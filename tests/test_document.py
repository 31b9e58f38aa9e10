"""What a report's page is told for its charts and pairs, and how Vega draws it: no browser."""

import base64
import io
import json
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from charted import Mark, marks
from explored import images, readings
from PIL import Image
from recorded import compared, planted, product
from scipy import stats

from factorial.comparison import findings
from factorial.comparison import readings as loading
from factorial.comparison.explore import document as documents
from factorial.comparison.explore import evidence, specs, sprite, tiles
from factorial.comparison.explore.document import NOTHING, Beside, document
from factorial.comparison.findings import Findings
from factorial.comparison.ranking import Ranking
from factorial.comparison.readings import Readings, gathered
from factorial.record.predictions import FILE, HELD_OUT

GRID = product(model=["linear", "mlp"], optimizer=["sgd", "adam"], optimizer_lr=[0.01, 0.1],
               epochs=[2, 4], seed=[0, 1])  # fmt: skip
LOSS = Ranking("loss", higher=False)
BLUE, GREY, ORANGE = "#0072B2", "#8A8A8A", "#D55E00"
COUNT = 301  # images, whose bits are no whole bytes


@pytest.fixture(scope="module")
def found() -> Findings:
    """16 settings of two seeds; one more fails with both."""
    failed = {"model": "mlp", "optimizer": "adam", "optimizer.lr": 10.0, "epochs": 2,
              "failure": "the training loss is nan"}  # fmt: skip
    return findings.find(compared([*planted(GRID), *({**failed, "seed": s} for s in (0, 1))]))


@pytest.fixture(scope="module")
def read(found: Findings, tmp_path_factory: pytest.TempPathFactory) -> Readings:
    """What each run read; those of the second seed read another set of images."""
    made = readings(found, tmp_path_factory.mktemp("runs"), COUNT)
    runs = [one._replace(read=one.read._replace(images=f"set {one.seed}")) for one in made.runs]
    return replace(made, runs=runs, settings=gathered(runs))


def unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


def bests(told: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["label"], one["best"]) for one in told["settings"]]


def test_a_setting_leads_to_its_best_run_be_it_the_one_of_the_lowest_loss() -> None:
    runs = [{"optimizer": name, "seed": seed, "accuracy": value + 0.123456789 * seed}
            for name, value in (("sgd", 0.2), ("adam", 0.1)) for seed in (0, 1)]  # fmt: skip
    told = document(findings.find(compared(runs)), NOTHING)
    assert bests(told) == [("sgd", "1"), ("adam", "3")]
    told = document(findings.find(compared(runs, LOSS)), NOTHING)
    assert bests(told) == [("adam", "2"), ("sgd", "0")]
    assert [run["score"] for run in told["runs"]] == [0.1, 0.22346, 0.2, 0.32346]
    assert "error" not in dict(told["charts"].get("map", {}).get("usermeta", {}).get("scores", []))


def test_what_is_no_number_is_none_on_the_page() -> None:
    runs = [{"optimizer": "sgd", "seed": 0, "accuracy": 0.9},
            {"optimizer": "adam", "seed": 0, "accuracy": 0.8}]  # fmt: skip
    told = document(findings.find(compared(runs)), NOTHING)
    json.dumps(told, allow_nan=False)
    assert all(one["low"] is one["high"] is None for one in told["settings"])
    assert [one["told"] for one in told["settings"]] == ["0.9000, n = 1", "0.8000, n = 1"]


def test_runs_and_their_curves_are_those_of_the_best_settings(
    found: Findings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "RUNS", 5)
    gone = found.comparison.runs.loc[found.comparison.labels == found.board["label"][0], "id"]
    curves = found.comparison.curves
    cut = replace(found.comparison, curves=curves[curves["id"] != gone.iloc[0]])
    told = document(replace(found, comparison=cut), NOTHING)
    assert [run["s"] for run in told["runs"]] == [0, 0, 1, 1, 2]
    assert [curve["r"] for curve in told["curves"]] == [1, 2, 3, 4]  # the first has none on record
    assert [one["tie"] for one in told["settings"]] == found.board["tie"].tolist()


def test_long_curves_are_thinned_and_keep_both_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grid = product(optimizer=["sgd", "adam"], epochs=[9], seed=[0])
    made = findings.find(compared(planted(grid)))
    assert [one["epoch"] for one in documents.curves(made, ["0", "1"])] == [[*range(1, 10)]] * 2
    monkeypatch.setattr(documents, "POINTS", 6)
    assert [one["epoch"] for one in documents.curves(made, ["0", "1"])] == [[1, 5, 9]] * 2
    monkeypatch.setattr(documents, "POINTS", 1)
    assert [one["epoch"] for one in documents.curves(made, ["0", "1"])] == [[1, 9]] * 2


def test_each_run_has_its_own_address(found: Findings) -> None:
    ids = found.comparison.runs["id"]
    pages = {one: f"http://here/{int(one) % 2}/{one}" for one in ids}
    told = document(found, Beside(pages))
    assert {run["run"]: told["addresses"][run["at"]] + run["run"] for run in told["runs"]} == pages
    assert len(told["addresses"]) == 2


# What the runs read


@pytest.mark.parametrize(
    ("selected_on", "name"), [("validation", HELD_OUT), ("test", FILE)], ids=["validation", "test"]
)
def test_of_the_best_settings_it_is_read_what_ranked_them(
    found: Findings, read: Readings, monkeypatch: pytest.MonkeyPatch, selected_on: str, name: str
) -> None:
    """And never of the test set what was chosen without it."""
    known = {one.run: one.file for one in read.runs}
    gone = read.runs[1].run
    asked = []

    def artifact(_: Any, run: str, file: str) -> Path | None:
        asked.append(file)
        return None if run == gone else known[run]

    monkeypatch.setattr(loading, "artifact", artifact)
    monkeypatch.setattr(loading, "MOST", 6)
    ranked = replace(found, comparison=replace(found.comparison, selected_on=selected_on))
    made = loading.load(None, ranked)  # type: ignore[arg-type]
    assert set(asked) == {name} and len(asked) == 6
    assert (made.images, made.missing, made.beyond) == (selected_on, 1, len(read.runs) - 6)
    assert [(one.run, one.setting, one.seed) for one in made.runs] == [
        (one.run, one.setting, one.seed) for one in read.runs[:6] if one.run != gone
    ]
    assert {place: len(runs) for place, runs in made.settings.items()} == {0: 1, 1: 2, 2: 2}


def test_the_page_has_what_each_run_read_of_the_images_that_are_drawn(
    found: Findings, read: Readings
) -> None:
    fewer = replace(read, runs=read.runs[1:], missing=1)
    told = document(found, Beside(readings=fewer))
    seen = told["evidence"]
    assert [told["runs"][one["r"]]["run"] for one in seen["runs"]] == [o.run for o in fewer.runs]
    names = ["set 1", "set 0"]  # the first one's run is left out
    assert [names[one["set"]] for one in seen["runs"]] == [one.read.images for one in fewer.runs]
    assert (seen["missing"], seen["beyond"]) == (1, 0)
    for name, one in zip(names, seen["sets"], strict=True):
        expected = [run.read.predicted[one["shown"]].tolist() for run in fewer.runs
                    if run.read.images == name]  # fmt: skip
        above = np.frombuffer(unpacked(one["read"]), "<u2").reshape(len(expected), -1)
        assert ((above + np.array(one["labels"])) % 2**16).tolist() == expected


def test_one_setting_is_no_pair(found: Findings, read: Readings) -> None:
    alone = replace(read, runs=[one for one in read.runs if one.setting == 0])
    assert document(found, Beside(readings=alone))["evidence"] is None


def test_the_page_has_a_table_of_students_t() -> None:
    expected = [stats.t.ppf(0.975, 500 / step) for step in range(1, 501)]
    assert evidence.students() == pytest.approx([stats.norm.ppf(0.975), *expected], abs=1e-6)


def sheet(content: bytes, tile: int) -> np.ndarray:
    """The tiles of a picture of 40 in a row: [row, column, height, width]."""
    with Image.open(io.BytesIO(content)) as opened:
        pixels = np.asarray(opened)
    down, across = pixels.shape[0] // tile, pixels.shape[1] // tile
    assert across == 40
    return pixels.reshape(down, tile, across, tile).swapaxes(1, 2)


def test_each_tile_is_the_image_that_it_says(read: Readings) -> None:
    runs = [one for one in read.runs if one.seed == "0"]
    made = sprite.drawn([runs])
    (shown,) = made.shown
    assert len(shown) > 40
    found = sheet(made.content, 28)
    assert len(found) == -(-len(shown) // 40)
    pictures = images(COUNT)
    for place, image in enumerate(shown):
        assert (found[place // 40, place % 40] == 255 - pictures[image, 0]).all()
    full = sprite.png([np.zeros((2, 2, 1), np.uint8)] * 40)
    assert len(sheet(full, 2)) == 1


def test_images_are_those_with_pixels_that_part_most_settings(read: Readings) -> None:
    runs = [one for one in read.runs if one.seed == "0"]
    right = np.stack([one.correct for one in runs]).sum(axis=0)
    parted = right * (len(runs) - right)
    shown = sprite.telling(runs)
    assert parted[shown].tolist() == sorted(parted[shown], reverse=True)
    kept = {int(image) for one in runs for image in one.read.kept}
    bare = [one._replace(read=one.read._replace(kept=one.read.kept[:9])) for one in runs]
    assert set(shown) == {image for image in kept if parted[image]}
    assert len(sprite.telling(bare)) < len(shown)


def test_a_sheet_has_a_limit_for_all_sets_together(
    read: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = [[one for one in read.runs if one.seed == seed] for seed in ("0", "1")]
    monkeypatch.setattr(sprite, "MOST", 10)
    assert [len(shown) for shown in sprite.drawn(sets).shown] == [5, 5]
    whole = len(sprite.drawn(sets).content)
    monkeypatch.setattr(sprite, "BYTES", whole - 1)
    fewer = sprite.drawn(sets)
    assert len(fewer.content) < whole and [len(shown) for shown in fewer.shown] == [3, 3]


@pytest.mark.parametrize(
    ("shape", "value", "white", "tile", "shade"),
    [((8, 8, 1), 16, 16, (8, 8, 1), 0), ((8, 8, 1), 4, 16, (8, 8, 1), 192),
     ((64, 32, 3), 255, 255, (32, 16, 3), 255), ((8, 8, 2), 9, 9, (8, 8, 2), 9)],
)  # fmt: skip
def test_grey_is_dark_on_light_and_no_tile_is_large(
    shape: tuple[int, ...], value: int, white: int, tile: tuple[int, ...], shade: int
) -> None:
    made = sprite.shrunk(np.full(shape, value, np.uint8), white)
    assert made.shape == tile and set(made.ravel().tolist()) == {shade}


# The map


def test_shades_are_of_ratios_of_error_and_time_and_no_outlier_takes_them() -> None:
    table = pd.DataFrame({"score": [0.9, 0.99, 0.999], "error": [-1.0, -2.0, -3.0],
                          "gap": [1.0, 2.0, 3.0], "seconds": [1.0, 10.0, 100.0]})  # fmt: skip
    shades = tiles.shades(table)
    for column in ("score", "seconds"):
        assert shades[column].tolist() == pytest.approx([0, 0.5, 1])
    assert tiles.shades(table.drop(columns="error"))["score"].tolist() == pytest.approx(
        [0, 0.09 / 0.099, 1], abs=0.03
    )
    gaps = pd.DataFrame({"score": [0.5] * 101, "gap": [*map(float, range(100)), 1e10],
                         "seconds": [1.0] * 101})  # fmt: skip
    shade = tiles.shades(gaps)["gap"]
    assert shade[50] == pytest.approx(0.5, abs=0.03) and (shade.min(), shade.max()) == (0, 1)


@pytest.mark.parametrize("far", [1e27, -1e27])
def test_of_few_cells_one_that_diverged_leaves_the_others_their_shades_of_the_gap(
    far: float,
) -> None:
    few = pd.DataFrame({"score": [0.5] * 6, "gap": [-0.2, -0.1, 0.1, 0.2, 0.3, far],
                        "seconds": [1.0] * 6})  # fmt: skip
    shade = tiles.shades(few)["gap"]
    assert shade[:5].is_monotonic_increasing and shade[4] - shade[0] > 0.15
    assert shade[5] == (far > 0)


def test_a_map_has_each_setting_in_its_place_and_what_failed(found: Findings) -> None:
    cells = tiles.cells(found)
    runs = found.comparison.runs.assign(label=found.comparison.labels)
    runs["error"] = np.log10(1 - runs["score"])
    means = runs.groupby("label")[["score", "error", "gap", "seconds"]].mean()
    assert len(cells) == len(found.board) + 1
    for place, (cell, row) in enumerate(zip(cells, found.board.to_dict("records"), strict=False)):
        assert cell["s"] == place
        assert (cell["row"], cell["column"]) == (row["optimizer.lr"], row["epochs"])
        assert cell["panel"] == f"{row['model']} {row['optimizer']}"
        mean = means.loc[row["label"]]
        assert [cell[f"text_{key}"] for key in means] == [
            f"{mean['score']:.4f}", f"{mean['error']:.2f}", f"{mean['gap']:.3g}",
            f"{mean['seconds']:.3g}",
        ]  # fmt: skip
    assert cells[-1] == {"s": -1, "failed": True, "row": "10", "column": "2",
                         "panel": "mlp adam"}  # fmt: skip


def test_what_is_in_panels_that_are_left_out_is_counted(
    found: Findings, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tiles.spec(found)
    assert whole is not None and whole["usermeta"]["note"] == ""
    monkeypatch.setattr(tiles, "MOST", 1)
    some = tiles.spec(found)
    assert some is not None
    assert some["usermeta"]["note"] == "12 settings are in panels that are left out"
    assert {cell["panel"] for cell in tiles.cells(found)} == {"mlp adam"}


def test_what_is_chosen_has_its_colour_around_its_cell(found: Findings) -> None:
    spec, cells = tiles.spec(found), tiles.cells(found)
    assert spec is not None
    data = [{**cell, "label": f"o{cell['s']}", "told": "", "run": "1"} for cell in cells]
    colors = {"1": "#009E73", "4": "#CC79A7"}
    drawn = marks(spec, {"chosen": [1, 4], "colors": colors}, cells=data)
    rings = {one.said["setting"]: one.drawn["stroke"] for one in drawn if "stroke" in one.drawn}
    assert rings == {"o1": "#009E73", "o4": "#CC79A7"}


def test_a_loss_has_no_error_on_its_map() -> None:
    scores = tiles.scores(findings.find(compared(planted(GRID), LOSS)))
    assert list(scores) == ["score", "gap", "seconds"]


# The charts


def rows(count: int, **every: Any) -> list[dict[str, Any]]:
    """As the page's script makes its data sets, of settings that tie but for the last."""
    return [
        {"s": place, "label": f"o{place}", "told": "", "mean": 0.9 - 0.1 * place, "run": "1",
         "low": 0.85 - 0.1 * place, "high": 0.95 - 0.1 * place, "seconds": 2.0**place,
         "tie": place < count - 1, **every}
        for place in range(count)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def few() -> Findings:
    runs = [{"optimizer": f"o{place}", "seed": seed, "accuracy": 0.9 - 0.1 * place + 0.01 * seed}
            for place in range(4) for seed in (0, 1)]  # fmt: skip
    return findings.find(compared(runs))


def leaderboard(few: Findings, *chosen: int) -> list[Mark]:
    settings = rows(4)
    settings[1] |= {"low": None, "high": None}
    params = {"chosen": list(chosen), "colors": dict.fromkeys(map(str, chosen), ORANGE)}
    return marks(specs.leaderboard(few), params, settings=settings, runs=rows(4, score=0.5, seed=0))


def points(drawn: list[Mark]) -> dict[str, Mark]:
    return {mark.said["setting"]: mark for mark in drawn if mark.kind == "point"}


@pytest.mark.slow
def test_the_leaderboard_has_its_first_settings_in_order_and_those_that_are_chosen(
    few: Findings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def heights(found: dict[str, Mark]) -> list[float]:
        return [float(one.drawn["transform"].rstrip(")").split(",")[1]) for one in found.values()]

    whole = points(leaderboard(few))
    assert list(whole) == ["o0", "o1", "o2", "o3"] and heights(whole) == sorted(heights(whole))
    colors = [one.drawn["fill"] for one in whole.values()]
    assert colors == [BLUE, BLUE, BLUE, GREY]
    monkeypatch.setattr(specs, "SHOWN", 2)
    assert list(points(leaderboard(few))) == ["o0", "o1"]
    chosen = points(leaderboard(few, 3))
    assert list(chosen) == ["o0", "o1", "o3"]
    assert chosen["o3"].drawn["fill"] == ORANGE
    opacities = [float(one.drawn["opacity"]) for one in chosen.values()]
    assert opacities == [0.12, 0.12, 1]


def test_intervals_are_drawn_from_end_to_end_and_only_where_there_are_any(few: Findings) -> None:
    """A tenth wide, as far as neighbouring means are apart."""
    drawn = leaderboard(few)
    lines = [abs(float(mark.drawn["x2"])) for mark in drawn if mark.kind == "rule mark"]
    assert len(lines) == 3
    across = [float(one.drawn["transform"].removeprefix("translate(").split(",")[0])
              for one in points(drawn).values()]  # fmt: skip
    assert lines == pytest.approx([across[0] - across[1]] * 3, rel=0.01)


def test_what_costs_nothing_that_is_known_is_not_drawn_against_its_cost(few: Findings) -> None:
    spec = specs.against("seconds", "cost", "time", few)
    settings = rows(4)
    settings[2] |= {"seconds": 0.0}
    drawn = marks(spec, {}, settings=settings)
    assert list(points(drawn)) == ["o0", "o1", "o3"]
    lines = [abs(float(mark.drawn["y2"])) for mark in drawn if mark.kind == "rule mark"]
    up = [float(one.drawn["transform"].rstrip(")").split(",")[1]) for one in points(drawn).values()]
    assert lines == pytest.approx([up[1] - up[0]] * 3, rel=0.01)


def test_there_is_a_chart_for_what_is_on_record_alone(few: Findings) -> None:
    assert set(specs.charts(few)) == {"leaderboard", "seconds", "parameters", "loss", "score"}
    board = few.board.assign(parameters=np.nan)
    curves = few.comparison.curves.assign(**{"validation/accuracy": np.nan})
    bare = replace(few, board=board, comparison=replace(few.comparison, curves=curves))
    assert set(specs.charts(bare)) == {"leaderboard", "seconds", "loss"}
