"""MLflow's page of a sweep in a real browser: what a reader finds there, with no network."""

import re
from collections.abc import Iterator

import browsing
import pytest
from browsing import Mlflow, Visit, cells, visit
from playwright.sync_api import Browser, expect
from processes import serve, train

pytestmark = pytest.mark.slow
expect.set_options(timeout=browsing.PATIENCE)


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    folder = tmp_path_factory.mktemp("outputs")
    done = train(folder, *browsing.SWEEP, timeout=600)
    assert done.returncode == 0, done.stderr
    process, address = serve(folder)
    yield Mlflow(folder, address)
    process.terminate()
    process.wait()


@pytest.fixture
def visited(browser: Browser, mlflow: Mlflow) -> Iterator[Visit]:
    """A page to which nothing happens but what the test does, and which asks this machine alone."""
    opened = visit(browser, 1400, 1000)
    yield opened
    assert opened.said == []
    there = (mlflow.address, "data:", "blob:")
    assert [url for url in opened.asked if not url.startswith(there)] == []
    opened.page.context.close()


def test_the_table_has_the_sweep_its_runs_their_settings_and_accuracies(
    visited: Visit, mlflow: Mlflow
) -> None:
    mlflow.table(visited.page)
    for column in browsing.COLUMNS:
        expect(
            visited.page.get_by_role("columnheader", name=column, exact=True).first
        ).to_be_attached()
    assert len(mlflow.children) == 4
    for (model, optimizer), run in mlflow.children.items():
        shown = cells(visited.page, run)
        numbers = [float(cell) for cell in shown if re.fullmatch(r"\d+(\.\d+)?", cell)]
        for metric in ("validation/accuracy", "test/accuracy"):
            assert pytest.approx(run.data.metrics[metric], abs=1e-3) in numbers
        assert float(run.data.params["optimizer.lr"]) in numbers
        assert {model, optimizer} <= set(shown)


def test_a_sweeps_runs_fold_away_below_it(visited: Visit, mlflow: Mlflow) -> None:
    page = visited.page
    mlflow.table(page, ())
    links = [page.get_by_role("link", name=one.info.run_name) for one in mlflow.children.values()]
    page.locator('[data-component-id*="runnamecellrenderer"]').first.click()
    for link in links:
        expect(link).to_have_count(0)
    expect(page.get_by_role("link", name="first look")).to_be_visible()


def test_the_sweeps_page_begins_with_the_note_the_winner_and_the_leaderboard(
    visited: Visit, mlflow: Mlflow
) -> None:
    table, page = mlflow.sweep(visited.page), visited.page
    expect(page.get_by_text("Which of the two bought the accuracy?", exact=True)).to_be_visible()
    expect(page.get_by_text("Best by validation accuracy is", exact=False)).to_be_visible()
    expect(page.get_by_text("Factorial writes what follows")).to_have_count(0)
    expect(table.get_by_role("columnheader", name="optimizer")).to_be_visible()
    rows = table.locator("tbody").get_by_role("row")
    expect(rows).to_have_count(4)
    accuracies = [run.data.metrics["validation/accuracy"] for run in mlflow.children.values()]
    expect(rows.first).to_contain_text(f"{max(accuracies):.4f}")
    for name in ("winner/validation_accuracy", "winner/test_accuracy", "winner/tied",
                 "sweep/runs", "sweep/failures"):  # fmt: skip
        expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()
    for run in mlflow.children.values():
        expect(page.get_by_role("link", name=run.info.run_name)).to_be_visible()


def test_a_run_shows_a_point_of_each_curve_for_each_epoch(visited: Visit, mlflow: Mlflow) -> None:
    for metric in ("validation/accuracy", "train/loss"):
        expect(mlflow.curve(visited.page, mlflow.children["mlp", "adam"], metric)).to_have_count(3)


def test_the_report_is_among_the_sweeps_files(visited: Visit, mlflow: Mlflow) -> None:
    mlflow.files(visited.page)
    for name in ("index.html", "report.md", "runs.csv"):
        expect(visited.page.get_by_text(name, exact=True)).to_be_visible()
