"""The report as its reader meets it: files, a page in a browser, the parent run in MLflow."""

import csv
import html
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser
from processes import train
from recorded import compared, opened, planted, product, seen_anew, sweep
from running import client, parents

from factorial.comparison import findings, report, wording
from factorial.comparison.findings import Findings
from factorial.record import selection
from factorial.record.selection import Asked

SQUARE = product(model=["linear", "mlp"], optimizer=["sgd", "adam"], seed=[0, 1, 2])
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def found() -> Findings:
    return findings.find(compared(planted(SQUARE)))


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A real sweep on the digits that ends with its report."""
    folder = tmp_path_factory.mktemp("outputs")
    words = ["model=linear,mlp", "optimizer=sgd,adam", "seed=0,1,2", "epochs=2"]
    done = train(folder, "-m", "data=digits", *words, "report=true")
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_the_board_ranks_ties_alike(found: Findings) -> None:
    assert found.winner["label"] == "mlp adam"
    assert found.board["rank"].tolist()[0] == 1
    ties = found.board[found.board["tie"]]
    assert set(ties["rank"]) == {1}


@pytest.mark.slow
def test_the_winners_test_accuracy_is_quoted_once(found: Findings, tmp_path: Path) -> None:
    report.write(found, None, tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text()
    assert page.count(wording.share(found.test.value)) == 1


@pytest.mark.slow
def test_numbers_of_a_program_are_json(found: Findings, tmp_path: Path) -> None:
    report.write(found, None, tmp_path / "report")
    numbers = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert numbers["winner"] == "mlp adam"
    assert numbers["score"]["value"] == found.winner["mean"]
    assert sum(numbers["shares"].values()) == pytest.approx(1)


@pytest.mark.slow
def test_every_run_is_in_the_csv(found: Findings, tmp_path: Path) -> None:
    report.write(found, None, tmp_path / "report")
    with (tmp_path / "report" / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["score"]) for row in rows] == found.comparison.runs["score"].tolist()
    assert {row["model"] for row in rows} == {"linear", "mlp"}


@pytest.mark.slow
def test_svg_keeps_its_labels_as_text(found: Findings, tmp_path: Path) -> None:
    report.write(found, None, tmp_path / "report")
    expected = {
        "leaderboard": {"mlp adam", "linear sgd", "validation accuracy", "0.94"},
        "cost": {"training time of a run (s), log scale", "parameters of the model, log scale"},
        "shares": {"model", "optimizer", "model x optimizer", "seeds"},
        "map": {"sgd", "adam", "linear", "mlp", "optimizer", "model",
                f"{found.winner['mean']:.4f}"},
        "charts": {"sgd", "adam", "error, gap and time, n = 3 a cell"},
        "curves": {"epoch", "mlp adam", "training loss (nats), log scale"},
        "gradients": {"layer 1", "layer 2", "layer 3", "epoch"},
        "interactions": {"linear", "mlp", "sgd", "adam",
                         "means of n = 3 runs; bars: 95 % intervals"},
    }  # fmt: skip
    for name, labels in expected.items():
        tree = ET.parse(tmp_path / "report" / f"{name}.svg")
        drawn = {"".join(text.itertext()).strip() for text in tree.iter(f"{SVG}text")}
        assert labels <= drawn, name


@pytest.mark.slow
def test_a_report_replaces_the_one_before_it_whole(found: Findings, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "hardest.svg").write_text("of another winner")
    report.write(found, None, folder)
    assert (folder / "index.html").exists()
    assert not (folder / "hardest.svg").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_figure_that_fails_is_named_and_the_rest_stands(
    found: Findings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: Findings) -> None:
        raise ZeroDivisionError("by nothing")

    leaderboard = report.PICTURES[0]
    monkeypatch.setattr(report, "PICTURES", (leaderboard, report.Picture("cost", "Cost", fails)))
    report.write(found, None, tmp_path / "report")
    text = (tmp_path / "report" / "index.html").read_text()
    assert "the figure &#39;Cost&#39; can&#39;t be drawn: ZeroDivisionError: by nothing" in text
    assert (tmp_path / "report" / "leaderboard.svg").is_file()
    assert not (tmp_path / "report" / "cost.svg").exists()


def published(runs: list[dict[str, object]], folder: Path) -> str:
    """The report of such runs, as Markdown."""
    report.write(findings.find(compared(runs)), None, folder)
    return (folder / "report.md").read_text()


@pytest.mark.slow
def test_a_single_result_is_a_report(tmp_path: Path) -> None:
    grid = product(model=["linear", "mlp"], seed=[0])
    runs = [{**grid[0], "accuracy": 0.9}, {**grid[1], "failure": "the training loss is nan"}]
    text = published(runs, tmp_path / "report")
    assert "1 run has no result to compare" in text
    assert "the training loss is nan" in text


@pytest.mark.slow
@pytest.mark.parametrize("level", ["$^$", "[/x]", "a|b", "<script>alert(1)</script>", "x" * 60])
def test_a_level_is_a_level_however_it_is_spelled(
    tmp_path: Path, level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = product(model_hidden=["[8]", level], optimizer=["sgd", "adam"], seed=[0, 1])
    found = findings.find(compared(planted(grid)))
    report.write(found, None, tmp_path / "report")
    report.show(found, None, tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text()
    assert page.count("<script>") == 6  # its own: charts, four of what is played with, tables
    assert "<script>" not in (tmp_path / "report" / "report.md").read_text()
    assert level[:20] in capsys.readouterr().out
    rows = (tmp_path / "report" / "report.md").read_text().splitlines()
    board = [line.replace("\\|", "") for line in rows if line.startswith("|")]
    assert len({line.count("|") for line in board[:6]}) == 1


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of settings of which one failed, for a reason that is long."""
    reason = "the training loss is inf in epoch 1, " + 4 * "and somebody has more to say of it, "
    grid = product(model=["linear", "mlp"], optimizer=["sgd", "adam"], optimizer_lr=[0.1, 0.01],
                   epochs=[1, 2], seed=[0, 1, 2])  # fmt: skip
    runs = planted(grid)
    del runs[0]["accuracy"]
    runs[0]["failure"] = reason
    folder = tmp_path_factory.mktemp("page") / "report"
    report.write(findings.find(compared(runs)), None, folder)
    return folder / "index.html"


