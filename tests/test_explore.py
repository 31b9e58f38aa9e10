"""A report that one plays with: every control of the page does what it says, and all of it works
from disk; without a script, and on paper, the page is whole."""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from explored import GRID, HOSTILE, Made, explored, opened
from explored import readings as read_of
from playwright.sync_api import Browser, Page
from recorded import compared, planted, product, seen_anew
from running import children, recorded
from running import sweep as swept
from statsmodels.stats.contingency_tables import mcnemar

from factorial.comparison import findings, pairs, readings, report, wording
from factorial.comparison.explore import evidence, sprite
from factorial.comparison.explore.document import Beside, document
from factorial.comparison.figures import style
from factorial.comparison.findings import Findings
from factorial.comparison.table import load
from factorial.record import selection, store
from factorial.record.selection import Asked

CHARTS = ["leaderboard", "loss", "map", "parameters", "score", "seconds"]


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


def column(page: Page, head: str, visible: bool = False) -> list[str]:
    """The cells of the leaderboard below a head."""
    table = page.locator("table").first
    rows = table.locator("tbody tr:visible" if visible else "tbody tr")
    heads = [text.strip() for text in table.locator("th").all_text_contents()]
    place = heads.index(head)
    return [row.locator("td").nth(place).inner_text().strip() for row in rows.all()]


def leading(page: Page, chart: str) -> set[str]:
    """The addresses that the marks of a chart lead to."""
    script = """name => {
      const found = new Set();
      const visit = (node) => {
        for (const item of node.items ?? []) { if (item.href) found.add(item.href); visit(item); }
      };
      visit(explored.views[name].scenegraph().root);
      return [...found];
    }"""
    return set(page.evaluate(script, chart))


def opacities(page: Page, chart: str) -> dict[int, set[float]]:
    """How opaque the marks of each setting are in a chart."""
    script = """name => {
      const found = {};
      const visit = (node) => {
        for (const item of node.items ?? []) {
          const datum = item.datum?.datum ?? item.datum;
          if (datum && 's' in datum && item.mark.marktype !== 'group')
            (found[datum.s] ??= []).push(item.opacity ?? 1);
          visit(item);
        }
      };
      visit(explored.views[name].scenegraph().root);
      return found;
    }"""
    found = page.evaluate(script, chart)
    return {int(place): {round(one, 2) for one in values} for place, values in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1024, 1920])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_opens_from_disk_at_any_width_and_asks_for_nothing(
    browser: Browser, made: Made, said: list[str], width: int, scheme: str, tmp_path: Path
) -> None:
    size = {"width": width, "height": 900}
    page = opened(browser, made[2], said, viewport=size, color_scheme=scheme)
    assert sorted(page.evaluate("Object.keys(explored.views)")) == CHARTS
    for chart in CHARTS:
        drawn = page.locator(f"#chart-{chart} svg")
        assert drawn.count() == 1 and (box := drawn.bounding_box()) is not None
        assert box["width"] > 100 and box["height"] > 100
    for name in ("leaderboard", "cost", "map", "curves"):  # in place of what was drawn
        assert page.locator(f"#{name} .chart").first.is_visible()
        assert not page.locator(f"#{name} img").is_visible()
    overflow = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert page.evaluate(overflow)
    page.screenshot(full_page=True, path=tmp_path / "page.png")
    page.close()
    assert said == []


@pytest.mark.slow
def test_names_on_the_leaderboards_axis_are_whole_on_a_phone(
    browser: Browser, said: list[str], tmp_path: Path
) -> None:
    levels = [f"[512,256,128,64,32,{width}]" for width in (16, 8, 4)]
    found = findings.find(compared(planted(
        product(model_hidden=levels, optimizer=["sgd", "adam"], data_batch=[50, 100], seed=[0, 1])
    )))  # fmt: skip
    report.write(found, None, tmp_path / "report")
    file = tmp_path / "report" / "index.html"
    page = opened(browser, file, said, viewport={"width": 390, "height": 900})
    labels = page.locator("#chart-leaderboard .role-axis-label text").all_text_contents()
    named = [label for label in labels if "sgd" in label or "adam" in label]
    assert len(set(named)) == len(found.board) == 12
    drawn, box = page.locator("#chart-leaderboard svg"), page.locator("#chart-leaderboard")
    assert drawn.bounding_box()["width"] > box.bounding_box()["width"]  # type: ignore[index]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()
    assert said == []


