"""The plane of a network's ways: principal directions, and the losses of their plane."""

import io
import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from composing import CPU
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from torch import Tensor, nn

from factorial.comparison.figures import style
from factorial.motion import pictures, plane, plane_wording
from factorial.motion.plane import losses_of, principal, surface_of, window_of
from factorial.motion.plane_page import Judge, losses_along
from factorial.motion.surface import Window
from factorial.motion.trajectory import Track, Trajectory, labels, shared
from factorial.reuse import snapshots, ways
from factorial.reuse.snapshots import Ready, loss_of
from factorial.settings.messages import BadInput
from factorial.training.data import Split


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=[64, 65_536])
def columns(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some weights at once, or all."""
    monkeypatch.setattr(plane, "COLUMNS", request.param)


@pytest.mark.usefixtures("columns")
@pytest.mark.parametrize("snapshots", [3, 9])
def test_its_directions_are_the_principal_components(snapshots: int) -> None:
    """By scikit-learn, and by the singular values of numpy, up to sign."""
    weights = drawn(snapshots, 301) + 5
    found = principal(weights)
    analysis = PCA(2, svd_solver="full").fit(weights.double().numpy())
    places = analysis.transform(weights.double().numpy())
    signs = -np.sign(places[0])
    tight = {"rtol": 0, "atol": 1e-10}
    np.testing.assert_allclose(found.axes, analysis.components_ * signs[:, None], **tight)
    np.testing.assert_allclose(found.origin, analysis.mean_, **tight)
    np.testing.assert_allclose(found.project(weights), places * signs, **tight)
    np.testing.assert_allclose(found.shares, analysis.explained_variance_ratio_, **tight)
    centred = weights.double().numpy() - weights.double().numpy().mean(0)
    squares = np.linalg.svd(centred, compute_uv=False) ** 2
    np.testing.assert_allclose(found.shares, squares[:2] / squares.sum(), **tight)
    assert found.axes.dtype == found.origin.dtype == torch.float64


@pytest.mark.usefixtures("columns")
def test_what_lies_in_a_plane_is_projected_exactly_and_found_again() -> None:
    (u, v), origin = drawn(2, 200).double(), drawn(200, seed=1).double()
    places = drawn(8, 2, seed=2).double()
    weights = origin + places @ torch.stack([u, v])
    found = principal(weights)
    assert sum(found.shares) == pytest.approx(1, abs=1e-12)
    again = torch.stack([found.at(x, y) for x, y in found.project(weights).tolist()])
    torch.testing.assert_close(again, weights, rtol=0, atol=1e-12)
    assert found.shown(weights[:5]) == pytest.approx(1)
    assert found.shown(weights[:1]) == 1


@pytest.mark.usefixtures("columns")
def test_a_run_s_share_is_of_its_own_variance() -> None:
    weights = drawn(10, 150)
    found, own = principal(weights), weights[4:].double().numpy()
    centred = own - own.mean(0)
    seen = centred @ found.axes.numpy().T
    assert found.shown(weights[4:]) == pytest.approx((seen**2).sum() / (centred**2).sum())


def test_the_first_snapshot_lies_left_and_below() -> None:
    for seed in range(8):
        weights = drawn(5, 40, seed=seed)
        assert (principal(weights).project(weights)[0] <= 0).all()


@pytest.mark.parametrize("at", [[0.0, 1.0], [0.0, 1.0, 3.0, 4.0], [2.0, 2.0, 2.0]])
def test_a_line_is_no_plane(at: list[float]) -> None:
    weights = drawn(50) + torch.tensor(at)[:, None].double() * drawn(50, seed=1)
    with pytest.raises(BadInput, match=rf"^run: {len(at)} snapshots on one line span no plane; "):
        principal(weights)


def test_the_grid_has_the_losses_of_its_places_and_between_them_it_is_linear() -> None:
    weights = drawn(4, 30)
    found = principal(weights)
    window = window_of(found.project(weights))
    grid = losses_of(found, window, 5, lambda one: (one**2).sum().item())
    assert grid.shape == (5, 5)
    x, y = np.linspace(window.left, window.right, 5), np.linspace(window.bottom, window.top, 5)
    for row, column in itertools.product(range(5), range(5)):
        by_hand = found.origin + x[column] * found.axes[0] + y[row] * found.axes[1]
        assert grid[row, column].item() == pytest.approx((by_hand**2).sum().item())
    surface = surface_of(found, window, grid, [(0.0, 0.0), (1.0, 0.0)], "epoch")
    nodes = torch.from_numpy(np.stack(np.meshgrid(x, y), axis=-1))
    torch.testing.assert_close(surface.loss(nodes), grid)
    middle = torch.tensor([(x[1] + x[2]) / 2, y[3]])
    assert surface.loss(middle).item() == pytest.approx((grid[3, 1] + grid[3, 2]).item() / 2)
    assert surface.floor == grid.min()
    first, second = (f"{100 * share:.1f}%" for share in found.shares)
    assert surface.axes == (f"first direction ({first})", f"second direction ({second})")
    assert surface.starts == ((0.0, 0.0), (1.0, 0.0))


def test_the_window_holds_all_with_a_quarter_more_on_each_side() -> None:
    assert window_of(torch.tensor([[0.0, 2.0], [4.0, 3.0]])) == Window(-1, 5, 1.75, 3.25)


def test_losses_are_of_the_model_with_these_weights_and_its_own_buffers() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(6), nn.Dropout(0.9), nn.Linear(6, 3))
    images = torch.randint(0, 256, (2_500, 1, 2, 3), dtype=torch.uint8)
    labels = torch.randint(0, 3, (2_500,))
    split = Split(images, torch.arange(2_500), labels, white=255)
    model(images.float() / 255)  # so that it has means
    weights = drawn(33).double()
    found = loss_of(model, split)(weights)
    before = nn.utils.parameters_to_vector(model.parameters())
    nn.utils.vector_to_parameters(weights.float(), model.parameters())
    expected = F.cross_entropy(model.eval()(images.float() / 255), labels).item()
    assert found == pytest.approx(expected, rel=1e-6)
    assert not torch.equal(before, weights.float())
    assert labels.device == CPU


class Drawing(nn.Linear):
    """Of one's own: it draws while it predicts."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.flatten(1)) + torch.randn(len(images), 3)


def test_a_model_that_draws_has_one_loss_at_a_place() -> None:
    split = Split(torch.ones(9, 1, 2, 3, dtype=torch.uint8), torch.arange(9),
                  torch.arange(9) % 3, white=1)  # fmt: skip
    loss = loss_of(Drawing(6, 3), split)
    assert loss(torch.zeros(21)) == loss(torch.zeros(21)) != loss(torch.arange(21) / 21)


# What of a run is asked before it is run again


class Counted(Ready):
    """A run of five snapshots, whatever was asked."""

    def snapshots(self, every: int | None) -> int:
        return 5


def ready(**shapes: list[int]) -> Any:
    return Counted(None, None, shapes)  # type: ignore[arg-type]


def test_models_fit_where_their_parameters_are_the_same_in_one_order() -> None:
    first = ready(a=[2, 3], b=[6])
    assert ready(a=[2, 3], b=[6]).fits(first)
    for other in (ready(b=[6], a=[2, 3]), ready(a=[3, 2], b=[6]), ready(a=[2, 3])):
        assert not other.fits(first) and not first.fits(other)


def test_all_snapshots_together_have_a_limit_and_may_reach_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    two = [ready(a=[2, 3]), ready(a=[2, 3])]
    for limits in ((10, 1000), (1000, 10 * 6 * 4)):
        monkeypatch.setattr(snapshots, "MOST", limits[0])
        monkeypatch.setattr(snapshots, "BYTES", limits[1])
        snapshots.require_few(two, None)
        with pytest.raises(BadInput, match=r"^every=epoch: 15 snapshots of 6 .* are 10, "):
            snapshots.require_few([*two, two[0]], None)


def trajectory(run: str, name: str) -> Trajectory:
    return Trajectory(run, name, torch.zeros(1, 1), [0], [0.0], None, 1, "")


def test_a_label_has_what_not_all_names_have_and_the_id() -> None:
    some = [
        trajectory("1234567890", "mlp sgd lr=0.1 e2 s0"),
        trajectory("abcdefabcd", "mlp adam lr=0.1 e2 s0"),
    ]
    assert labels(some) == ["sgd 12345678", "adam abcdefab"]
    assert labels(some[:1]) == ["12345678"]


def test_what_all_names_have_is_said_once_in_its_order() -> None:
    some = [
        trajectory("1234567890", "mlp sgd lr=0.1 e2 s0 data=digits"),
        trajectory("abcdefabcd", "mlp adam lr=0.1 e2 s0 data=digits"),
    ]
    assert shared(some) == ["mlp", "lr=0.1", "e2", "s0", "data=digits"]
    assert shared(some[:1]) == ["mlp", "sgd", "lr=0.1", "e2", "s0", "data=digits"]


def track(name: str, places: Tensor, losses: Tensor | None = None) -> Track:
    steps = list(range(len(places)))
    ones = torch.ones(len(places)).double() if losses is None else losses
    return Track("id", name, steps, [float(step) for step in steps], places.double(), ones)


def test_a_way_that_is_a_dot_beside_the_others_is_named() -> None:
    far = torch.tensor([[0.0, 0.0], [100.0, 50.0]])
    window = window_of(far)  # 150 wide, 75 high: a fiftieth of them is 3 and 1.5
    dot, flat = far * 0.0199 * 1.5, far * torch.tensor([0.0201 * 1.5, 0])
    some = [track("far", far), track("dot", dot), track("flat", flat)]
    assert plane_wording.dwarfed(window, some) == [
        "Too short to be seen beside the others' ways: dot."
    ]
    assert plane_wording.dwarfed(window, some[::2]) == []


def test_the_ground_says_of_how_many_images_it_is_and_where_it_has_no_number() -> None:
    losses = torch.full((5, 5), 2.0).double()
    losses[1, 1], losses[0, 0] = 0.5, torch.inf
    said = plane_wording.grounds(losses, 40, 1293, "abc")
    assert "on 40 of the 1,293 training images of run abc (the same for every place)" in said
    assert "5 x 5 places" in said
    assert "from 0.5 to 2, the more shade the higher (1 places, of no finite loss, " in said
    assert "on all 40 training images" in plane_wording.grounds(losses[1:, 1:], 40, 40, "abc")
    assert "no finite" not in plane_wording.grounds(losses[1:, 1:], 40, 40, "abc")


def pictured(losses: Tensor) -> Figure:
    weights = drawn(4, 30)
    found = principal(weights)
    places = found.project(weights)
    surface = surface_of(found, window_of(places), losses, [(0.0, 0.0)], "epoch")
    assert surface.loss(places).isfinite().all()
    return pictures.still(surface, [track("some", places)], {"some": 0})


def drawn_as_png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream)
    return stream.getvalue()


