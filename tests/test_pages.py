"""What every page is made with: its templates, and the script that draws its charts."""

import base64
import io
import re
from pathlib import Path

import jinja2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from factorial.comparison import embedded
from factorial.pages import charts
from factorial.pages.templates import template


def test_the_script_of_charts_is_one_element_that_asks_no_network() -> None:
    script = charts.script()
    assert re.findall(r"</?script[ >]", script) == ["<script>", "</script>"]
    assert script.startswith("<script>") and script.endswith("</script>")
    assert "window.vegaEmbed" in script
    assert 500_000 < len(script) < 1_000_000
    assert not re.search(r"https?://(?!www\.w3\.org|vega\.github\.io|github\.com)", script)


def test_what_a_page_is_told_is_text_and_what_a_cell_is_told_stays_within_it() -> None:
    page = template("factorial.comparison", "search.html")
    assert page.environment.from_string("{{ x }}").render(x="<b>") == "&lt;b&gt;"
    report = template("factorial.comparison", "report.md")
    cell = report.environment.from_string("{{ x | cell }}")
    assert cell.render(x="a|b\n[c](d) <e> `f`") == "a\\|b \\[c\\](d) &lt;e> \\`f\\`"
    with pytest.raises(jinja2.UndefinedError):
        page.environment.from_string("{{ forgotten }}").render()


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("factorial.comparison", "index.html"),
        ("factorial.comparison", "search.html"),
        ("factorial.motion", "index.html"),
        ("factorial.motion", "plane.html"),
    ],
)
def test_all_that_a_page_says_is_within_its_main_landmark(package: str, name: str) -> None:
    page = template(package, name)
    source = Path(str(page.filename)).read_text()
    head, _, rest = source.partition("<body>\n<main>\n<h1>")
    said, _, scripts = rest.partition("</main>\n")
    assert "<main" not in head + said and "<p" in said
    assert not re.search(r"<(h\d|p|section|nav|figure|table)\b", scripts)


MACROS = """{% import "macros.html.j2" as macros with context %}
{{ macros.table(rows) }}{{ macros.picture("one") }}{{ macros.picture("two") }}"""


def test_a_table_s_cells_are_text_and_a_picture_that_was_not_drawn_is_none() -> None:
    page = template("factorial.comparison", "search.html").environment.from_string(MACROS)
    one = {"title": "Title", "uri": "data:,", "least": 300, "alt": 'what "is" seen'}
    html = page.render(rows=[{"a": "<b>x</b>", "b": "y" * 61}], pictures={"one": one})
    assert "<td>&lt;b&gt;x&lt;/b&gt;</td>" in html and 'class="long">yyy' in html
    assert html.count("<figure") == 1
    assert 'alt="Title: what &#34;is&#34; seen"' in html


def picture(file: Path, size: int) -> None:
    """Of noise in 200 colours, which few colours make smaller."""
    noise = np.random.default_rng(0).integers(0, 200, (size, size), dtype=np.uint8)
    Image.fromarray(np.stack([noise, noise // 2, 255 - noise], axis=2)).save(file)


def test_a_drawing_is_within_its_page_as_it_is_or_smaller_as_a_picture(tmp_path: Path) -> None:
    picture(tmp_path / "one.png", 100)
    few = embedded.fewer(tmp_path / "one.png")
    with Image.open(io.BytesIO(few)) as opened:
        assert 16 < len(opened.convert("RGB").getcolors() or []) <= 32
    small, large = b"<svg/>", b"<svg>" + b" " * embedded.LARGE + b"</svg>"
    for drawn, kind, content in ((small, "svg+xml", small), (large, "png", few)):
        (tmp_path / "one.svg").write_bytes(drawn)
        whole = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
        assert embedded.uri(tmp_path, "one") == whole
    picture(tmp_path / "one.png", 500)
    assert len(embedded.fewer(tmp_path / "one.png")) > len(large)
    assert embedded.uri(tmp_path, "one").startswith("data:image/svg+xml;")


ROWS = [
    ("linear SGD", "0.97 (0.96 to 0.98)"),
    ("mlp sgd", ""),
    ("mlp Adam", "1,200"),
    ("cnn adam", "< 0.01"),
    ("mlp10 adam", "30"),
    ("mlp9 adam", "x 0.45"),
]


@pytest.mark.slow
def test_a_table_sorts_by_what_its_cells_begin_with_and_filters_by_all_words(
    browser: Browser,
) -> None:
    page = browser.new_page()
    environment = template("factorial.comparison", "search.html").environment
    words = """{% import "macros.html.j2" as macros with context %}{{ macros.table(rows) }}"""
    words += """{% include "tables.html.j2" %}"""
    rows = [{"setting": one, "value": other} for one, other in ROWS]
    page.set_content(environment.from_string(words).render(rows=rows))

    def shown() -> list[str]:
        return page.locator("tbody tr:visible td:first-child").all_inner_texts()

    value = ["cnn adam", "mlp9 adam", "linear SGD", "mlp10 adam", "mlp Adam", "mlp sgd"]
    page.locator("th button").nth(1).click()
    assert shown() == value
    page.locator("th button").nth(1).click()
    assert shown() == [*value[:-1][::-1], "mlp sgd"]  # what is empty comes last either way
    page.locator("th button").first.click()
    assert shown() == [
        "cnn adam", "linear SGD", "mlp Adam", "mlp sgd", "mlp9 adam", "mlp10 adam",
    ]  # fmt: skip
    assert page.locator("[aria-sort]").count() == 1
    page.locator("input[type=search]").fill("MLP adam")
    assert shown() == ["mlp Adam", "mlp9 adam", "mlp10 adam"]
    assert "3 of 6" in page.locator(".filter").inner_text()
    page.close()
