"""What every page is made with: its templates, and the script that draws its charts."""

import re

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
