"""Runs in their plane, drawn and told, of weights that a test has chosen: no run, no page."""

import re
from pathlib import Path

import pytest
import torch
import vl_convert
from charted import marks
from torch import Tensor

from factorial.motion import plane_page, plane_specs, plane_wording
from factorial.motion.plane_page import Judge, Scene, scene_of
from factorial.motion.surface import Window
from factorial.motion.trajectory import Trajectory
from factorial.pages import charts

BLUE, ORANGE = "#0072B2", "#D55E00"


def loss(weights: Tensor) -> float:
    return (weights.double() ** 2).sum().item()


def way(run: str, name: str, *weights: tuple[float, ...]) -> Trajectory:
    """Of three weights, after 0, 4, 8, ... batches of five an epoch; as recorded."""
    batches = [4 * place for place in range(len(weights))]
    epochs = [batch / 5 for batch in batches]
    return Trajectory(run, name, torch.tensor(weights), batches, epochs, None, 2, "digits")


# Along x by 4 and along y by 1 in all, and a little beside the plane
SGD = way("a" * 32, "mlp sgd", (0, 0, 0.1), (4, 0, -0.1), (4, 1, 0.1))
ADAM = way("b" * 32, "mlp adam", (0, 0, 0.1), (1, 0, 0.1), (2, 1, -0.1), (4, 1, 0))


def seen(*ways: Trajectory, unit: str = "batch", of: Judge | None = None) -> Scene:
    return scene_of(list(ways), of or Judge(loss, 40, 50), 5, unit, "every 4 batches", "")


def test_each_run_has_its_own_steps_and_the_losses_of_its_weights_themselves() -> None:
    scene = seen(SGD, ADAM)
    sgd, adam = scene.tracks
    assert (sgd.steps, adam.steps, scene.shown) == ([0, 4, 8], [0, 4, 8, 12], [0, 4, 8, 12])
    for track, one in zip(scene.tracks, (SGD, ADAM), strict=True):
        assert track.losses.tolist() == pytest.approx([loss(weights) for weights in one.weights])
    by_epoch = SGD._replace(epochs=[0.0, 1.0, 2.0])
    assert seen(by_epoch, unit="epoch").tracks[0].steps == [0, 1, 2]


def test_where_runs_start_is_said_once_for_those_that_start_together() -> None:
    """Be one of three snapshots and the other of four, and their places apart by a last bit."""
    other = way("c" * 32, "mlp sgd", (-3, 2, 0), (4, 0, 0), (4, 1, 0))
    assert len(seen(SGD, ADAM).surface.starts) == 1
    together = seen(SGD, ADAM, other)
    firsts = [track.positions[0].tolist() for track in together.tracks]
    assert [list(place) for place in together.surface.starts] == [firsts[0], firsts[2]]


def test_the_picture_holds_every_way() -> None:
    far = way("c" * 32, "mlp sgd", (0, 0, 0), (40, 0, 0), (40, 90, 0))
    scene = seen(SGD, far)
    for track in scene.tracks:
        assert scene.surface.window.holds(track.positions).all()


def test_an_axis_of_losses_begins_above_0_and_holds_all() -> None:
    low, high = seen(SGD, ADAM).span
    every = [loss(weights) for one in (SGD, ADAM) for weights in one.weights]
    assert 0 < low < min(every) and max(every) < high < 1.5 * max(every)
    nothing = seen(SGD, of=Judge(lambda _: 0.0, 40, 50))
    assert 0 < nothing.span[0] < nothing.span[1] < 1e-9


@pytest.mark.parametrize(("epochs", "ticks"), [(1, [0, 1]), (2, [0, 1, 2]), (3, [0, 1, 2, 3])])
def test_an_axis_of_epochs_has_whole_numbers_and_each_once(epochs: int, ticks: list[int]) -> None:
    for layer in plane_specs.losses_of((0.1, 1), ["a"], "epoch", epochs, "")["layer"][1:]:
        axis = layer["encoding"]["x"]["axis"]
        assert axis["values"] == ticks
        assert axis["labelFlush"] is False  # each below its own tick


def test_the_table_has_a_row_for_each_snapshot(tmp_path: Path) -> None:
    scene = seen(SGD, ADAM)
    plane_page.write_table(scene.tracks, tmp_path / "paths.csv")
    head, *rows = (tmp_path / "paths.csv").read_text().splitlines()
    assert head == "run,label,step,epoch,x,y,loss"
    cells = [row.split(",") for row in rows]
    assert [(one[0][0], *one[1:4]) for one in cells] == [
        ("a", "sgd aaaaaaaa", "0", "0"),
        ("a", "sgd aaaaaaaa", "4", "0.8"),
        ("a", "sgd aaaaaaaa", "8", "1.6"),
        ("b", "adam bbbbbbbb", "0", "0"),
        ("b", "adam bbbbbbbb", "4", "0.8"),
        ("b", "adam bbbbbbbb", "8", "1.6"),
        ("b", "adam bbbbbbbb", "12", "2.4"),
    ]
    places = [[float(one) for one in row[4:]] for row in cells]
    expected = [
        [*place, value]
        for track in scene.tracks
        for place, value in zip(track.positions.tolist(), track.losses.tolist(), strict=True)
    ]
    assert places == [pytest.approx(row) for row in expected]


