"""Pages in a browser, as tests open them, and as the pictures of the docs are taken."""

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, sync_playwright
from running import children, parents

PATIENCE = 90_000  # milliseconds, on a machine that is busy with other things
SWEEP = [  # what the pages are about: four runs, and a sweep of them
    "-m", "data=digits", "model=linear,mlp", "optimizer=sgd,adam", "epochs=3",
    "name=first look", "note=Which of the two bought the accuracy?", "report=true",
]  # fmt: skip
# What MLflow's page says of itself, whatever is on record
OF_ITSELF = ("mlflow/users/current", "ResizeObserver loop")
# Without its introductions, and without a chat at its side
SETTLED = {
    "mlflow.assistant.panelOpen_v1": "false",
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
    "mlflow.workflowType_v1": '"machine_learning"',
}
COLUMNS = ("model", "optimizer", "optimizer.lr", "validation/accuracy", "test/accuracy")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Raises playwright's Error where none is installed."""
    installed = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    with sync_playwright() as playwright:
        path = next(filter(None, installed), None)
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page, what it has said on its console that is no good, and all that it has asked for."""

    page: Page
    said: list[str]
    asked: list[str]

    def hear(self, message: ConsoleMessage) -> None:
        text = f"{message.text} {message.location.get('url', '')}"
        if message.type == "error" and not any(words in text for words in OF_ITSELF):
            self.said.append(text)


def visit(browser: Browser, width: int, height: int) -> Visit:
    """A page with nothing in it yet."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme="light")
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    opened = Visit(page, [], [])
    page.on("console", opened.hear)
    page.on("pageerror", lambda error: opened.said.append(str(error)))
    page.on("request", lambda request: opened.asked.append(request.url))
    return opened


class Mlflow:
    """MLflow's page of the sweep on record below `outputs`, served at `address`."""

    def __init__(self, outputs: Path, address: str) -> None:
        self.address = address
        (self.parent,) = parents(outputs)
        self.children = {
            (run.data.params["model"], run.data.params["optimizer"]): run
            for run in children(outputs)
        }
        self.runs = f"/experiments/{self.parent.info.experiment_id}/runs"

    def go(self, page: Page, place: str) -> None:
        for key, value in SETTLED.items():
            page.add_init_script(f"localStorage.setItem({json.dumps(key)}, {json.dumps(value)})")
        page.goto(f"{self.address}/#{place}")

    def sweep(self, page: Page) -> Locator:
        """The sweep's own run, its description unfolded; the table in that."""
        self.go(page, f"{self.runs}/{self.parent.info.run_id}")
        page.get_by_role("button", name="Expand description").click()
        table = page.get_by_role("table").filter(has_text="rank")
        table.wait_for()
        for run in self.children.values():  # MLflow looks for them after all else
            page.get_by_role("link", name=run.info.run_name).wait_for()
        return table

    def table(self, page: Page, columns: Sequence[str] = COLUMNS) -> None:
        """The experiment's table: the sweep unfolded, with columns of one's choice."""
        self.go(page, self.runs)
        page.locator('[data-component-id*="runnamecellrenderer"]').first.click()
        page.get_by_role("button", name="Columns").click()
        for shown in ("Dataset", "Source", "Models", *columns):
            title = page.locator(f'[class*="tree-node-content-wrapper"][title="{shown}"]')
            title.locator("xpath=preceding-sibling::*[1]").click()
        page.keyboard.press("Escape")
        for run in self.children.values():
            page.get_by_role("link", name=run.info.run_name).wait_for()

    def curve(self, page: Page, run: Any, metric: str) -> Locator:
        """A run's page with one metric's chart, of which the points are given."""
        self.go(page, f"{self.runs}/{run.info.run_id}/model-metrics")
        page.get_by_placeholder("Search metric charts").fill(metric)
        points = page.locator(".js-plotly-plot .scatterlayer .points path")
        points.first.wait_for()
        return points

    def files(self, page: Page) -> None:
        """The sweep's files, those of its report unfolded."""
        self.go(page, f"{self.runs}/{self.parent.info.run_id}/artifacts")
        page.get_by_text("report", exact=True).first.click()
        page.get_by_text("index.html").wait_for()


def cells(page: Page, run: Any) -> list[str]:
    """What the experiment's table has of a run, in the columns that scroll."""
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=run.info.run_name))
    index = row.get_attribute("row-index")
    scrolled = page.locator(f'.ag-center-cols-container [row-index="{index}"]')
    return re.split(r"\n+", scrolled.inner_text().strip())
