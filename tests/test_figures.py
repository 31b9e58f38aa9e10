"""Every figure at every size of sweep: nothing overlaps, nothing is cut off, labels are text."""

import functools
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from recorded import compared, planted, product

from factorial.comparison import findings, report
from factorial.comparison.figures import curves, maps, misread, sensitivity, style
from factorial.comparison.findings import Findings
from factorial.record.predictions import Predictions

OPTIMIZERS = ["sgd", "momentum", "nesterov", "rmsprop", "adagrad", "adadelta", "adam", "adamw",
              "nadam", "radam"]  # fmt: skip
RATES = [0.0001, 0.001, 0.01, 0.1]
INGREDIENTS = {"label_smoothing": 0.05, "ema_decay": 0.995, "model_dropout": 0.2, "clip_norm": 1,
               "optimizer_weight_decay": 0.1, "augmentation_shift": 2}  # fmt: skip
SWEEPS = {
    "two runs": product(model=["linear", "mlp"], seed=[0]),
    "one factor": product(optimizer=OPTIMIZERS, seed=[0, 1, 2]),
    "2 x 2": product(model=["linear", "mlp"], optimizer=["sgd", "adam"], seed=[0, 1, 2]),
    "lr x epochs": product(optimizer_lr=RATES, epochs=[5, 10, 15], seed=[0]),
    "four factors": product(model=["linear", "mlp"], optimizer=["sgd", "adam"],
                            optimizer_lr=RATES, epochs=[5, 10, 15], seed=[0]),
    "200 runs": product(model=["linear", "mlp"], optimizer=OPTIMIZERS,
                        optimizer_lr=[*RATES, 1.0], seed=[0, 1]),
    "wide rates": product(model=["linear", "mlp"], optimizer=["sgd", "adam"],
                          optimizer_lr=[0.001, 0.1, 100, 1e9], seed=[0, 1]),
    "long names": product(model_hidden=["[256,256]", "[512,256,128,64,32,16]", "[1024]*3"],
                          data_batch_size=[32, 1000], seed=[0, 1]),
    "many settings": product(
        model_hidden=["[512,256,128,64,32,16]", "[1024,1024,1024]"], label_smoothing=[0, 0.05],
        model_activation=["sigmoid", "relu"], schedule=["constant", "one_cycle"], seed=[0]),
    "all at once": [{"seed": 0, **{key: value * (turn + 1) for key, value in INGREDIENTS.items()}}
                    for turn in range(7)],
    "one at a time": [{"seed": 0, **INGREDIENTS, key: 0} for key in INGREDIENTS],
}  # fmt: skip


FAST = ("two runs", "2 x 2")


@functools.cache
def found(sweep: str) -> Findings:
    runs = planted(SWEEPS[sweep])
    if len(runs) > 40:
        for run in runs[3:8]:
            del run["accuracy"]
            run["failure"] = "the training loss is nan in epoch 1"
        del runs[10]
    return findings.find(compared(runs))


@pytest.fixture(autouse=True)
def styled() -> object:
    with style.style():
        yield


