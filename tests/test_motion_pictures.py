"""Optimizers in motion, drawn and told, of paths that a test has chosen: quick, without a page."""

import base64
import csv
import gzip
import json
import re
from itertools import pairwise
from pathlib import Path as File
from typing import Any

import pytest
import torch
from charted import marks
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image, ImageChops

from factorial.motion import page, pictures, specs, wording
from factorial.motion.asked import Asked
from factorial.motion.paths import Path
from factorial.motion.surfaces import SURFACES

VALLEY = SURFACES["valley"]()  # from -10 to 4, and from -2.5 to 2.5
BLUE, ORANGE = "#0072B2", "#D55E00"
START, NEAR, FAR = (-9.0, 1.6), (0.1, 0.0), (3.5, -2.0)


def path(optimizer: str, *places: tuple[float, float], **known: Any) -> Path:
    """Of a learning rate of 0.1, the best one, with losses that halve."""
    positions = torch.tensor([START, *places], dtype=torch.float64)
    made = Path(
        optimizer, 0.1, ("0.1", "best"), positions, 8 * 0.5 ** torch.arange(len(positions)),
        positions.norm(dim=-1), diverged=None, left=None, reached=None,
    )  # fmt: skip
    return made._replace(**known)


def test_losses_stand_above_whole_steps() -> None:
    drawn = pictures.losses([path("sgd", NEAR, FAR)], {"sgd": 0}, 2, (1, 10))
    assert [tick for tick in drawn.axes[0].get_xticks() if 0 <= tick <= 2] == [0, 1, 2]


def labels(drawn: Figure) -> list[str]:
    return [text.get_text() for text in drawn.axes[0].get_legend().get_texts()]


def color_at(image: Image.Image, place: tuple[float, float]) -> tuple[int, ...]:
    """Of the pixel of a place in an animation's frame, whose axes lie where they always do."""
    across, up = (place[0] + 10) / 14, (place[1] + 2.5) / 5
    pixel = image.convert("RGB").getpixel(
        (round(image.width * (0.08 + 0.57 * across)), round(image.height * (0.89 - 0.8 * up)))
    )
    assert isinstance(pixel, tuple)
    return pixel


def is_blue(color: tuple[int, ...]) -> bool:
    return sum(abs(one - other) for one, other in zip(color, (0, 0x72, 0xB2), strict=True)) < 40


def test_an_animation_is_at_each_frame_where_its_path_is_and_rests_at_its_end(
    tmp_path: File,
) -> None:
    file = tmp_path / "moving.gif"
    pictures.animate(VALLEY, [path("sgd", FAR, left=1)], {"sgd": 0}, [0, 1], file)
    with Image.open(file) as gif:
        assert (gif.n_frames, gif.info.get("loop")) == (2, 0)
        first, times = gif.convert("RGB"), [gif.info["duration"]]
        gif.seek(1)
        last, times = gif.convert("RGB"), [*times, gif.info["duration"]]
    assert times == [90, 2500]
    assert is_blue(color_at(first, START)) and not is_blue(color_at(first, FAR))
    assert is_blue(color_at(last, FAR))
    legend = (round(0.66 * first.width), 0, first.width, first.height)
    assert ImageChops.difference(first.crop(legend), last.crop(legend)).getbbox()  # it has left


def test_a_still_marks_where_each_path_ends_and_says_who_left() -> None:
    """Be it with the step that diverged, at which it has no place any more."""
    gone = path("adam", diverged=1, left=1)
    drawn = pictures.still(VALLEY, [path("sgd", NEAR, FAR), gone], {"sgd": 0, "adam": 1})
    for line, end in zip(drawn.axes[0].lines[-2:], (FAR, START), strict=True):
        assert line.get_xydata()[line.get_markevery()].tolist() == [list(end)]
    assert labels(drawn)[-2:] == ["sgd lr=0.1", "adam lr=0.1 (left at step 1)"]


def test_who_left_is_said_from_that_step_on() -> None:
    gone = path("sgd", NEAR, FAR, left=2)
    said = [pictures.fate(gone, step) for step in (0, 1, 2, 3)]
    assert said == ["sgd lr=0.1"] * 2 + ["sgd lr=0.1 (left at step 2)"] * 2


