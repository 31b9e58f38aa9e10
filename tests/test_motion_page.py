"""Optimizers in motion as their reader meets them: files, animations, a page in a browser."""

import base64
import csv
import gzip
import json
import os
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Browser, Page

from factorial.commands.motion import main
from factorial.motion import specs
from factorial.settings.messages import BadInput

WORDS = ["optimizer=adam,momentum,sgd", "surface=valley,saddle", "lr=configured,0.01,1", "steps=12"]
MADE = {
    "index.html", "paths.csv",
    "valley.png", "valley-loss.png", "valley.gif", "saddle.png", "saddle-loss.png", "saddle.gif",
}  # fmt: skip
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"  # adam, momentum, sgd
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("motion") / "page"
    main([*WORDS, f"folder={folder}"])
    return folder


Open = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser, made: Path) -> Iterator[Open]:
    """The page, drawn; in the end it has said nothing and asked for nothing but itself."""
    said: list[str] = []
    asked: list[str] = []
    pages: list[Page] = []

    def new(**context: Any) -> Page:
        page = browser.new_page(**({"viewport": {"width": 1024, "height": 900}} | context))
        pages.append(page)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((made / "index.html").as_uri())
        if context.get("java_script_enabled", True):
            page.wait_for_selector("#map canvas")
            page.wait_for_selector("#losses canvas")
            page.wait_for_function("views.length === 2")
        return page

    yield new
    for page in pages:
        page.close()
    assert said == []
    own = (made / "index.html").as_uri()
    assert {url for url in asked if not url.startswith(("data:", "blob:"))} == {own}


# The colour of each trail on the map with its last place, in pixels
TRAILS = """() => {
    const found = {};
    const walk = (mark) => {
        if (mark.marktype === "line" && mark.items.length > 1) {
            const last = mark.items[mark.items.length - 1];
            found[last.stroke] = [last.x, last.y];
        }
        if (mark.marktype === "group") mark.items.forEach((item) => item.items.forEach(walk));
    };
    walk(views[0].scenegraph().root);
    return found;
}"""

# Where on the canvas the map's own (0, 0) lies
ORIGIN = "[0, 1].map((at) => views[0].origin()[at] + views[0].padding()[['left', 'top'][at]])"


def settled(page: Page) -> dict[str, list[float]]:
    page.evaluate("Promise.all(views.map((view) => view.runAsync())).then(() => null)")
    return page.evaluate(TRAILS)


def test_the_files_are_these_and_replace_those_before_them_whole(made: Path) -> None:
    assert {file.name for file in made.iterdir()} == MADE
    before = (made / "valley.gif").stat().st_mtime_ns
    main([*WORDS[:1], "surface=valley", "lr=0.1", "steps=2", f"folder={made.parent / 'other'}"])
    main(["optimizer=sgd", "surface=saddle", "lr=0.1", "steps=2",
          f"folder={made.parent / 'other'}"])  # fmt: skip
    names = {file.name for file in (made.parent / "other").iterdir()}
    assert names == {"index.html", "paths.csv", "saddle.png", "saddle-loss.png", "saddle.gif"}
    assert (made / "valley.gif").stat().st_mtime_ns == before


def test_a_folder_that_holds_anything_else_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    line = r"^folder=.*: it holds thesis\.tex, which is no page's of optimizers in motion; allowed "
    with pytest.raises(BadInput, match=line):
        main([*WORDS, f"folder={tmp_path}"])
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_it_goes_below_outputs_and_is_said_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["optimizer=sgd", "surface=valley", "lr=0.1", "steps=2", f"outputs={tmp_path}"])
    page = tmp_path / "motion" / "index.html"
    assert page.is_file()
    assert capsys.readouterr().out.endswith(f"page: {os.path.relpath(page)}\n")