def texts(drawn: Figure) -> list[Text]:
    """What of a figure's text is seen once it is drawn."""
    FigureCanvasAgg(drawn).draw()
    hidden: set[Text] = set()
    for axes in drawn.axes:
        for axis in (axes.xaxis, axes.yaxis):
            shown = {t for tick in axis._update_ticks() for t in (tick.label1, tick.label2)}
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            hidden |= {t for tick in ticks for t in (tick.label1, tick.label2)} - shown
        if not axes.get_visible() or not axes.axison:
            hidden |= {t for axis in (axes.xaxis, axes.yaxis) for t in axis.findobj(Text)}
        if not axes.get_visible():
            hidden |= set(axes.findobj(Text))
    every = [text for text in drawn.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [text for text in every if text not in hidden]


@pytest.mark.slow
@pytest.mark.parametrize(
    "sweep",
    [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in SWEEPS],
)
@pytest.mark.parametrize("picture", report.PICTURES, ids=lambda picture: picture.name)
def test_no_label_overlaps_another_or_leaves_the_figure(
    picture: report.Picture, sweep: str
) -> None:
    drawn = picture.draw(found(sweep))
    if drawn is None:
        return
    shown = texts(drawn)
    boxes = [(text.get_text(), corners(text)) for text in shown]
    width, height = drawn.canvas.get_width_height()
    for words, points in boxes:
        assert (points > -2).all() and (points < [width + 2, height + 2]).all(), words
    for (one, box), (other, beside) in itertools.combinations(boxes, 2):
        assert apart(box, beside), f"{one!r} and {other!r}"
    for legend in drawn.findobj(Legend):
        around = rectangle(legend.get_window_extent())
        own = set(legend.findobj(Text))
        for text, (words, points) in zip(shown, boxes, strict=True):
            assert text in own or apart(around, points), f"the legend and {words!r}"


def corners(text: Text) -> np.ndarray:
    """The four corners of a text that may be rotated, in pixels."""
    renderer = text.figure.canvas.get_renderer()
    angle = text.get_rotation()
    box = text.get_window_extent(renderer)
    if angle % 90 == 0:
        return rectangle(box)
    text.set_rotation(0)
    flat = text.get_window_extent(renderer)
    text.set_rotation(angle)
    turn = np.deg2rad(angle)
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [flat.width / 2, flat.height / 2]
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return half @ rotation.T + [(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2]


def rectangle(box: Bbox) -> np.ndarray:
    return np.array([[box.x0, box.y0], [box.x1, box.y0], [box.x1, box.y1], [box.x0, box.y1]])


def apart(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether a line parts two convex shapes (separating axis), but for a pixel."""
    for shape in (one, other):
        for start, end in zip(shape, np.roll(shape, -1, axis=0), strict=True):
            normal = np.array([start[1] - end[1], end[0] - start[0]])
            length = np.hypot(*normal)
            if length == 0:
                continue
            left, right = one @ normal / length, other @ normal / length
            if left.max() <= right.min() + 1 or right.max() <= left.min() + 1:
                return True
    return False


def alike(level: float, seeds: int) -> Findings:
    """Settings whose seeds all have one accuracy."""
    grid = product(optimizer=["sgd", "adam"], optimizer_lr=[0.01, 0.1], seed=range(seeds))
    return findings.find(compared([{**run, "accuracy": level} for run in grid]))


@pytest.mark.slow
@pytest.mark.parametrize("seeds", range(1, 11))
def test_seeds_that_score_alike_have_no_negative_bar(seeds: int) -> None:
    for level in (0.1, 1 / 3, 0.7, 0.93, 0.9713):  # whose mean may exceed them, by 1e-16
        assert sensitivity.sensitivity(alike(level, seeds))


@pytest.mark.slow
@pytest.mark.parametrize("seeds", range(1, 11))
def test_seeds_that_score_alike_can_be_drawn_however_many_they_are(seeds: int) -> None:
    for level in (0.0, 0.93, 1.0):
        every = alike(level, seeds)
        for picture in report.PICTURES:
            picture.draw(every)


def test_sensitivity_is_shown_where_there_are_several_learning_rates_alone() -> None:
    one = product(model=["linear"], optimizer_lr=[0.01], seed=[0, 1])
    other = product(model=["mlp"], optimizer_lr=[0.1], seed=[0, 1])
    assert sensitivity.sensitivity(findings.find(compared(planted(one + other)))) is None
    several = product(model=["mlp"], optimizer_lr=[0.01, 0.1], seed=[0, 1])
    drawn = sensitivity.sensitivity(findings.find(compared(planted(one + several))))
    assert drawn is not None
    assert [axes.get_title() for axes in drawn.axes if axes.get_visible()] == ["mlp"]


def test_rates_of_many_decades_stand_clear_of_each_other() -> None:
    drawn = sensitivity.sensitivity(found("wide rates"))
    assert drawn is not None
    below = [text for text in texts(drawn) if text in drawn.axes[0].get_xticklabels()]
    boxes = [text.get_window_extent() for text in below]
    assert len(boxes) >= 4
    assert all(two.x0 - one.x1 > 4 for one, two in itertools.pairwise(boxes))


def test_sensitivity_is_shown_where_all_have_one_optimizer() -> None:
    grid = product(optimizer=["sgd"], model=["linear", "mlp"], optimizer_lr=[0.01, 0.1], seed=[0])
    made = findings.find(compared(planted(grid)))
    drawn = sensitivity.sensitivity(made)
    assert drawn is not None
    shown = [y for axes in drawn.axes for line in axes.lines for y in line.get_ydata()]
    assert sorted(shown) == pytest.approx(sorted(made.board["mean"]))


def words(drawn: Figure | None) -> set[str]:
    assert drawn is not None
    return {text.get_text() for text in texts(drawn)}


def test_every_setting_has_its_row_on_the_leaderboard() -> None:
    sweep = found("2 x 2")
    drawn = words(report.PICTURES[0].draw(sweep))
    assert {"linear sgd", "linear adam", "mlp sgd", "mlp adam"} <= drawn


@pytest.mark.slow
def test_a_map_writes_each_cells_mean_and_names_what_failed() -> None:
    sweep = found("four factors")
    drawn = words(maps.thematic(sweep))
    runs = sweep.comparison.runs
    means = runs.groupby(sweep.comparison.settings)["score"].mean()
    assert {f"{mean:.4f}" for mean in means} <= drawn
    assert {"failed", "no run", "learning rate (log scale)", "epochs", "mlp adam"} <= drawn


def test_learning_rate_and_epochs_are_the_axes_and_the_rest_small_multiples() -> None:
    plan = maps.grid(found("four factors"))
    assert plan is not None
    assert (plan.rows, plan.columns) == ("optimizer.lr", "epochs")
    assert plan.panels == [("mlp", "adam"), ("mlp", "sgd"), ("linear", "adam"), ("linear", "sgd")]


@pytest.mark.parametrize(
    ("levels", "geometric"),
    [(["0.001", "0.01", "0.1"], True), (["5", "10", "15"], False), (["1e-05", "0.0001", "0.001"],
     True),
     (["sgd", "adam", "nadam"], False), (["1", "2", "4", "8"], True)],
)  # fmt: skip
def test_levels_are_geometric_where_their_ratio_is_one(levels: list[str], geometric: bool) -> None:
    assert maps.is_geometric(levels) == geometric


def test_equal_ratios_of_error_are_equal_steps_of_colour() -> None:
    shade = maps.scale(found("four factors"))
    low, high = 1 - shade.vmin, 1 - shade.vmax
    assert shade(1 - (low * high) ** 0.5) == pytest.approx(0.5)


@pytest.mark.parametrize("picture", [curves.learning, curves.gradients])
@pytest.mark.parametrize(("epochs", "ticks"), [(1, {"1"}), (3, {"1", "2", "3"})])
def test_epochs_are_whole_numbers_be_it_a_single_one(
    picture: Callable[[Findings], Figure], epochs: int, ticks: set[str]
) -> None:
    drawn = picture(findings.find(compared(planted(product(epochs=[epochs], seed=[0, 1])))))
    shown = words(drawn)
    for axes in drawn.axes:
        low, high = axes.get_xlim()
        places = {int(at) if at == int(at) else at for at in axes.get_xticks() if low < at < high}
        assert {str(place) for place in places} == ticks <= shown


@pytest.mark.slow
def test_the_same_record_draws_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for picture in report.PICTURES:
            if drawn := picture.draw(found("2 x 2")):
                style.save(drawn, tmp_path / name, picture.name)
    files = sorted(file.name for file in (tmp_path / "one").iterdir())
    assert len(files) == 2 * 8
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_what_the_winner_misreads_is_shown_with_both_classes() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(100, dtype=np.uint8) % 10
    predicted = labels.copy()
    predicted[[3, 14]] = [5, 9]
    images = rng.integers(0, 17, size=(2, 8, 8)).astype(np.uint8)
    seen = Predictions(labels, predicted, np.ones(100, np.float32), np.array([14, 3]), images)
    hardest = misread.hardest(found("2 x 2"), seen)
    assert {"4 as 9", "3 as 5"} <= words(hardest)
    for place, image in enumerate(hardest.axes[0].images):
        assert (image.get_array() == images[place]).all()
        left, right, _, top = image.get_extent()
        above = [
            text.get_text()
            for text in hardest.axes[0].texts
            if left < text.get_position()[0] < right and text.get_position()[1] < top
        ]
        assert above == [("4 as 9", "3 as 5")[place]]
    matrix = words(misread.matrix(found("2 x 2"), seen))
    assert {"read as", "class", "10", "9", "1"} <= matrix
    assert any("2 of 100 test images misread" in text for text in matrix)


def hard(images: np.ndarray) -> Predictions:
    labels = np.arange(10, dtype=np.uint8)
    return Predictions(labels, labels[::-1], np.ones(10, np.float32), np.arange(2), images)


def test_pictures_are_grey_or_coloured_with_or_without_an_axis_of_channels() -> None:
    drawn = np.random.default_rng(0).integers(0, 256, size=(2, 3, 8, 8)).astype(np.uint8)
    coloured = misread.hardest(found("2 x 2"), hard(drawn))
    for place, image in enumerate(coloured.axes[0].images):
        assert (image.get_array() == np.moveaxis(drawn[place], 0, 2)).all()
    for grey in (drawn[:, :1], drawn[:, 0]):  # as older records have them
        shown = misread.hardest(found("2 x 2"), hard(grey)).axes[0].images
        assert all((one.get_array() == drawn[place, 0]).all() for place, one in enumerate(shown))
    assert misread.hardest(found("2 x 2"), hard(drawn[:, :2])) is None


def test_a_matrix_has_at_most_50_classes() -> None:
    for classes, drawn in ((50, True), (51, False)):
        labels = np.arange(classes, dtype=np.uint8)
        seen = hard(np.zeros((2, 8, 8), np.uint8))._replace(labels=labels, predicted=labels)
        assert (misread.matrix(found("2 x 2"), seen) is not None) == drawn


def test_no_misread_image_is_no_picture() -> None:
    labels = np.arange(10, dtype=np.uint8)
    nothing = np.array([], dtype=np.int64)
    seen = Predictions(labels, labels, np.ones(10, np.float32), nothing, np.zeros((0, 8, 8)))
    assert misread.hardest(found("2 x 2"), seen) is None
