"""A page marks a setting where the figure shows it, which is read off the figure itself."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from placing import at, boxes, laid_out, middle
from recorded import compared, planted, product

from factorial.comparison import findings
from factorial.comparison.figures import curves, factors, maps, misread, places, sensitivity, style
from factorial.comparison.findings import Findings
from factorial.record.predictions import Predictions

GRID = product(model=["linear", "mlp"], optimizer=["sgd", "adam"],
               optimizer_lr=[0.001, 0.01, 0.1], seed=[0, 1])  # fmt: skip


@pytest.fixture(scope="module")
def made() -> Findings:
    return findings.find(compared(planted(GRID)))


def titled(drawn: Figure) -> dict[str, Axes]:
    return {axes.get_title(): axes for axes in drawn.axes if axes.get_visible()}


def test_sensitivity_marks_each_setting_at_its_rate_and_mean(
    made: Findings, tmp_path: Path
) -> None:
    with style.style():
        drawn = laid_out(sensitivity.sensitivity(made), tmp_path)
    assert len(places.found(drawn)) == 12
    for setting, row in enumerate(made.board.to_dict("records")):
        (box,) = boxes(drawn, setting)
        where = at(titled(drawn)[row["model"]], float(row["optimizer.lr"]), row["mean"])
        assert middle(box) == pytest.approx(where, abs=2e-4)
        wide, tall = box[2] * drawn.get_figwidth(), box[3] * drawn.get_figheight()
        assert wide == pytest.approx(tall, abs=0.01)  # inches: a ring around one marker
        assert 0.1 < wide < 0.25


def test_interactions_mark_a_setting_once_a_panel_where_its_two_levels_meet(
    made: Findings, tmp_path: Path
) -> None:
    with style.style():
        drawn = laid_out(factors.interactions(made), tmp_path)
    panels = [axes for axes in drawn.axes if axes.get_visible()]
    heads = {"learning rate": "optimizer.lr", "model": "model", "optimizer": "optimizer"}
    for setting, row in enumerate(made.board.to_dict("records")):
        found = [middle(box) for box in boxes(drawn, setting)]
        assert len(found) == len(panels) == 3
        for axes in panels:
            across = heads[axes.get_xlabel()]
            ticks = [label.get_text() for label in axes.get_xticklabels()]
            legend = axes.get_legend()
            assert legend is not None
            beside = heads[legend.get_title().get_text()]
            (line,) = [one for one in axes.containers if one.get_label() == row[beside]]
            place = ticks.index(row[across])
            points = line.lines[0].get_xydata()
            (x, y), *_ = sorted(points, key=lambda point: abs(point[0] - place))
            assert min(abs(p - q) + abs(r - s) for (p, r), (q, s) in
                       ((one, at(axes, x, y)) for one in found)) < 4e-4  # fmt: skip


def test_every_cell_of_the_small_charts_is_marked_for_the_setting_in_it(
    made: Findings, tmp_path: Path
) -> None:
    with style.style():
        drawn = laid_out(maps.charts(made), tmp_path)
    names = {"learning rate (log scale)": "optimizer.lr", "model": "model",
             "optimizer": "optimizer"}  # fmt: skip
    panels = titled(drawn)
    assert len(places.found(drawn)) == 12
    for setting, row in enumerate(made.board.to_dict("records")):
        (box,) = boxes(drawn, setting)
        key = {row["model"], row["optimizer"], row["optimizer.lr"]} & {*panels}
        (axes,) = [panels[one] for one in key]
        ticks = [[label.get_text() for label in labels]
                 for labels in (axes.get_xticklabels(), axes.get_yticklabels())]  # fmt: skip
        column = ticks[0].index(row[names[axes.get_xlabel()]])
        line = ticks[1].index(row[names[axes.get_ylabel()]])
        assert middle(box) == pytest.approx(at(axes, column, line), abs=2e-4)


def test_a_panel_of_gradients_is_marked_for_its_setting(made: Findings, tmp_path: Path) -> None:
    with style.style():
        drawn = laid_out(curves.gradients(made), tmp_path)
    panels = [axes for axes in drawn.axes if axes.get_visible()]
    assert len(panels) == len(places.found(drawn)) == 6
    rows = made.board.head(6).to_dict("records")
    for setting, (axes, row) in enumerate(zip(panels, rows, strict=True)):
        assert row["model"] == "mlp"  # said above them all
        assert axes.get_title() == f"{row['optimizer']} lr={row['optimizer.lr']}"
        (box,) = boxes(drawn, setting)
        left, low, width, height = axes.get_position().bounds
        assert box == pytest.approx((left, 1 - low - height, width, height), abs=2e-4)


def test_what_the_winner_misreads_is_marked_for_it_wherever_it_stands_on_the_board() -> None:
    """A setting of one seed has no rank, though its mean is the best."""
    runs = [*planted(GRID), {**GRID[0], "optimizer.lr": 1.0, "accuracy": 0.999}]
    found, classes = findings.find(compared(runs)), np.arange(10, dtype=np.uint8)
    images = np.zeros((2, 8, 8), np.uint8)
    seen = Predictions(classes, classes[::-1], np.ones(10, np.float32), np.arange(2), images)
    for picture in (misread.matrix, misread.hardest):
        drawn = picture(found, seen)
        assert drawn is not None
        (mark,) = places.found(drawn)
        assert mark["of"] == [1]
        assert found.board["label"][1] == found.winner["label"]


def test_marks_are_not_drawn(made: Findings, tmp_path: Path) -> None:
    with style.style():
        drawn = laid_out(maps.charts(made), tmp_path)
        before = (tmp_path / "drawn.svg").read_bytes()
        for artist in list(drawn.artists):
            artist.remove()
        assert places.found(drawn) == []
        style.save(drawn, tmp_path, "drawn")
    assert (tmp_path / "drawn.svg").read_bytes() == before