def test_contours_are_of_the_losses_that_are_there() -> None:
    """From 1 to 2: none is spent on what is below the lowest."""
    surface = VALLEY._replace(loss=lambda places: 1 + (places[..., 0] + 10) / 14, floor=1.0)
    axes = Figure().add_subplot()
    pictures.contours(axes, surface)
    expected = [2 ** (level / 11) for level in range(12)]
    assert axes.collections[-1].levels.tolist() == pytest.approx(expected)  # type: ignore[attr-defined]


def test_losses_are_drawn_from_where_they_are_nothing_to_ten_times_the_first() -> None:
    falls = [torch.tensor(losses) for losses in ([1.0, 0.5], [1.0, 1e-4], [1.0, 0.0])]
    ranges = [pictures.loss_range([path("sgd", NEAR, losses=losses)]) for losses in falls]
    assert ranges == [pytest.approx(span) for span in [(0.01, 10), (1e-4, 10), (1e-10, 10)]]
    drawn = pictures.losses([path("sgd", NEAR, losses=falls[2])], {"sgd": 0}, 1, ranges[2])
    assert drawn.axes[0].lines[0].get_ydata().tolist() == pytest.approx([1, 1e-10])


# The charts that one plays with

NAMES = ["adam", "sgd"]
SOME = [
    path("adam", (-5.0, 1.0), NEAR, FAR),
    path("sgd", (2.0, -2.0), diverged=2),
    path("sgd", (3.0, -1.0), choices=("1",)),
]


def charted(step: int, chosen: list[str], *, losses: bool = False) -> list[Any]:
    """What is on a chart after so many steps, at each optimizer's best rate."""
    made = (
        specs.losses_of(SOME, NAMES, "best", 3, "")
        if losses
        else specs.map_of(VALLEY, "data:,", NAMES, "best", 3, "")
    )
    params = {"step": step, "chosen": chosen}
    return marks(made, params, paths=specs.entries(SOME, [0, 1, 2]))


def ends(drawn: list[Any]) -> dict[str, tuple[str, str, str]]:
    """Step and place of each optimizer's marker."""
    said = [mark.said for mark in drawn if mark.drawn.get("stroke") == "white"]
    assert len({one["optimizer"] for one in said}) == len(said)
    return {one["optimizer"]: (one["step"], one["x"], one["y"]) for one in said}


def test_a_map_has_each_trail_up_to_now_and_a_marker_at_its_end() -> None:
    drawn = charted(3, NAMES)
    lines = {mark.said["optimizer"]: mark.drawn for mark in drawn if mark.kind == "line mark"}
    assert {name: line["d"].count("L") for name, line in lines.items()} == {"adam": 3, "sgd": 1}
    assert {name: line["stroke"] for name, line in lines.items()} == {"adam": BLUE, "sgd": ORANGE}
    # the one that diverged stays where it was last
    assert ends(drawn) == {"adam": ("3", "3.5", "-2"), "sgd": ("1", "2", "-2")}
    assert ends(charted(1, NAMES)) == {"adam": ("1", "-5", "1"), "sgd": ("1", "2", "-2")}
    assert ends(charted(0, ["adam"])) == {"adam": ("0", "-9", "1.6")}
    places = {mark.said["place"] for mark in drawn if "place" in mark.said}
    assert places == {"start", "minimum"}


def test_a_chart_of_losses_is_logarithmic() -> None:
    """Losses that halve lie at equal distances."""
    (line,) = [mark.drawn["d"] for mark in charted(3, ["adam"], losses=True)
               if mark.kind == "line mark"]  # fmt: skip
    heights = [float(point.split(",")[1]) for point in line.removeprefix("M").split("L")]
    steps = [below - above for above, below in pairwise(heights)]
    assert steps == pytest.approx([steps[0]] * 3, abs=0.01) and steps[0] > 1


def test_the_page_has_the_numbers_of_a_path_to_four_digits() -> None:
    found = path("sgd", (1 / 3, 2 / 3))
    (entry,) = specs.entries([found], [0])
    assert (entry["step"], entry["x"], entry["y"]) == ([0, 1], [-9, 0.3333], [1.6, 0.6667])


def test_the_ground_fills_the_map() -> None:
    ground = specs.map_of(VALLEY, "data:,", NAMES, "best", 3, "")["layer"][0]
    assert ground["mark"] == {"type": "image", "url": "data:,", "aspect": False}
    corners = {key: value["datum"] for key, value in ground["encoding"].items()}
    assert corners == {"x": -10, "x2": 4, "y": -2.5, "y2": 2.5}


