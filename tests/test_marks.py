"""Of a mark one is told its setting and value, and led to its run: by pointer, finger and key, and
by words to who sees no chart; and around what is chosen there are rings."""

import json
import re
from collections.abc import Iterator

import pytest
from explored import GRID, Made, explored, opened
from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("explored")
    return *explored(GRID, folder), folder / "report" / "index.html"


@pytest.fixture
def said() -> list[str]:
    """What the page says on the console, asks for and throws: nothing."""
    return []


@pytest.fixture
def page(browser: Browser, made: Made, said: list[str]) -> Iterator[Page]:
    page = opened(browser, made[2], said)
    yield page
    page.close()
    assert said == []


@pytest.mark.slow
def test_a_mark_of_a_drawn_figure_names_its_setting_and_leads_to_its_run(
    page: Page, made: Made
) -> None:
    found, around, _ = made
    marks = json.loads(page.locator("#document").text_content() or "")["marks"]
    tip = page.locator("#vg-tooltip-element.visible")
    page.context.route("http://127.0.0.1:5000/**", lambda route: route.fulfill(body="a run"))
    runs = found.comparison.runs.assign(label=found.comparison.labels)
    for figure in ("charts", "sensitivity", "gradients"):
        place = next(at for at, mark in enumerate(marks[figure]) if mark["of"] == [2])
        area = page.locator(f"#{figure} rect.area").nth(place)
        area.hover()
        row = found.board.iloc[2]
        own = runs[runs["label"] == row["label"]]
        best = own.loc[own["score"].idxmax(), "id"]
        said = re.sub(r"\s+", " ", tip.inner_text())
        assert f"setting {row['label']} validation accuracy {row['mean']:.4f} (" in said, figure
        assert "n = 3" in said and said.endswith(f"run {best}")
        assert ("training time of a run (s) " in said) == (figure == "charts")
        with page.expect_popup() as led:
            area.click()
        led.value.wait_for_load_state()
        assert led.value.url == around.pages[best]
        led.value.close()
    page.locator("h1").hover()
    assert tip.count() == 0
    of = marks["interactions"][0]["of"]
    page.locator("#interactions rect.area").first.hover()
    assert page.locator("#interactions rect.leads").count() == 0  # to which of their runs?
    said = tip.inner_text()
    assert f"mean of {len(of)} settings" in said and len(of) > 1
    assert f"{found.board['mean'][of].mean():.4f}" in said
    assert all(label in said for label in found.board["label"][of[:6]])


@pytest.mark.slow
def test_a_finger_is_told_at_its_first_tap_and_led_at_the_next(
    browser: Browser, made: Made, said: list[str]
) -> None:
    looks = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    page = opened(browser, made[2], said, **looks)
    page.context.route("http://127.0.0.1:5000/**", lambda route: route.fulfill(body="a run"))
    mark = page.locator("#chart-seconds path[aria-roledescription='point']").first
    mark.tap()
    page.wait_for_selector("#vg-tooltip-element.visible")
    assert made[0].board["label"][0] in page.locator("#vg-tooltip-element").inner_text()
    assert len(page.context.pages) == 1
    with page.expect_popup() as led:
        mark.tap()
    led.value.wait_for_load_state()
    assert led.value.url in made[1].pages.values()
    drawn = page.locator("#interactions rect.area").first
    for one in (mark, drawn):  # told anew after it has touched anything else
        page.locator("h1").tap()
        page.wait_for_selector("#vg-tooltip-element:not(.visible)", state="attached")
        one.tap()
        page.wait_for_selector("#vg-tooltip-element.visible")
        tip = page.locator("#vg-tooltip-element").bounding_box()
        assert tip is not None and tip["x"] >= 0 and tip["x"] + tip["width"] <= 390
        assert len(page.context.pages) == 2
    page.context.close()
    assert said == []


