"""A report takes the place of a report, and of nothing else."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from factorial.comparison.folder import replacing, require_own
from factorial.comparison.report import FILES
from factorial.settings.messages import BadInput


def test_a_reports_files_are_these() -> None:
    figures = ["leaderboard", "cost", "shares", "interactions", "map", "charts", "curves",
               "sensitivity", "gradients", "confusion", "hardest"]  # fmt: skip
    drawn = {f"{name}.{kind}" for name in figures for kind in ("png", "svg")}
    assert set(FILES) == drawn | {"index.html", "report.md", "runs.csv", "metrics.json"}


@pytest.mark.parametrize("foreign", ["thesis.tex", "photos/", ".git/", "index.html.bak"])
def test_a_folder_that_holds_anything_else_is_left_as_it_is(tmp_path: Path, foreign: str) -> None:
    other = tmp_path / foreign
    other.mkdir() if foreign.endswith("/") else other.write_text("years of work")
    (tmp_path / "index.html").write_text("a page")
    message = f"it holds {foreign.strip('/')}, which is no report's; allowed is a new folder"
    with pytest.raises(BadInput, match=message), replacing(tmp_path, ["index.html"]):
        pytest.fail("nothing is made")
    assert {path.name for path in tmp_path.iterdir()} == {"index.html", foreign.strip("/")}
    assert (tmp_path / "index.html").read_text() == "a page"


@pytest.mark.parametrize("before", [None, [], ["index.html"]])
def test_it_appears_whole_or_not_at_all(tmp_path: Path, before: list[str] | None) -> None:
    folder = tmp_path / "deep" / "report"
    if before is not None:
        folder.mkdir(parents=True)
        for name in before:
            (folder / name).write_text("old")

    def fails() -> None:
        with replacing(folder, ["index.html"]) as made:
            (made / "index.html").write_text("half a pa")
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        fails()
    assert ([path.name for path in folder.iterdir()] if folder.exists() else None) == before
    with replacing(folder, ["index.html"]) as made:
        (made / "index.html").write_text("new")
    assert (folder / "index.html").read_text() == "new"
    assert [path.name for path in folder.parent.iterdir()] == ["report"]


def test_reports_that_end_at_the_same_time_leave_one_whole(tmp_path: Path) -> None:
    def write(number: int) -> None:
        for _ in range(50):
            with replacing(tmp_path / "report", ["index.html"]) as made:
                (made / "index.html").write_text(str(number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert (tmp_path / "report" / "index.html").read_text() in "0123"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_place_that_can_not_be_written_is_named_as_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "report"
    with pytest.raises(BadInput, match=f"^folder={folder}: allowed is a folder to write "):
        require_own(folder, [])


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write")
def test_a_place_where_nothing_can_be_made_is_named_as_it_was_given() -> None:
    with (
        pytest.raises(BadInput, match=r"^folder=/proc/report: allowed is a folder to write "),
        replacing(Path("/proc/report"), []),
    ):
        pytest.fail("nothing is made")