@pytest.mark.filterwarnings("error")
def test_a_plane_with_places_of_no_finite_loss_is_drawn_as_if_they_were_the_highest() -> None:
    losses = drawn(5, 5).abs().double() + 1
    capped = losses.clone()
    capped[4, 4] = capped[0, 2] = losses.max()
    losses[4, 4], losses[0, 2] = torch.nan, torch.inf
    assert drawn_as_png(pictured(losses)) == drawn_as_png(pictured(capped))
    with pytest.raises(BadInput, match=r"^run: their plane has no place of a finite loss; "):
        pictured(losses * torch.nan)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("step", [0.0, 5e-16])  # which is the least that there is beside 2.3
def test_a_flat_plane_is_drawn_without_contours(step: float) -> None:
    losses = torch.full((5, 5), 2.3).double()
    losses[2, 2] += step
    (axes,) = pictured(losses).axes
    assert list(axes.collections) == []


def test_the_legend_of_many_runs_stays_within_the_picture() -> None:
    weights = drawn(4, 30)
    found = principal(weights)
    places = found.project(weights)
    surface = surface_of(
        found, window_of(places), drawn(5, 5).abs().double(), [(0.0, 0.0)], "epoch"
    )
    names = [f"number {number} 12345678" for number in range(ways.MOST)]
    some = [track(name, places) for name in names]
    numbers = {name: number for number, name in enumerate(names)}
    with style.style():
        for figure in (
            pictures.still(surface, some, numbers),
            pictures.losses(some, numbers, 3, (0.1, 10)),
        ):
            figure.draw_without_rendering()
            legend = figure.axes[0].get_legend()
            assert legend is not None
            box = legend.get_window_extent()
            assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1
            assert box.x1 <= figure.bbox.x1
    looks = {tuple(map(str, style.look(number).values())) for number in numbers.values()}
    assert len(looks) == ways.MOST