@pytest.mark.slow
def test_a_page_shows_the_best_first_and_then_all_and_its_table_has_every_path(
    tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page.charts, "script", lambda: Markup("<script></script>"))
    monkeypatch.setattr(page, "POSITIONS", 9)  # three of each path
    rates = {"0.1": 0.1, "1": 1.0}
    asked = Asked({"adam": {}, "sgd": {}}, False, ["valley"], rates, 3, 0, 0.05)
    page.write([page.Scene("valley", VALLEY, SOME)], asked, tmp_path)
    text = (tmp_path / "index.html").read_text()
    parts = text.split("<summary>all learning rates</summary>")
    first, every = (len(re.findall("<tr>", one)) - 1 for one in parts)
    assert (first, every) == (2, 3)
    (rates_shown,) = re.findall('<select id="rate">(.*?)</select>', text)
    assert re.findall('value="([^"]*)"', rates_shown) == ["best", "0.1", "1"]
    assert "3 of the steps are in it" in text
    (packed,) = re.findall(r'id="charts-valley">(.*?)</script>', text)
    chart = json.loads(gzip.decompress(base64.b64decode(packed)))
    assert [one["step"] for one in chart["paths"]] == [[0, 1, 3], [0, 1], [0, 1]]
    with (tmp_path / "paths.csv").open() as file:
        rows = [(row["surface"], row["optimizer"]) for row in csv.DictReader(file)]
    assert rows == [("valley", "adam"), ("valley", "sgd"), ("valley", "sgd")]


# In words

DONE = path("adam", NEAR, reached=0)
AWAY = path("nadam", FAR, (-8.0, 0.0), losses=torch.tensor([8.0, 5.0, 6.0]))
LEFT = path("sgd", (99.0, 0.0), left=1, losses=torch.tensor([8.0, 735.0]))
LOST = path("radam", (0.0, 9.0), diverged=2, left=1, losses=torch.tensor([8.0, 607.5]))
EVERY = [DONE, AWAY, LEFT, LOST]


def test_a_row_says_how_a_path_ended() -> None:
    rows = {row.pop("optimizer"): list(row.values()) for row in wording.rows(EVERY)}
    assert rows == {
        "adam": ["0.1 (best)", "0", "0.1", "4", "at the minimum"],
        "nadam": ["0.1 (best)", "-", "8", "6", "on its way"],
        "sgd": ["0.1 (best)", "-", "99", "735", "outside of the picture from step 1"],
        "radam": ["0.1 (best)", "-", "-", "-", "diverged at step 2"],
    }
    own = path("sgd", choices=("0.1", "configured", "best"))
    assert wording.rate(own) == "0.1 (configured, best)"


def test_on_the_screen_each_optimizer_has_its_best_rate_on_each_surface() -> None:
    other = path("sgd", NEAR, choices=("1",), lr=1.0, reached=1)
    assert wording.board({"valley": [*EVERY, other], "saddle": [DONE]}) == [
        {"optimizer": "adam", "valley": "0.1: 0 steps", "saddle": "0.1: 0 steps"},
        {"optimizer": "nadam", "valley": "0.1: 8 away", "saddle": "-"},
        {"optimizer": "sgd", "valley": "0.1: 99 away", "saddle": "-"},
        {"optimizer": "radam", "valley": "0.1: diverged", "saddle": "-"},
    ]


def test_a_picture_is_told_by_who_is_nearest_who_stays_and_who_left() -> None:
    assert wording.pictured(VALLEY, EVERY, 2) == (
        "Paths of 4 optimizers on a long narrow valley, from (-9, 1.6), 2 steps. Nearest to the "
        "minimum in the end is adam lr=0.1, 0.1 away; there to stay: adam lr=0.1 (step 0); "
        "outside of the picture in the end: sgd lr=0.1, radam lr=0.1."
    )
    gone = path("radam", diverged=1, left=1)  # it has the start alone, which is no end
    assert "in the end is sgd lr=0.1, 99 away" in wording.pictured(VALLEY, [gone, LEFT], 2)
    assert wording.fallen(EVERY).endswith(
        "from 8 at the start, adam lr=0.1 comes to 4, the lowest, and sgd lr=0.1 to 7.4e+02, the "
        "highest."
    )