@pytest.mark.parametrize("name", ["valley", "saddle"])
def test_an_animation_has_a_frame_for_each_step_and_each_is_another(made: Path, name: str) -> None:
    with Image.open(made / f"{name}.gif") as gif:
        assert gif.n_frames == 13
        frames = []
        for number in range(13):
            gif.seek(number)
            frames.append(gif.convert("RGB"))
    for one, next_ in pairwise(frames):
        box = ImageChops.difference(one, next_).getbbox()
        assert box is not None
        assert box[3] > 100  # more than the counter above the axes
    with Image.open(made / f"{name}.gif") as gif:
        assert gif.info["loop"] == 0


def test_the_table_has_a_row_for_each_path(made: Path) -> None:
    with (made / "paths.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["surface", "optimizer", "learning rate", "steps to tolerance",
                             "final distance", "final loss", "ended"]  # fmt: skip
    # momentum's own rate is 0.01
    assert [(row["surface"], row["optimizer"]) for row in rows] == [
        (surface, name)
        for surface in ("valley", "saddle")
        for name in ("adam", "adam", "adam", "momentum", "momentum", "sgd", "sgd", "sgd")
    ]
    (lost,) = [row for row in rows if row["surface"] == "valley" and row["optimizer"] == "sgd"
               and row["learning rate"] == "1"]  # fmt: skip
    assert lost["ended"] == "diverged at step 6"
    assert lost["final distance"] == lost["steps to tolerance"] == "-"


def test_a_chart_has_the_looks_of_the_figures() -> None:
    looks = [specs.look(number) for number in range(14)]
    assert [one["color"] for one in looks[:3]] == [BLUE, ORANGE, GREEN]
    assert len({(one["color"], one["shape"], tuple(one["dash"])) for one in looks}) == 14


def test_without_javascript_the_page_is_complete(opened: Open) -> None:
    page = opened(java_script_enabled=False)
    assert page.locator("#player").is_hidden()
    images = page.locator("img")
    assert images.count() == 6
    for image in images.all():
        words = image.get_attribute("alt")
        assert words and re.search(r"adam|momentum|sgd", words)
    assert page.locator("table").count() == 4
    assert page.locator("details table tbody tr").count() == 16
    moving = page.locator("#saddle details", has_text="as an animation")
    assert moving.locator("img").is_hidden()
    moving.locator("summary").click()
    assert sizes(moving) == [[720, 460]]
    assert page.locator("section > .wide tbody tr").count() == 6
    assert "What moves needs JavaScript" in page.locator("body").inner_text()


def sizes(place: Any) -> list[list[int]]:
    """Of the images there, as they are drawn from what they hold."""
    found: list[list[int]] = place.locator("img").evaluate_all(
        "(all) => Promise.all(all.map((one) => one.decode()"
        ".then(() => [one.naturalWidth, one.naturalHeight])))"
    )
    return found