@pytest.mark.slow
def test_no_words_of_an_axis_touch_and_results_stand_on_one_line(
    browser: Browser, said: list[str], tmp_path: Path
) -> None:
    """Intervals from 0 to 1, and times over four decades."""
    rates = {"sgd": [0.001, 0.999], "adam": [0.3, 0.7], "nadam": [0.2, 0.3]}
    runs = [{"optimizer": name, "epochs": epochs, "seed": seed, "accuracy": value}
            for name, values in rates.items() for epochs in (1, 7, 5000)
            for seed, value in enumerate(values)]  # fmt: skip
    found = findings.find(compared(runs))
    (tmp_path / "runs").mkdir()
    around = Beside({}, "", read_of(found, tmp_path / "runs", 200))
    report.write(found, None, tmp_path / "report", around)
    file = tmp_path / "report" / "index.html"
    page = opened(browser, file, said, viewport={"width": 390, "height": 900})
    script = """name => [...document.querySelectorAll(`#chart-${name} .role-axis-label`)]
      .map((axis) => [...axis.querySelectorAll("text")]
        .filter((text) => text.getAttribute("opacity") !== "0" && text.textContent)
        .map((text) => text.getBoundingClientRect()).map(({ x, y, width }) => [x, y, width]))"""
    for width in (390, 900, 1024):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(500)
        for chart in ("leaderboard", "seconds", "score", "loss"):
            for labels in page.evaluate(script, chart):
                level = [(x, x + wide) for x, y, wide in sorted(labels) if y == labels[0][1]]
                assert all(two[0] - one[1] > 4 for one, two in pairwise(level)), (width, chart)
    page.set_viewport_size({"width": 390, "height": 900})
    page.locator("#second").select_option(str(len(found.board) - 1))
    heights = page.locator("#compared dd").evaluate_all("all => all.map((dd) => dd.firstChild"
        " && (() => { const range = document.createRange(); range.selectNodeContents(dd);"
        " return range.getClientRects().length; })())")  # fmt: skip
    assert heights == [1] * 5
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    words = page.locator("#compared").inner_text()
    assert re.search(r"p < 0\.0001[;.]", words) and "= <" not in words
    page.close()
    assert said == []