@pytest.mark.slow
def test_every_mark_is_reached_told_and_followed_by_key(page: Page, made: Made) -> None:
    found, around, _ = made
    page.context.route("http://127.0.0.1:5000/**", lambda route: route.fulfill(body="a run"))
    tip = page.locator("#vg-tooltip-element.visible")
    spoken = page.locator("p[role=status]")
    settings = found.board["label"].tolist()
    for place, width in {"#chart-seconds": 1024, "#sensitivity .wide": 390}.items():
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(600)  # until charts are drawn for that width
        page.locator(place).focus()
        assert tip.count() == 0
        told = []
        for _ in settings:
            page.keyboard.press("ArrowRight")
            told.append(tip.inner_text())
            rows = re.sub(r"\n+", "; ", re.sub(r"\t\n?", " ", told[-1]))
            assert spoken.inner_text() == rows
            outlined = page.locator(f"{place} .told")
            box = outlined.bounding_box()
            assert outlined.count() == 1 and box is not None
            assert box["x"] >= 0 and box["x"] + box["width"] <= width
            assert box["y"] >= 0 and box["y"] + box["height"] <= 900
        assert all(one in words for one, words in zip(settings, told, strict=True))
        page.keyboard.press("ArrowRight")  # around, to the first
        assert tip.inner_text() == told[0]
        page.keyboard.press("ArrowLeft")
        assert tip.inner_text() == told[-1]
        run = told[-1].split()[-1]
        with page.expect_popup() as led:
            page.keyboard.press("Enter")
        led.value.wait_for_load_state()
        assert led.value.url == around.pages[run]
        led.value.close()
        page.keyboard.press("Escape")
        assert tip.count() == 0
        page.keyboard.press("Control+ArrowRight")  # with another key it is not the page's
        assert tip.count() == 0
        page.keyboard.press("ArrowLeft")  # from nowhere: the last
        assert tip.inner_text() == told[-1]
        page.keyboard.press("Tab")  # on, and it is told no more
        assert tip.count() == 0


@pytest.mark.slow
def test_a_mark_says_its_setting_and_value_to_who_sees_no_chart(page: Page, made: Made) -> None:
    board = made[0].board
    marks = page.locator(".role-mark [role=graphics-symbol]")
    said = marks.evaluate_all("all => all.map((one) => one.getAttribute('aria-label'))")
    means = dict(zip(board["label"], board["mean"], strict=True))
    assert said
    for words in said:
        (label,) = (one for one in means if words.startswith(f"{one}: "))
        assert words.startswith(f"{label}: {means[label]:.4f} (")
    of = page.locator("#chart-loss .role-mark [role=graphics-symbol]")
    assert of.count() == len(made[0].comparison.curves.dropna(subset="train/loss"))


@pytest.mark.slow
def test_what_is_chosen_has_a_ring_in_every_figure_that_stays_as_drawn(page: Page) -> None:
    rings = {"interactions": 3, "charts": 1, "sensitivity": 1, "gradients": 1}
    for setting in ("3", "2"):
        page.locator(f"input[data-setting='{setting}']").check()
        for figure, count in rings.items():
            found = page.locator(f"#{figure} rect[data-setting='{setting}']")
            assert found.count() == count, figure
    marks = json.loads(page.locator("#document").text_content() or "")["marks"]
    (box,) = (mark["box"] for mark in marks["sensitivity"] if 3 in mark["of"])
    image, ring = (page.locator(f"#sensitivity {what}").bounding_box()
                   for what in ("img", "rect[data-setting='3']"))  # fmt: skip
    assert image is not None
    assert ring is not None
    left = image["x"] + (box[0] + box[2] / 2) * image["width"]
    top = image["y"] + (box[1] + box[3] / 2) * image["height"]
    assert ring["x"] + ring["width"] / 2 == pytest.approx(left, abs=1)
    assert ring["y"] + ring["height"] / 2 == pytest.approx(top, abs=1)
    (shared,) = (mark["box"] for mark in marks["interactions"] if {2, 3} <= {*mark["of"]})
    (inner, outer) = (page.locator("#interactions rect.ring").evaluate_all(
        """(all, s) => all.filter((ring) => ring.dataset.setting === s).map((ring) =>
          ["x", "y", "width", "height"].map((name) => Number(ring.getAttribute(name))))""", one)
        for one in ("3", "2"))  # fmt: skip
    assert shared in inner
    left, top, wide, tall = shared
    around = [left - 0.3 * wide, top - 0.3 * tall, 1.6 * wide, 1.6 * tall]
    assert any(one == pytest.approx(around) for one in outer)
    colors = {page.locator(f"#charts rect[data-setting='{one}']").get_attribute("stroke")
              for one in (2, 3)}  # fmt: skip
    assert len(colors) == 2
    page.locator("#none-chosen").click()
    assert page.locator("rect[data-setting]").count() == 0


@pytest.mark.slow
def test_rings_lie_on_their_figure_at_any_width_also_after_another(page: Page) -> None:
    page.locator("input[data-setting='3']").check()
    script = """() => [...document.querySelectorAll(".marked")].map((marked) =>
      ["img", "svg"].map((name) => marked.querySelector(name).getBoundingClientRect())
        .map(({ x, y, width, height }) => [x, y, width, height]))"""
    for width in (390, 1920, 1024):
        page.set_viewport_size({"width": width, "height": 900})
        boxes = page.evaluate(script)
        assert len(boxes) == 4
        for image, layer in boxes:
            assert image == pytest.approx(layer, abs=0.5), width