@pytest.mark.slow
def test_a_factor_is_called_the_same_in_tables_figures_and_alt_texts(page: Path) -> None:
    text, drawn = page.read_text(), (page.parent / "shares.svg").read_text()
    terms = ["learning rate", "optimizer x learning rate", "learning rate x epochs"]
    for term in terms:
        assert f"<td>{term}</td>" in text
        assert f">{term}<" in drawn
    (alt,) = re.findall(r'id="shares".*?alt="([^"]*)"', text, re.DOTALL)
    assert "learning rate" in alt
    assert "optimizer.lr" not in alt


@pytest.mark.slow
def test_every_figure_has_a_heading_and_the_contents_lead_to_every_place(page: Path) -> None:
    text = page.read_text()
    places = re.findall(r' id="([^"]+)"', text)
    assert len(places) == len(set(places))
    figures = re.findall(
        r'<figure id="(\w+)">\n<figcaption><h3><a href="#(\w+)">[^<]+</a></h3></figcaption>', text
    )
    drawn = {file.stem for file in page.parent.glob("*.svg")}
    assert {one for one, _ in figures} == drawn == {anchor for _, anchor in figures}
    (contents,) = re.findall(r"<nav.*?</nav>", text, re.DOTALL)
    links = re.findall(r'href="#([^"]+)"', contents)
    sections = re.findall(r'<h2 id="(\w+)">', text)
    assert sorted(links) == sorted([*sections, *drawn])
    expected = {"board", "compare", "factors", "grid", "training", "failures", "common"}
    assert set(sections) == expected


@pytest.mark.slow
def test_the_page_opens_with_its_verdict_and_describes_every_figure(page: Path) -> None:
    text = html.unescape(page.read_text())
    opens = text.partition("<h1>")[2].partition("<nav")[0]
    said = re.findall(r'<p class="lead">(.*)</p>', opens)
    assert len(said) == 3
    assert said[0].startswith("mlp adam lr=0.01 epochs=")
    described = re.findall(r'alt="([^"]+)"', text)
    assert len(described) == len(list(page.parent.glob("*.svg")))
    assert described[0].startswith("Leaderboard: mlp adam lr=0.01 epochs=")
    markdown = (page.parent / "report.md").read_text()
    assert all(sentence in markdown for sentence in said)
    assert markdown.count("## ") >= len(described)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1024, 1920])