def test_a_chart_shows_each_run_where_it_was_last_and_names_it() -> None:
    """SGD's last snapshot is after 8 batches: there its marker stays."""
    scene = seen(SGD, ADAM)
    names = [track.optimizer for track in scene.tracks]
    spec = plane_specs.map_of(scene.surface, "data:,", names, 12, "")
    data = plane_specs.entries(scene.tracks)
    for step, places in {12: (2, 3), 8: (2, 2), 7: (1, 1), 3: (0, 0)}.items():
        drawn = marks(spec, {"step": step, "chosen": names}, paths=data)
        now = [mark.said for mark in drawn if mark.drawn.get("stroke") == "white"]
        assert [one["run"] for one in now] == names
        assert [one["id"] for one in now] == [SGD.run, ADAM.run]
        for track, place, said in zip(scene.tracks, places, now, strict=True):
            x, y = track.positions[place].tolist()
            beside = [float(said[title]) for title in scene.surface.axes]
            assert beside == [float(f"{x:.4g}"), float(f"{y:.4g}")]
            assert said["batches"] == str(track.steps[place])
    lines = {mark.drawn["stroke"] for mark in drawn if mark.kind == "line mark"}
    assert lines == {BLUE, ORANGE}
    assert "batches" not in {one.get("title") for one in plane_specs.tooltip("epoch")}


@pytest.mark.parametrize(("end", "words"), [(2e10, "2e+10"), (200, "200"), (2, "2.0")])
def test_ticks_of_a_plane_are_short_numbers(end: float, words: str) -> None:
    """Also of weights that diverged: not 20,000,000,000."""
    scene = seen(SGD, ADAM)
    surface = scene.surface._replace(window=Window(-end, end, -end, end))
    spec = plane_specs.map_of(surface, "data:,", ["sgd", "adam"], 12, "")
    sized = spec | {"width": 300, "height": 300, "datasets": {"paths": []}}
    svg = vl_convert.vegalite_to_svg(sized, vl_version=charts.VERSION)
    ticks = re.findall(r">([^<> ]*0[^<> ]*)</text>", svg)
    assert words in ticks and max(map(len, ticks)) <= 8


# In words


def test_a_page_says_how_much_of_the_way_it_shows() -> None:
    scene = seen(SGD, ADAM)
    first, second = scene.plane.shares
    said = plane_wording.summary(scene.plane, scene.trajectories, scene.every)
    assert said.startswith(
        "The weights of 2 runs (mlp), trained again from the record, every 4 batches: 3 numbers, "
    )
    assert f"has {100 * first:.1f}% of the variance of all snapshots" in said
    assert f"its second {100 * second:.1f}%, together {100 * (first + second):.1f}%; " in said
    alone = plane_wording.summary(scene.plane, [SGD], "")
    assert alone.startswith("The weights of a run (mlp sgd), ")


def test_a_row_has_a_run_s_own_share_and_how_it_stands_to_its_record() -> None:
    parted, unheld = ADAM._replace(parted=2), ADAM._replace(run="c" * 32, held=0)
    scene = seen(SGD, parted, unheld)
    rows = plane_wording.rows(scene.plane, scene.trajectories, scene.tracks)
    assert [row["replay"] for row in rows] == [
        "as recorded in 2 epochs", "another from epoch 2 on", "no digests on record",
    ]  # fmt: skip
    for row, one in zip(rows, scene.trajectories, strict=True):
        assert row["snapshots"] == str(len(one.weights))
        assert row["first loss"] == f"{loss(one.weights[0]):.4g}"
        assert row["last loss"] == f"{loss(one.weights[-1]):.4g}"
        centred = one.weights.double() - one.weights.double().mean(0)
        share = ((centred @ scene.plane.axes.T) ** 2).sum() / (centred**2).sum()
        assert row["shown of its variance"] == f"{share:.1%}"


def test_what_a_reader_should_know_before_runs_are_compared_is_said_and_nothing_else() -> None:
    notes = plane_wording.notes
    assert notes([SGD]) == []
    assert notes([SGD, ADAM]) == ["All start from the same weights."]
    apart = way("c" * 32, "mlp sgd", (9, 0, 0.1), (4, 0, -0.1), (4, 1, 0.1))
    assert notes([SGD, ADAM, apart]) == ["They start apart: cccccccc elsewhere than aaaaaaaa."]
    other = ADAM._replace(data="mnist")
    assert notes([SGD, other])[1:] == [
        "bbbbbbbb learnt from other data than aaaaaaaa, on whose images all losses are."
    ]
    parted, unheld = SGD._replace(parted=2), ADAM._replace(held=0)
    assert notes([parted, unheld])[:2] == [
        "aaaaaaaa: from epoch 2 on the weights are not those on record; its way is that of this "
        "replay.",
        "bbbbbbbb: the record has no digests to hold its weights against.",
    ]


def test_pictures_are_told_from_their_first_snapshots_to_their_last() -> None:
    scene = seen(SGD, ADAM)
    told = plane_wording.pictured(scene.plane, scene.tracks)
    for track in scene.tracks:
        start, end = (", ".join(f"{value:.3g}" for value in track.positions[at].tolist())
                      for at in (0, -1))  # fmt: skip
        assert f"{track.label} from ({start}) to ({end})" in told
    assert plane_wording.fallen(scene.tracks, "batch") == (
        "Loss on training images against batch, on a log axis: "
        "sgd aaaaaaaa from 0.01 to 17; adam bbbbbbbb from 0.01 to 17."
    )
