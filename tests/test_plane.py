"""The plane of a network's ways: principal directions, and the losses of their plane."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from composing import CPU
from sklearn.decomposition import PCA
from torch import Tensor, nn

from factorial.motion import plane
from factorial.motion.plane import losses_of, principal, surface_of, window_of
from factorial.motion.surface import Window
from factorial.motion.trajectory import Track, Trajectory, labels
from factorial.reuse.snapshots import loss_of
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


def trajectory(run: str, name: str) -> Trajectory:
    return Trajectory(run, name, torch.zeros(1, 1), [0], [0.0], None, 1, "")


def test_a_label_has_what_not_all_names_have_and_the_id() -> None:
    some = [
        trajectory("1234567890", "mlp sgd lr=0.1 e2 s0"),
        trajectory("abcdefabcd", "mlp adam lr=0.1 e2 s0"),
    ]
    assert labels(some) == ["sgd 12345678", "adam abcdefab"]
    assert labels(some[:1]) == ["12345678"]


def test_a_track_says_how_far_it_has_come() -> None:
    places = torch.zeros(4, 2)
    track = Track("id", "sgd", [0, 20, 40, 45], [0, 0.4, 0.9, 1], places, places[:, 0])
    steps = {0: 1, 19: 1, 20: 2, 44: 3, 45: 4, 99: 4}
    assert {step: track.until(step) for step in steps} == steps
    assert track.last == 45
