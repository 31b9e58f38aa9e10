"""A report's page with all that one plays with, made of runs that a test has planted, no store."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from recorded import compared, planted, product

from factorial.comparison import findings, report
from factorial.comparison.explore.document import Beside
from factorial.comparison.findings import Findings
from factorial.comparison.readings import Reading, Readings, gathered
from factorial.record import predictions

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

GRID = product(
    model=["linear", "mlp"], optimizer=["sgd", "adam"], optimizer_lr=[0.01, 0.1], seed=[0, 1, 2]
)
Made = tuple[Findings, Beside, Path]
HOSTILE = "</script><script>alert(1)</script><b onclick='alert(2)'>x</b>"


def images(count: int, side: int = 28) -> np.ndarray:
    """A light stroke on dark in each, no two alike, and hardly to be compressed: uint8 [count, 1,
    side, side]."""
    drawn = np.zeros((count, 1, side, side), dtype=np.uint8)
    rng = np.random.default_rng(1)
    for image, (x, y, w, h) in zip(drawn, rng.integers(2, side // 2, (count, 4)), strict=True):
        image[0] = rng.integers(0, 60, (side, side))
        image[0, y : y + h, x : x + w // 4 + 1] = 255
        image[0, y : y + h // 4 + 1, x : x + w] = 200
    return drawn


def readings(found: Findings, folder: Path, count: int, images_of: str = "validation") -> Readings:
    """What each run would have predicted of `count` images, some hard, some easy; its accuracy is
    about its score."""
    rng, pictures = np.random.default_rng(0), images(count)
    labels, hard = rng.integers(0, 10, count), rng.normal(size=count)
    places = {label: place for place, label in enumerate(found.board["label"])}
    made = []
    runs = found.comparison.runs.assign(place=found.comparison.labels.map(places))
    for row in runs.sort_values("place", kind="stable").to_dict("records"):
        seen = hard + rng.normal(0, 0.7, count)
        wrong = seen > np.quantile(seen, row["score"])
        predicted = np.where(wrong, (labels + rng.integers(1, 10, count)) % 10, labels)
        file = folder / f"{row['id']}.safetensors"
        logits = np.eye(10, dtype=np.float32)[predicted] * rng.uniform(1, 9, (count, 1))
        file.write_bytes(predictions.pack_held_out(logits.astype(np.float32), labels, pictures))
        read = predictions.read(file)
        assert read is not None
        made.append(Reading(row["id"], row["place"], row["seed"], read, file))
    return Readings(images_of, made, settings=gathered(made))


def beside(found: Findings, read: Readings) -> Beside:
    ids = found.comparison.runs["id"]
    pages = {one: f"http://127.0.0.1:5000/#/experiments/7/runs/{one}" for one in ids}
    return Beside(pages, "mlflow ui --backend-store-uri sqlite:///outputs/mlflow.db", read)


def explored(
    grid: Sequence[dict[str, Any]], folder: Path, count: int = 300
) -> tuple[Findings, Beside]:
    """The report of a grid in `folder / "report"`, and what it was made from."""
    found = findings.find(compared(planted(grid)))
    (folder / "runs").mkdir(parents=True)
    around = beside(found, readings(found, folder / "runs", count))
    report.write(found, None, folder / "report", around)
    return found, around


def opened(browser: "Browser", file: Path, said: list[str], **options: Any) -> "Page":
    page = browser.new_page(**({"viewport": {"width": 1024, "height": 900}} | options))
    page.set_default_timeout(120_000)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    if options.get("java_script_enabled", True):
        page.wait_for_selector("html[data-explored][data-paired]", state="attached")
    said += [url for url in asked if not url.startswith("data:") and url != file.as_uri()]
    return page


def pairs(settings: int) -> Iterator[tuple[int, int]]:
    return itertools.combinations(range(settings), 2)