@pytest.mark.slow
def test_a_long_table_scrolls_below_its_head_and_is_whole_on_paper(
    browser: Browser, said: list[str], tmp_path: Path
) -> None:
    many = product(optimizer=["sgd", "adam"], optimizer_lr=[0.001 * n for n in range(1, 31)],
                   seed=[0, 1])  # fmt: skip
    report.write(findings.find(compared(planted(many))), None, tmp_path / "report")
    page = opened(browser, tmp_path / "report" / "index.html", said)
    box = page.locator(".wide", has=page.locator("table")).first
    hidden = "box => [box.scrollHeight - box.clientHeight, box.clientHeight]"
    rest, height = box.evaluate(hidden)
    assert rest > 0 and height < 900
    box.evaluate("box => { box.scrollTop = box.scrollHeight; box.scrollIntoView(); }")
    head, last = box.locator("thead"), box.locator("tbody tr").last
    shown = [one.bounding_box() for one in (head, last)]
    assert all(one is not None and 0 <= one["y"] < 900 for one in shown)
    page.emulate_media(media="print")
    assert box.evaluate(hidden)[0] == 0
    page.set_viewport_size({"width": 700, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") == 700  # A4
    page.close()
    assert said == []


@pytest.mark.slow
def test_tables_sort_by_click_and_by_key(page: Page) -> None:
    head = page.locator("table").first.locator("th", has_text="validation accuracy")
    values = sorted(map(float, column(page, "validation accuracy")))
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert list(map(float, column(page, "validation accuracy"))) == values
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert list(map(float, column(page, "validation accuracy"))) == values[::-1]
    other = page.locator("table").first.locator("th", has_text="optimizer")
    other.locator("button").click()
    assert column(page, "optimizer") == ["adam"] * 4 + ["sgd"] * 4
    assert head.get_attribute("aria-sort") is None


@pytest.mark.slow
def test_tables_filter_by_words(page: Page) -> None:
    field = page.locator("input[type=search]").first
    field.fill("mlp SGD")
    assert column(page, "model", visible=True) == ["mlp"] * 2
    assert column(page, "optimizer", visible=True) == ["sgd"] * 2
    assert "2 of 8" in page.locator(".filter").first.inner_text()
    field.fill("")
    assert len(column(page, "model", visible=True)) == 8


@pytest.mark.slow
def test_what_is_chosen_on_the_leaderboard_stands_out_in_every_chart(page: Page) -> None:
    page.locator("input[data-setting='3']").check()
    page.wait_for_function("explored.views.score.signal('chosen').length === 1")
    for chart in CHARTS:
        found = opacities(page, chart)
        assert set(found) == set(range(8)), chart
        assert found[3] == {1.0}, chart
        assert all(max(found[other]) < 0.3 for other in found if other != 3), chart
    page.locator("#none-chosen").click()
    page.wait_for_function("explored.views.score.signal('chosen').length === 0")
    assert all(found == {1.0} for found in opacities(page, "seconds").values())
    assert not page.locator("input[data-setting='3']").is_checked()


@pytest.mark.slow
def test_above_the_curves_it_is_said_whose_each_colour_is(page: Page, made: Made) -> None:
    """Of the best six settings, or of those that are chosen: as the lines below are drawn."""
    script = """() => [...document.querySelectorAll(".whose > span")].map((one) =>
      [one.textContent, getComputedStyle(one.querySelector(".swatch")).backgroundColor])"""
    labels = made[0].board["label"].tolist()
    assert page.locator(".whose").count() == 1

    def told() -> dict[str, str]:
        found = {name: [int(part) for part in re.findall(r"\d+", color)]
                 for name, color in page.evaluate(script)}  # fmt: skip
        return {name: "#{:02X}{:02X}{:02X}".format(*parts) for name, parts in found.items()}

    assert list(told()) == labels[:6]
    assert told().items() == dict(zip(labels, style.COLORS[:6], strict=False)).items()
    for place in (7, 2):
        page.locator(f"input[data-setting='{place}']").check()
    assert list(told()) == [labels[7], labels[2]]
    lines = page.evaluate("() => explored.views.score.signal('colors')")
    assert list(told().values()) == [lines["7"], lines["2"]]
    page.locator("#none-chosen").click()
    assert list(told()) == labels[:6]


@pytest.mark.slow
def test_charts_fit_the_width_that_a_window_has_come_to(page: Page) -> None:
    """A map's panels go below each other, and it shows what it showed."""
    page.locator("#score").select_option("seconds")
    shown = page.locator("#chart-map .mark-text.role-mark text")
    page.wait_for_function("explored.views.map.signal('score') === 'seconds'")
    before = sorted(shown.all_text_contents())
    for width, rows in ((300, 2), (1024, 1)):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(
            """rows => new Set([...document.querySelectorAll("#chart-map svg text")]
              .filter((text) => ["adam", "sgd"].includes(text.textContent))
              .map((text) => Math.round(text.getBoundingClientRect().y))).size === rows""",
            arg=rows,
        )
        assert sorted(shown.all_text_contents()) == before
        assert page.evaluate("explored.views.map.signal('score')") == "seconds"


@pytest.mark.slow
def test_the_map_shows_the_score_that_one_asks_for(page: Page, made: Made) -> None:
    found = made[0]
    runs = found.comparison.runs.assign(label=found.comparison.labels)
    runs["error"] = np.log10(1 - runs["score"])
    means = runs.groupby("label")[["score", "error", "gap", "seconds"]].mean()
    forms = {"score": ".4f", "error": ".2f", "gap": ".3g", "seconds": ".3g"}
    for score, form in forms.items():
        page.locator("#score").select_option(score)
        page.wait_for_function(f"explored.views.map.signal('score') === '{score}'")
        expected = sorted(format(value, form) for value in means[score])
        drawn = page.locator("#chart-map .mark-text.role-mark text").all_text_contents()
        assert sorted(drawn) == expected
    assert page.locator("#score option").all_text_contents() == [
        "validation accuracy",
        "log error (log10 of the share misread)",
        "gap: held-out less training loss (nats)",
        "training time of a run (s)",
    ]


@pytest.mark.slow
def test_a_mark_names_its_setting_and_leads_to_its_run(page: Page, made: Made) -> None:
    found, around, _ = made
    runs = found.comparison.runs.assign(label=found.comparison.labels)
    best = runs.loc[runs.groupby("label")["score"].idxmax(), "id"]
    to_best = {around.pages[run] for run in best}
    led = dict.fromkeys(CHARTS, to_best)
    led |= {chart: set(around.pages.values()) for chart in ("leaderboard", "loss", "score")}
    for chart in CHARTS:
        assert leading(page, chart) == led[chart]
    mark = page.locator("#chart-seconds path[aria-roledescription='point']").first
    mark.hover()
    tip = page.locator("#vg-tooltip-element")
    tip.wait_for(state="visible")
    row = found.board.iloc[0]
    said = tip.inner_text()
    assert row["label"] in said and f"{row['mean']:.4f} ({row['low']:.4f} to" in said
    assert "n = 3" in said and re.search(r"run:?\s+\d+", said)
    assert around.command in page.locator("#opens").inner_text()
    page.context.route("http://127.0.0.1:5000/**", lambda route: route.fulfill(body="a run"))
    with page.expect_popup() as opened:
        mark.click()
    opened.value.wait_for_load_state()
    assert opened.value.url in to_best
    links = [link.get_attribute("href") for link in page.locator("#compared a").all()]
    two = around.readings.settings[0] + around.readings.settings[1]
    assert links == [around.pages[one.run] for one in two]


@pytest.mark.slow
def test_any_two_settings_are_compared_as_statsmodels_would(page: Page, made: Made) -> None:
    around = made[1]
    for first, other in ((0, 1), (7, 0), (3, 5)):
        page.locator("#first").select_option(str(first))
        page.locator("#second").select_option(str(other))
        told = page.locator("#compared dd").all_inner_texts()
        runs = [np.stack([one.correct for one in around.readings.settings[place]])
                for place in (first, other)]  # fmt: skip
        mine, its = (2 * one.sum(axis=0) > 3 for one in runs)
        alone, against = np.flatnonzero(mine & ~its), np.flatnonzero(its & ~mine)
        p = mcnemar([[0, len(alone)], [len(against), 0]], exact=True).pvalue
        expected = pairs.difference(*runs)
        assert told[0] == wording.share(expected.value, sign=True)
        assert told[1] == f"{expected.low:+.4f} to {expected.high:+.4f}"
        assert told[2:4] == [str(len(alone)), str(len(against))]
        assert told[4] == ("< 0.0001" if p < 1e-4 else f"{p:.4f}")
        for place, images in enumerate((alone, against)):
            tiles = page.locator("#compared .tiles").nth(place).locator("li")
            shown = [int(tile.get_attribute("data-image") or -1) for tile in tiles.all()]
            assert shown == images.tolist()[:60]
            labels = around.readings.runs[0].read.labels
            captions = tiles.all_inner_texts()
            assert all(f"{i}: is {labels[i]}\n" in text
                       for i, text in zip(shown, captions, strict=True))  # fmt: skip
    page.locator("#second").select_option("3")
    assert "one setting" in page.locator("#compared").inner_text()


@pytest.mark.slow
def test_the_two_that_are_ticked_are_compared(page: Page) -> None:
    page.locator("input[data-setting='5']").check()
    page.locator("input[data-setting='2']").check()
    assert page.locator("#first").input_value() == "5"
    assert page.locator("#second").input_value() == "2"


@pytest.mark.slow
def test_a_tile_is_the_image_that_it_says(page: Page, made: Made) -> None:
    """The pixels of the sheet at the place where the tile looks."""
    from explored import images

    page.locator("#first").select_option("0")
    page.locator("#second").select_option("7")
    script = """async () => {
      const sheet = new Image(); sheet.src = page.evidence.sprite.uri; await sheet.decode();
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [sheet.width, sheet.height];
      const context = canvas.getContext('2d'); context.drawImage(sheet, 0, 0);
      const tile = document.querySelector('.tiles li');
      const style = getComputedStyle(tile.querySelector('.tile'));
      const zoom = parseFloat(style.width) / page.evidence.sprite.size[0];
      const [x, y] = style.backgroundPosition.split(' ').map((one) => -parseFloat(one) / zoom);
      const pixels = context.getImageData(x, y, 28, 28).data;
      return [Number(tile.dataset.image), [...pixels].filter((_, i) => i % 4 === 0)];
    }"""
    image, pixels = page.evaluate(script)
    assert pixels == (255 - images(300)[image, 0]).ravel().tolist()


@pytest.mark.slow
def test_without_a_script_and_on_paper_the_page_is_whole(
    browser: Browser, made: Made, said: list[str], page: Page
) -> None:
    bare = opened(browser, made[2], said, java_script_enabled=False)
    page.emulate_media(media="print")
    for one in (bare, page):
        figures = one.locator("figure img")
        assert figures.count() == len(list(made[2].parent.glob("*.svg")))
        assert all(figure.is_visible() for figure in figures.all())
        assert not [control for control in one.locator(".played").all() if control.is_visible()]
        assert one.locator("table").first.locator("tbody tr").count() == 8
        assert "McNemar" in one.locator("body").inner_text()
    bare.close()


@pytest.mark.slow
def test_a_level_is_text_whatever_it_says(
    browser: Browser, said: list[str], tmp_path: Path
) -> None:
    found, _ = explored(product(model_hidden=["[8]", HOSTILE], optimizer=["sgd", "adam"],
                                seed=[0, 1]), tmp_path)  # fmt: skip
    file = tmp_path / "report" / "index.html"
    scripts = len(re.findall("<script", file.read_text()))
    plain, _ = explored(product(model_hidden=["[8]", "[9]"], optimizer=["sgd", "adam"],
                                seed=[0, 1]), tmp_path / "plain")  # fmt: skip
    assert scripts == len(
        re.findall("<script", (tmp_path / "plain" / "report" / "index.html").read_text())
    )
    page = opened(browser, file, said)
    assert HOSTILE.replace(" ", "") in page.locator("#first").inner_text().replace(" ", "")
    page.locator("#chart-seconds path[aria-roledescription='point']").first.hover()
    page.locator("#vg-tooltip-element").wait_for(state="visible")
    assert page.locator("b, #vg-tooltip-element b").count() == 0
    page.locator("input[data-setting]").first.check()
    page.close()
    assert said == []
    assert len(found.board) == len(plain.board) == 4


def failing(folder: Path) -> Findings:
    """A third of the settings failed: at a rate of 10 they read 0.1, and their loss is 1e10."""
    grid = product(model=["linear", "mlp"], optimizer=["sgd", "adam"],
                   optimizer_lr=[0.001, 0.01, 10.0], seed=[0, 1, 2])  # fmt: skip
    runs = planted(grid)
    for run in runs:
        run["accuracy"] = 0.1 if run["optimizer.lr"] == 10 else run["accuracy"]
    comparison = compared(runs)
    bad = comparison.runs["id"][comparison.runs["optimizer.lr"] == "10"]
    comparison.curves.loc[comparison.curves["id"].isin(bad), "train/loss"] = 1e10
    made = findings.find(comparison)
    report.write(made, None, folder / "report")
    return made


@pytest.mark.slow
def test_what_failed_stretches_no_chart_and_has_an_arrow_in_each(
    browser: Browser, said: list[str], tmp_path: Path
) -> None:
    made = failing(tmp_path)
    page = opened(browser, tmp_path / "report" / "index.html", said)
    script = """([name, channel]) => {
      const found = [];
      const visit = (node) => {
        for (const item of node.items ?? []) {
          if (String(item.shape).startsWith('triangle')) found.push(item.datum.s);
          visit(item);
        }
      };
      visit(explored.views[name].scenegraph().root);
      return [explored.views[name].scale(channel).domain(), [...new Set(found)]];
    }"""
    good = made.board["mean"][made.board["mean"] > 0.5]
    for chart in [name for name in CHARTS if name != "map"]:
        (low, high), places = page.evaluate(script, [chart, "x" if chart == "leaderboard" else "y"])
        assert sorted(places) == [8, 9, 10, 11], chart
        assert set(opacities(page, chart)) == set(range(12)), chart
        if chart == "loss":
            assert low > 0.1 and high < 10
        else:
            assert good.min() - 0.11 < low < good.min() < good.max() < high < 1.05, chart
        words = page.locator(f"#chart-{chart} svg").text_content() or ""
        assert "arrow: cut off, " in words
        assert ("1e+10" if chart == "loss" else "0.1000" if chart != "score" else "0.0") in words
    row = page.locator("#chart-leaderboard svg .mark-text.role-mark text")
    assert row.all_text_contents() == ["0.1000"] * 4
    page.close()
    assert said == []


@pytest.mark.slow
def test_the_contents_lead_to_the_comparison_of_two_where_a_script_runs(
    browser: Browser, made: Made, said: list[str], page: Page
) -> None:
    link = page.locator("nav a", has_text="Compare any two settings")
    link.click()
    assert page.evaluate("location.hash") == "#compare"
    assert page.locator("#compare").bounding_box()["y"] < 100  # type: ignore[index]
    bare = opened(browser, made[2], said, java_script_enabled=False)
    assert not bare.locator("nav a", has_text="Compare any two settings").is_visible()
    assert not bare.locator("#compare").is_visible()
    bare.close()


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [5, 2, 1])
def test_a_page_of_500_runs_stays_below_3_megabytes(tmp_path: Path, seeds: int) -> None:
    """And all settings can be compared with each other."""
    optimizers, batches = {5: (2, 1), 2: (1, 5), 1: (2, 5)}[seeds]
    grid = product(model=["linear", "mlp"], optimizer=["sgd", "adam"][:optimizers],
                   optimizer_lr=[0.001, 0.01, 0.1, 1.0, 10.0], epochs=[5, 10, 15, 20, 25],
                   data_batch=range(batches), seed=range(seeds))  # fmt: skip
    assert len(grid) == 500
    found, around = explored(grid, tmp_path, count=6000)
    assert (tmp_path / "report" / "index.html").stat().st_size < 3_000_000
    told = evidence.document(around.readings, found.comparison.runs["id"].tolist())
    assert told is not None and told["beyond"] == 0 and len(told["runs"]) == 500


def test_without_predictions_on_record_the_page_says_so() -> None:
    found = findings.find(compared(planted(GRID)))
    told = document(found, report.NOTHING)
    assert told["evidence"] is None and len(told["settings"]) == 8
    assert "NaN" not in json.dumps(told)


@pytest.mark.slow
def test_images_that_tell_settings_apart_come_first(made: Made) -> None:
    runs = made[1].readings.runs
    shown = sprite.telling(runs)
    read = np.stack([
        2 * np.stack([one.correct for one in mine]).sum(axis=0) > len(mine)
        for mine in made[1].readings.settings.values()
    ])  # fmt: skip
    parted = [int(read[:, image].sum() * (len(read) - read[:, image].sum())) for image in shown]
    assert parted == sorted(parted, reverse=True) and min(parted) > 0
    kept = {int(image) for run in runs for image in run.read.kept}
    assert set(shown) == {i for i in kept if 0 < read[:, i].sum() < len(read)}


@pytest.mark.slow
def test_a_sheet_of_images_has_a_limit(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sprite.drawn([made[1].readings.runs])
    monkeypatch.setattr(sprite, "BYTES", len(whole.content) // 2)
    fewer = sprite.drawn([made[1].readings.runs])
    assert len(fewer.content) <= len(whole.content) // 2
    assert fewer.shown[0] == whole.shown[0][: len(fewer.shown[0])] and fewer.shown[0]


@pytest.mark.slow
def test_what_real_runs_read_is_their_accuracy_and_their_pages_are_mlflows(outputs: Path) -> None:
    words = ["data=digits", "model=linear", "optimizer=sgd,adam", "epochs=1", "seed=0,1"]
    swept(outputs, *words)
    opened = seen_anew(outputs)
    chosen = selection.select(opened, Asked(None, None, None))
    found = findings.find(load(opened, chosen, "validation/accuracy"))
    read = readings.load(opened, found)
    scores = {run.info.run_id: run.data.metrics["validation/accuracy"] for run in children(outputs)}
    assert {one.run: one.correct.mean() for one in read.runs} == pytest.approx(scores)
    assert (read.images, read.missing, read.beyond) == ("validation", 0, 0)
    assert [one.setting for one in read.runs] == [0, 0, 1, 1]
    pages, command = store.run_pages(opened, chosen.runs)
    (experiment,) = {run.info.experiment_id for run in recorded(outputs)}
    assert pages == {
        run: f"http://127.0.0.1:5000/#/experiments/{experiment}/runs/{run}" for run in scores
    }
    assert "ui --backend-store-uri sqlite:///" in command
    file = next((outputs / "runs").glob("*/artifacts/held-out.safetensors"))
    file.unlink()  # as of an older version
    assert readings.load(opened, found).missing == 1