def test_everything_can_be_read_at_every_width_in_light_and_dark(
    browser: Browser, page: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    """Words of figures have 9 pixels (their smallest have 8 points), rows of tables three lines,
    and what is wider than the page scrolls within its own box."""
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab.goto(page.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tab.wait_for_selector("html[data-explored]", state="attached")
    scales = tab.locator("img").evaluate_all(
        "all => all.filter(one => one.checkVisibility())"
        ".map(one => one.getBoundingClientRect().width / one.naturalWidth)"
    )
    assert len(scales) > 3
    assert min(scales) * 8 * 96 / 72 >= 8.99
    words = tab.locator("[id^=chart-] svg text").evaluate_all(
        "all => all.map(one => [one.getScreenCTM(), parseFloat(getComputedStyle(one).fontSize)])"
        ".map(([to, size]) => size * Math.hypot(to.a, to.b))"
    )
    assert len(words) > 30
    assert min(words) >= 8.99
    heights = tab.locator("tr").evaluate_all("all => all.map(one => one.offsetHeight)")
    assert max(heights) <= 80
    colors = tab.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor,"
        " getComputedStyle(document.querySelector('.card')).backgroundColor]"
    )
    ink, paper, card = (sum(map(int, re.findall(r"\d+", one)[:3])) / 765 for one in colors)
    assert (ink > 0.8 and paper < 0.2) if scheme == "dark" else (ink < 0.2 and paper > 0.8)
    assert card == 1  # figures are dark on white
    tab.close()


@pytest.mark.slow
def test_a_sweep_ends_with_its_report(swept: tuple[Path, str]) -> None:
    folder, said = swept
    (parent,) = parents(folder)
    listed = {file.path for file in client(folder).list_artifacts(parent.info.run_id, "report")}
    (made,) = (folder / "report").iterdir()
    here = {file.name for file in made.iterdir()}
    assert listed == {f"report/{made.name}"} or listed == {f"report/{name}" for name in here}
    names = ("leaderboard", "cost", "shares", "map", "charts", "curves", "confusion", "hardest")
    assert {f"{name}.{kind}" for name in names for kind in ("png", "svg")} <= here
    assert {"index.html", "report.md", "runs.csv", "metrics.json"} <= here
    assert "Best by validation accuracy is " in said


@pytest.mark.slow
def test_report_false_makes_none(tmp_path: Path) -> None:
    assert train(tmp_path, "-m", "data=digits", "epochs=1", "seed=0,1").returncode == 0
    assert not (tmp_path / "report").exists()


@pytest.mark.slow
def test_a_sweep_that_failed_whole_ends_without_a_report_and_says_why(tmp_path: Path) -> None:
    words = ["-m", "data=digits", "optimizer=sgd", "optimizer.lr=1e30", "seed=0,1", "epochs=1"]
    done = train(tmp_path, *words, "report=true")
    assert done.returncode == 1
    assert "WARNING: no report: sweep" in done.stderr
    assert "none of its 2 runs has a result" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_parent_deleted_meanwhile_costs_the_attachment_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = opened(tmp_path)
    parent = sweep(store, planted(SQUARE))
    chosen = selection.select(seen_anew(tmp_path), Asked(None, None, None))
    store.client.delete_run(parent.id)
    report.publish(seen_anew(tmp_path), chosen, "validation/accuracy")
    assert (tmp_path / "report" / chosen.slug / "index.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1200])
def test_the_page_opens_from_disk_asks_for_nothing_and_shows_everything(
    browser: Browser, swept: tuple[Path, str], width: int, tmp_path: Path
) -> None:
    (folder,) = (swept[0] / "report").iterdir()
    page = browser.new_page(viewport={"width": width, "height": 900})
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((folder / "index.html").as_uri())
    page.wait_for_load_state("load")
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [
        (folder / "index.html").as_uri()
    ]
    images = page.locator("img")
    assert images.count() == len(list(folder.glob("*.svg")))
    broken = "images => images.filter(image => !image.complete || !image.naturalWidth).length"
    assert images.evaluate_all(broken) == 0
    assert page.locator("table").first.locator("tbody tr").count() == 4
    text = page.locator("body").inner_text()
    for words in ("Best by validation accuracy", "is their interaction", "Map of the grid",
                  "mlp", "linear", "95 % interval", "binomial"):  # fmt: skip
        assert words in text
    overflow = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert page.evaluate(overflow)
    shot = page.screenshot(full_page=True, path=tmp_path / "page.png")
    assert len(shot) > 50_000
    page.close()
