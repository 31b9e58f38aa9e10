"""A search's report, played with: its trials stand where a comparison has settings."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from charted import marks
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from placing import at, boxes, laid_out, middle
from playwright.sync_api import Browser, Page
from tried import ASKED, SHARES, Asked, made

from factorial.comparison import search, search_glance
from factorial.comparison.explore.search import NOTHING, Beside, document
from factorial.comparison.figures import search as figures
from factorial.comparison.figures import style
from factorial.comparison.trials import Trials
from factorial.record.reading import RecordedRun

NOON = 1_795_608_000_000  # of 25 November 2026, in milliseconds since 1970
RANKED = [6, 3, 5, 1, 4, 0]  # the trials with a value, complete ones first
# Twelve alike, and one that learnt nothing
FAR: list[Asked] = [
    *((0.01 * place, "adam", dict.fromkeys((3, 9), 0.9 + 0.005 * place)) for place in range(1, 13)),
    (0.9, "sgd", {3: 0.1, 9: 0.1}),
]


def ran(number: str, epochs: int, seed: int) -> RecordedRun:
    identity = f"{number.replace(', ', '')}{epochs}{seed}"
    params = {"epochs": str(epochs), "seed": str(seed), "data": "digits"}
    tags, metrics = {"trial": number}, {"test/accuracy": 0.9}
    return RecordedRun(identity, "FINISHED", tags, metrics, params, touched=NOON + seed)


def beside() -> Beside:
    """Two seeds of each trial with a value, at both rungs; trials 3 and 5 are one run at the last,
    and the run of trial 4 is gone."""
    runs = [ran(number, epochs, seed)
            for number, ends in (("6", (3, 9)), ("3, 5", (3, 9)), ("1", (3, 9)), ("0", (3,)))
            for epochs in ends for seed in (10, 9)]  # fmt: skip
    pages = {run.id: f"http://127.0.0.1:5000/#/runs/{run.id}" for run in runs}
    return Beside(runs, pages, "mlflow ui")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search") / "report"
    search.write(made(), SHARES, [], folder, beside())
    return folder / "index.html"


@pytest.fixture
def page(browser: Browser, file: Path) -> Iterator[Page]:
    page, said = browser.new_page(viewport={"width": 1024, "height": 900}), []
    page.set_default_timeout(120_000)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-explored]", state="attached")
    yield page
    page.close()
    assert said == []


def test_a_trial_has_its_settings_its_value_and_the_run_of_its_first_seed() -> None:
    told = document(made(), beside())
    assert [one["levels"] for one in told["settings"]] == [[str(number)] for number in RANKED]
    assert [one["best"] for one in told["settings"]] == ["699", "3599", "3599", "199", None, "039"]
    first, last = told["settings"][0], told["settings"][-1]
    assert first["label"] == "trial 6: kind=adam, rate=0.2, size=160"
    assert first["told"] == "0.9500, complete, 9 epochs"
    assert last["told"] == "0.5000, pruned, 3 epochs"
    (one,) = document(made([(0.1, "adam", {1: 0.25})]), NOTHING)["settings"]
    assert one["told"] == "0.2500, pruned, 1 epoch"
    led = [(run["s"], told["addresses"][run["at"]] + run["run"]) for run in told["runs"]]
    assert led == [(place, f"http://127.0.0.1:5000/#/runs/{run}") for place, run in
                   ((0, "699"), (1, "3599"), (2, "3599"), (3, "199"), (5, "039"))]  # fmt: skip


def test_its_title_says_settings_data_and_date(file: Path) -> None:
    said = "Kind, rate and size on digits, 2026-11-25"
    page = file.read_text()
    assert f"<h1>{said}: a search, not a controlled comparison</h1>" in page
    assert f"<title>Factorial: {said}</title>" in page
    assert "search x: 7 trials (5 complete, 1 pruned, 1 failed)" in page
    named = replace(made(), name="rates")
    assert search.heading(named, beside().runs) == (
        "rates: kind, rate and size on digits, 2026-11-25"
    )
    assert search.heading(named, []) == "search x"


def test_runs_from_elsewhere_may_lack_what_every_run_has() -> None:
    bare = [run._replace(params={"epochs": run.params["epochs"]}) for run in beside().runs]
    assert document(made(), Beside(bare))["settings"][0]["best"] in ("6910", "699")
    assert search.heading(made(), bare) == "Kind, rate and size, 2026-11-25"


def test_a_command_stays_code_whatever_is_in_it(tmp_path: Path) -> None:
    typed = "python train.py 'a=``x`'\n# [b](c)"
    search.write(replace(made(), confirm=typed), SHARES, [], tmp_path / "report")
    assert (
        "\n``` python train.py 'a=``x`' # [b](c) ```\n"
        in (tmp_path / "report" / "report.md").read_text()
    )
    assert "The best one on fresh seeds: ``` python" in search_glance.text(
        replace(made(), confirm=typed), 3
    )


def test_without_a_trial_that_has_a_value_there_is_no_chart(tmp_path: Path) -> None:
    none = made([(0.1, "adam", {}), (0.2, "sgd", {})])
    told = document(none, NOTHING)
    assert told["settings"] == [] and told["charts"] == {}
    search.write(none, {}, [], tmp_path / "report")
    assert "No trial is complete." in (tmp_path / "report" / "index.html").read_text()


def test_the_history_has_every_trial_at_its_value_and_the_best_so_far() -> None:
    told = document(made(), beside())
    spec = told["charts"]["history"]
    seen = marks(spec, {}, settings=told["settings"])
    points = {int(mark.said["trial"]): mark for mark in seen if mark.kind == "point"}
    values = {number: values[max(values)] for number, (*_, values) in enumerate(ASKED) if values}
    assert {number: float(mark.said["validation accuracy"]) for number, mark in points.items()} == (
        values
    )
    fills = {number: mark.drawn.get("fill", "none") for number, mark in points.items()}
    assert {fills[number] for number in (1, 3, 4, 5, 6)} == {style.COLORS[0]}
    assert (points[0].drawn["stroke"], fills[0]) == (style.GREY, "none")
    (failed,) = [mark for mark in seen if mark.kind == "tick"]
    assert failed.said["trial"] == "2"
    (best,) = [one["data"]["values"] for one in spec["layer"]
               if one["mark"]["type"] == "line"]  # fmt: skip
    assert [(row["number"], row["mean"]) for row in best] == [
        (1, 0.75), (3, 0.9), (4, 0.9), (5, 0.9), (6, 0.95),
    ]  # fmt: skip


def test_what_is_chosen_has_its_colour_in_the_history_and_the_others_are_faint() -> None:
    told = document(made(), beside())
    spec = told["charts"]["history"]
    params = {"chosen": [1], "colors": {"1": "#123456"}}
    points = [mark for mark in marks(spec, params, settings=told["settings"])
              if mark.kind == "point"]  # fmt: skip
    strong = [mark for mark in points if mark.drawn["opacity"] == "1"]
    assert [(mark.said["trial"], mark.drawn["fill"]) for mark in strong] == [("3", "#123456")]
    assert len(points) == 6


def test_one_trial_far_below_flattens_no_figure(tmp_path: Path) -> None:
    """Of colours and of heights."""
    trials = made(FAR)
    with style.style():
        lines, filled, panels = (laid_out(draw(trials, SHARES), tmp_path) for draw in
                                 (figures.parallel, figures.contour, figures.slices))  # fmt: skip
    for drawn in (lines, filled):
        low, high = drawn.axes[-1].get_ylim()
        assert low > 0.85 and high < 0.97
        assert "as the least that is shown, 0.1000" in drawn.axes[0].get_title(loc="left")
    for axes in panels.axes[:3]:
        low, high = axes.get_ylim()
        assert low > 0.85 and high < 0.97
    spec = document(trials, NOTHING)["charts"]["history"]
    assert "arrow: cut off, 0.1000" in spec["title"]["text"]
    (arrow,) = [mark for mark in marks(spec, {}, settings=document(trials, NOTHING)["settings"])
                if mark.said.get("trial") == "12"]  # fmt: skip
    assert arrow.kind == "point" and "0.1" not in arrow.said.values()


def placed(drawn: Figure, place: int) -> list[tuple[float, float]]:
    return sorted(middle(box) for box in boxes(drawn, place))


def where(axes: Axes, x: float, y: float) -> object:
    return pytest.approx(at(axes, x, y), abs=2e-4)


def test_drawn_figures_mark_every_trial_where_they_show_it(tmp_path: Path) -> None:
    trials = made()
    with style.style():
        rungs, lines, filled, panels = (
            laid_out(draw(trials, SHARES), tmp_path)
            for draw in (figures.climb, figures.parallel, figures.contour, figures.slices)
        )
    for place, number in enumerate(RANKED):
        rate, kind, values = ASKED[number]
        size, epochs = 100 + 10 * number, max(values)
        value, by_rate = values[epochs], 1 + math.log10(rate) / 3
        assert placed(rungs, place) == [where(rungs.axes[0], epochs, value)]
        heights = [("sgd", "adam").index(kind), (size - 100) / 200, (value - 0.5) / 0.45]
        assert placed(lines, place) == [
            where(lines.axes[0], x, y) for x, y in enumerate([by_rate, *heights])
        ]
        assert placed(filled, place) == [where(filled.axes[0], by_rate, (size - 100) / 200)]
        across = (rate, heights[0], size)
        assert placed(panels, place) == [
            where(axes, x, value) for axes, x in zip(panels.axes, across, strict=False)
        ]


@pytest.mark.slow
@pytest.mark.parametrize("media", ["screen", "print"])
def test_the_command_for_fresh_seeds_is_whole_and_every_column_named(
    browser: Browser, tmp_path: Path, media: Literal["screen", "print"]
) -> None:
    command = "python train.py -m data=digits optimizer.lr=0.1234567890123 seed=1,2,3,4,5 " * 3
    one = Trials(**{**vars(made()), "confirm": command})
    search.write(one, SHARES, [], tmp_path / "report")
    page = browser.new_page(viewport={"width": 390, "height": 900})
    page.goto((tmp_path / "report" / "index.html").as_uri())
    page.emulate_media(media=media)
    assert page.locator("pre").evaluate("pre => pre.scrollWidth <= pre.clientWidth")
    assert all(text.strip() for text in page.locator("th").all_text_contents())
    page.close()


@pytest.mark.slow
def test_a_tick_shows_a_trial_in_every_figure(page: Page) -> None:
    page.locator("input[data-setting='1']").check()  # trial 3
    row = page.locator("tr.chosen")
    assert row.locator("td").first.inner_text().strip() == "3"
    assert page.get_by_text("Tick trials to see them in every figure.").is_visible()
    for name, rings in {"rungs": 1, "parallel": 4, "contour": 1, "slices": 3}.items():
        assert page.locator(f"#{name} .ring[data-setting='1']").count() == rings
    assert page.locator(".ring").count() == 9
    page.locator("input[data-setting='0']").check()  # of the same kind: one ring around the other
    script = "all => all.map((ring) => ['x', 'y', 'width'].map((key) => ring.getAttribute(key)))"
    for name in ("parallel", "slices"):
        rings = page.locator(f"#{name} .ring").evaluate_all(script)
        assert len({tuple(ring) for ring in rings}) == len(rings) > 4
    page.locator("#none-chosen").click()
    assert page.locator(".ring").count() == 0
    assert page.locator("input[data-setting]").count() == len(RANKED)


@pytest.mark.slow
def test_a_pointer_is_told_of_a_trial_and_led_to_its_run(page: Page) -> None:
    page.context.route("http://127.0.0.1:5000/**", lambda route: route.fulfill(body="a run"))
    tip = page.locator("#vg-tooltip-element.visible")
    places = {"#chart-history path[aria-roledescription=point]": 0, "#contour .area": 0}
    for selector in places:
        mark = page.locator(selector).filter(visible=True)
        told = set()
        for one in mark.all():
            one.hover()
            told.add(tip.inner_text().splitlines()[1].split(":")[0].strip())
        assert told == {f"trial {number}" for number in RANKED}
    area = page.locator("#rungs .area.leads").first
    with page.expect_popup() as led:
        area.click()
    led.value.wait_for_load_state()
    assert led.value.url.startswith("http://127.0.0.1:5000/#/runs/")
    assert "mlflow ui" in page.locator("#opens").inner_text()
    led.value.close()