def test_the_page_alone_has_all_that_it_speaks_of(
    browser: Browser, made: Path, tmp_path: Path
) -> None:
    """As a file that was mailed: no link leads out of it, and what it has are the files."""
    alone = tmp_path / "mailed.html"
    alone.write_bytes((made / "index.html").read_bytes())
    page = browser.new_page(accept_downloads=True)
    page.goto(alone.as_uri())
    page.wait_for_function("views.length === 2")
    links = page.locator("[href], [src]").evaluate_all(
        "(all) => all.map((one) => one.getAttribute('href') ?? one.getAttribute('src'))"
    )
    assert {link.partition(":")[0] for link in links} == {"data"}
    held = {base64.b64decode(link.partition(",")[2]) for link in links}
    assert {(made / name).read_bytes() for name in MADE - {"index.html"}} <= held
    for details in page.locator("details").all():
        details.locator("summary").click()
    assert sizes(page)[:3] == [[864, 552], [864, 432], [720, 460]]
    with page.expect_download() as download:
        page.get_by_role("link", name="paths.csv").click()
    assert download.value.suggested_filename == "paths.csv"
    assert download.value.path().read_bytes() == (made / "paths.csv").read_bytes()
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1024, 1920])
def test_it_fits_any_screen_in_any_light(opened: Open, width: int, scheme: Any) -> None:
    page = opened(viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert len(settled(page)) == 3
    chart, legend = (page.locator(place).bounding_box() for place in ("#map canvas", "#optimizers"))
    assert chart is not None and legend is not None
    assert 300 < chart["width"] <= width
    assert legend["y"] < 900 + 400
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")


def test_play_moves_the_step_from_the_start_and_pause_stops_it(opened: Open) -> None:
    page = opened()
    assert page.evaluate("views.map((view) => view.signal('step'))") == [12, 12]
    page.select_option("#speed", "0.5")
    page.click("#play")
    assert page.locator("#play").inner_text() == "Pause"
    page.wait_for_function("views[0].signal('step') > 1 && views[0].signal('step') < 12")
    page.click("#play")
    assert page.locator("#play").inner_text() == "Play"
    stopped = page.evaluate("views[0].signal('step')")
    page.wait_for_timeout(500)
    assert page.evaluate("[views[0].signal('step'), views[1].signal('step')]") == [stopped] * 2
    assert page.locator("#now").inner_text() == str(stopped)
    page.click("#play")
    page.wait_for_function("views[0].signal('step') === 12")
    assert page.locator("#play").inner_text() == "Play"


def test_the_slider_sets_the_step_by_keyboard_too(opened: Open) -> None:
    page = opened()
    end = settled(page)
    page.locator("#step").fill("3")
    early = settled(page)
    assert page.evaluate("views[1].signal('step')") == 3
    assert early.keys() == end.keys()
    assert all(early[color] != end[color] for color in end)
    page.locator("#step").focus()
    page.keyboard.press("ArrowRight")
    settled(page)
    assert page.evaluate("views[0].signal('step')") == 4
    page.keyboard.press("Home")
    assert settled(page) == {}  # nobody has moved


def test_each_optimizers_box_shows_and_hides_its_trail(opened: Open) -> None:
    page = opened()
    colors = {"adam": BLUE, "momentum": ORANGE, "sgd": GREEN}
    assert settled(page).keys() == set(colors.values())
    for name, color in colors.items():
        box = page.locator(f"#optimizers input[value={name}]")
        box.uncheck()
        assert settled(page).keys() == set(colors.values()) - {color}
        box.focus()
        page.keyboard.press("Space")
        assert settled(page).keys() == set(colors.values())
    page.click("#none")
    assert settled(page) == {}
    page.click("#all")
    assert settled(page).keys() == set(colors.values())


def test_the_learning_rate_changes_the_paths_and_says_who_left(opened: Open, made: Path) -> None:
    page = opened()
    ends = {}
    for rate in ("best", "configured", "0.01", "1"):
        page.select_option("#rate", rate)
        ends[rate] = settled(page)
    assert ends["0.01"][ORANGE] == ends["configured"][ORANGE]  # its own
    assert ends["0.01"][BLUE] != ends["configured"][BLUE] != ends["1"][BLUE]
    assert page.locator("output[data-optimizer=sgd]").inner_text() == "left at step 1"
    packed = re.findall(r'id="charts-valley">(.*?)</script>', (made / "index.html").read_text())
    chart = json.loads(gzip.decompress(base64.b64decode(packed[0])))
    (adam,) = [
        one for one in chart["paths"] if one["optimizer"] == "adam" and "1" in one["choices"]
    ]
    said = page.locator("output[data-optimizer=adam]").inner_text()
    assert float(said) == pytest.approx(adam["loss"][-1], rel=0.01)


SLOW = """() => {
    const quick = unpacked;
    window.unpacked = async (id) => {
        if (id.endsWith("saddle")) await new Promise((done) => setTimeout(done, 300));
        return quick(id);
    };
}"""


def test_of_surfaces_chosen_in_a_row_the_last_is_drawn_however_long_each_takes(
    opened: Open,
) -> None:
    page = opened()
    valley = settled(page)
    page.evaluate(SLOW)
    page.select_option("#surface", "saddle")
    page.select_option("#surface", "valley")
    page.wait_for_timeout(1500)
    assert settled(page) == valley
    assert page.locator("#map canvas").count() == 1


def test_tables_sort_and_filter(opened: Open) -> None:
    page = opened()
    page.locator("#saddle details", has_text="all learning rates").locator("summary").click()
    table = page.locator("#saddle details table")
    rates = table.locator("thead th", has_text="learning rate")
    at = [head.inner_text().strip() for head in table.locator("th").all()].index("learning rate")
    rates.locator("button").click()
    cells = table.locator(f"tbody td:nth-child({at + 1})").all_inner_texts()
    assert len(set(cells)) > 1
    assert cells == sorted(cells, key=lambda cell: float(cell.split()[0]))
    page.locator("#saddle details .filter input").fill("adam")
    rows = table.locator("tbody tr:visible").all_inner_texts()
    assert rows
    assert all("adam" in row for row in rows)


def test_the_surface_can_be_changed(opened: Open) -> None:
    page = opened()
    valley = settled(page)
    page.select_option("#surface", "saddle")
    page.wait_for_function("views.length === 2")
    assert settled(page).keys() == valley.keys()
    assert settled(page) != valley


def test_what_is_under_the_pointer_is_said(opened: Open) -> None:
    page = opened()
    x, y = settled(page)[BLUE]
    left, top = page.evaluate(ORIGIN)
    canvas = page.locator("#map canvas").bounding_box()
    assert canvas is not None
    page.mouse.move(canvas["x"] + left + x, canvas["y"] + top + y)
    page.wait_for_selector("#vg-tooltip-element.visible")
    said = page.locator("#vg-tooltip-element").inner_text()
    for word in ("optimizer", "adam", "learning rate", "step", "x", "y", "loss"):
        assert word in said


def test_a_finger_on_a_trail_says_what_is_there(opened: Open) -> None:
    page = opened(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    x, y = settled(page)[BLUE]
    left, top = page.evaluate(ORIGIN)
    page.locator("#map canvas").scroll_into_view_if_needed()
    canvas = page.locator("#map canvas").bounding_box()
    assert canvas is not None
    page.touchscreen.tap(canvas["x"] + left + x, canvas["y"] + top + y)
    page.wait_for_selector("#vg-tooltip-element.visible")
    assert "adam" in page.locator("#vg-tooltip-element").inner_text()
    page.locator("#optimizers legend").tap()
    page.wait_for_selector("#vg-tooltip-element:not(.visible)", state="attached")


def test_charts_and_controls_say_what_they_are(opened: Open) -> None:
    """To those who hear a page: names of charts and of controls, and no flood of numbers."""
    page = opened()
    charts = page.locator("[role=graphics-document]")
    said = [chart.get_attribute("aria-label") or "" for chart in charts.all()]
    assert [words[:40] for words in said] == [
        "Paths of 3 optimizers on a long narrow v", "Loss above the minimum against steps, on",
    ]  # fmt: skip
    for name in ("surface", "learning rate", "speed"):
        assert page.get_by_role("combobox", name=name, exact=True).count() == 1
    page.locator("#step").fill("3")
    assert page.get_by_role("slider", name="step").get_attribute("aria-valuetext") == "3"
    assert page.locator("#player output:not([aria-live=off])").count() == 0


def test_by_default_the_page_holds_all_and_stays_small(tmp_path: Path) -> None:
    main([f"folder={tmp_path / 'page'}"])
    text = (tmp_path / "page" / "index.html").read_text()
    assert len(text) < 3_000_000
    assert len(list((tmp_path / "page").iterdir())) == 17
    assert text.count('<img src="data:image/png;base64,') == 10
