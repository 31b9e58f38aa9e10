"""The pictures of pages in the docs, anew: `make screenshots`.

Each is of a small real sweep on the digits, by the code that tests the page: docs/images.
"""

import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import browsing
from browsing import Mlflow, visit
from conftest import ROOT
from PIL import Image
from playwright.sync_api import Page
from processes import serve, train

FOLDER = ROOT / "docs" / "images"


class Swept(NamedTuple):
    """What there is to take pictures of."""

    outputs: Path
    mlflow: Mlflow


class Shot(NamedTuple):
    """docs/images/NAME.png: `open` brings a page of that size to what is to be seen."""

    name: str
    width: int
    height: int
    open: Callable[[Page, Swept], None]


def sweep(page: Page, swept: Swept) -> None:
    swept.mlflow.sweep(page)


def table(page: Page, swept: Swept) -> None:
    swept.mlflow.table(page)


def report(page: Page, swept: Swept) -> None:
    (folder,) = (swept.outputs / "report").iterdir()
    page.goto((folder / "index.html").as_uri())


def pair(page: Page, swept: Swept) -> None:
    report(page, swept)
    page.wait_for_selector("html[data-paired]", state="attached")
    page.locator("#second").select_option("1")
    page.locator("#compare").evaluate("heading => heading.scrollIntoView()")


def motion(page: Page, swept: Swept) -> None:
    done = train(swept.outputs, "surface=beale", command="motion", timeout=600)
    assert done.returncode == 0, done.stderr
    page.goto((swept.outputs / "motion" / "index.html").as_uri())
    page.locator("#losses canvas").wait_for()


# A page that is to have a picture is added here
SHOTS = (
    Shot("mlflow-sweep", 1280, 800, sweep),
    Shot("mlflow-table", 1280, 480, table),
    Shot("report", 1100, 800, report),
    Shot("pair", 1100, 640, pair),
    Shot("motion", 1100, 860, motion),
)


@contextmanager
def recorded() -> Iterator[Swept]:
    with tempfile.TemporaryDirectory() as folder:
        outputs = Path(folder) / "outputs"
        done = train(outputs, *browsing.SWEEP, timeout=600)
        assert done.returncode == 0, done.stderr
        process, address = serve(outputs)
        try:
            yield Swept(outputs, Mlflow(outputs, address))
        finally:
            process.terminate()
            process.wait()


def small(png: bytes) -> bytes:
    """The same picture in 256 colours."""
    packed = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(256).save(packed, "PNG", optimize=True)
    return packed.getvalue()


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with recorded() as swept, browsing.chromium() as browser:
        for shot in SHOTS:
            page = visit(browser, shot.width, shot.height).page
            shot.open(page, swept)
            file = FOLDER / f"{shot.name}.png"
            file.write_bytes(small(page.screenshot()))
            print(f"{os.path.relpath(file)}: {file.stat().st_size / 1000:.0f} kB")
            page.context.close()


if __name__ == "__main__":  # processes that it starts import it as well
    main()