def test_a_snapshot_without_a_finite_loss_is_one_line() -> None:
    one = trajectory("abc", "mlp")._replace(weights=torch.zeros(2, 1), batches=[0, 1200])
    losses = iter([2.0, float("inf")])
    judge = Judge(lambda _: next(losses), 40, 40)
    with pytest.raises(BadInput, match=r"^run=abc: after 1,200 batches its loss is inf; allowed "):
        losses_along(one, judge)


def test_a_snapshot_with_a_weight_that_is_no_number_is_one_line() -> None:
    run: Any = SimpleNamespace(id="abc")
    weights = [torch.zeros(3), torch.tensor([0.0, torch.nan, 1.0])]
    line = r"^run=abc: after 5 batches not all of its weights are finite numbers; allowed is "
    with pytest.raises(BadInput, match=line):
        snapshots.require_numbers(run, weights, [0, 5])
    snapshots.require_numbers(run, weights[:1], [0])


def test_a_track_says_how_far_it_has_come() -> None:
    places = torch.zeros(4, 2)
    track = Track("id", "sgd", [0, 20, 40, 45], [0, 0.4, 0.9, 1], places, places[:, 0])
    steps = {0: 1, 19: 1, 20: 2, 44: 3, 45: 4, 99: 4}
    assert {step: track.until(step) for step in steps} == steps
    assert track.last == 45
