"""Optimizers in motion: each path is torch's own, and the surfaces are those of the literature."""

import itertools
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path as File
from shutil import copytree
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import make_moons
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from factorial.commands.motion import main
from factorial.motion import asked
from factorial.motion.asked import Asked, understood
from factorial.motion.paths import FAR, Path, best_of, from_when_on, moments, walked
from factorial.motion.surface import Window, nearest
from factorial.motion.surfaces import SURFACES
from factorial.settings import words
from factorial.settings.messages import BadInput
from factorial.settings.places import CONF
from factorial.training.environment import derive_seed

# Each option of the group, in torch's own words
OPTIMIZERS: dict[str, Callable[[list[Tensor]], torch.optim.Optimizer]] = {
    "adadelta": lambda p: torch.optim.Adadelta(p, lr=1.0),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.01, fused=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.001, fused=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.001, weight_decay=0.01, fused=True),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, fused=True),
    "nadam": lambda p: torch.optim.NAdam(p, lr=0.001),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True, fused=True),
    "radam": lambda p: torch.optim.RAdam(p, lr=0.001),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.001),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, fused=True),
}
STARTS = {
    "valley": (-9.0, 1.6),
    "saddle": (1.8, 0.001),
    "beale": (0.7, 1.5),
    "rosenbrock": (-1.2, 1.0),
    "moons": (-3.0, 2.5),
}
FORMULAS: dict[str, Callable[[Any, Any], Any]] = {
    "valley": lambda x, y: (0.15 * x**2 + 15 * y**2) / 2,
    "saddle": lambda x, y: x**2 / 2 + (y**2 - 1) ** 2 / 4,
    "beale": lambda x, y: (
        (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2
    ),
    "rosenbrock": lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2,
}


def moons() -> tuple[np.ndarray, np.ndarray]:
    features, classes = make_moons(200, noise=0.25, random_state=0)
    return features - features.mean(axis=0), classes


def mini_batches(seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    features, classes = map(torch.from_numpy, moons())
    for epoch in itertools.count(1):
        generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
        for index in torch.randperm(200, generator=generator).split(8):
            yield features[index], classes[index].double()


def losses(surface: str, seed: int) -> Iterator[Callable[[Tensor], Tensor]]:
    if surface != "moons":
        yield from itertools.repeat(lambda p: FORMULAS[surface](p[0], p[1]))
    for features, classes in mini_batches(seed):

        def loss(weights: Tensor, features: Tensor = features, classes: Tensor = classes) -> Tensor:
            logits = weights @ features.T
            return (F.softplus(logits) - classes * logits).mean()

        yield loss


def loop(
    surface: str, name: str, steps: int, seed: int = 0, **settings: float
) -> list[list[float]]:
    """As one would write it by hand."""
    position = torch.tensor(STARTS[surface], dtype=torch.float64, requires_grad=True)
    optimizer = OPTIMIZERS[name]([position])
    for group in optimizer.param_groups:
        group.update(settings)
    positions = [position.tolist()]
    for loss in itertools.islice(losses(surface, seed), steps):
        optimizer.zero_grad()
        loss(position).backward()
        optimizer.step()
        positions.append(position.tolist())
        if not all(abs(value) <= 1e6 for value in positions[-1]):
            return positions[:-1]
    return positions


def wanted(*typed: str) -> Asked:
    return understood(words.read("motion", typed))


def path(surface: str, *typed: str) -> Path:
    """The only one that is asked for."""
    (found,) = walked(SURFACES[surface](), wanted(*typed))
    return found


@pytest.mark.slow
def test_these_are_the_options_of_the_group() -> None:
    assert set(OPTIMIZERS) == {file.stem for file in (CONF / "optimizer").glob("*.yaml")}
    assert list(wanted().optimizers) == sorted(OPTIMIZERS)
    assert wanted().surfaces == list(STARTS)


@pytest.mark.slow
@pytest.mark.parametrize("surface", STARTS)
def test_each_path_is_torchs_own_step_by_step(surface: str) -> None:
    paths = walked(SURFACES[surface](), wanted("steps=60", "lr=configured,0.002"))
    assert [one.optimizer for one in paths] == [name for name in OPTIMIZERS for _ in range(2)]
    for one in paths:
        assert one.positions.tolist() == loop(surface, one.optimizer, 60, lr=one.lr)
    given = {name: make([torch.zeros(2)]).defaults["lr"] for name, make in OPTIMIZERS.items()}
    assert {one.optimizer: one.lr for one in paths if "configured" in one.choices} == given
    assert {one.lr for one in paths if "0.002" in one.choices} == {0.002}


def test_gradient_descent_on_a_quadratic_is_its_closed_form() -> None:
    """After t steps each coordinate is (1 - lr curvature)^t of what it was."""
    positions = path("valley", "optimizer=sgd", "lr=0.1", "steps=100").positions.numpy()
    factors = 1 - 0.1 * np.array([0.15, 15])
    expected = factors ** np.arange(101)[:, None] * np.array([-9, 1.6])
    np.testing.assert_allclose(positions, expected, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("name", STARTS)
def test_gradients_are_central_differences(name: str) -> None:
    surface = SURFACES[name]()
    low = torch.tensor([surface.window.left, surface.window.bottom], dtype=torch.float64)
    high = torch.tensor([surface.window.right, surface.window.top], dtype=torch.float64)
    drawn = torch.rand(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    places = (low + (high - low) * drawn).requires_grad_()
    surface.loss(places).sum().backward()
    h = 1e-5
    for axis in range(2):
        step = h * torch.eye(2, dtype=torch.float64)[axis]
        difference = (surface.loss(places + step) - surface.loss(places - step)) / (2 * h)
        assert places.grad is not None
        torch.testing.assert_close(places.grad[:, axis], difference.detach(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "minima"),
    {
        "valley": [(0, 0)],
        "saddle": [(0, 1), (0, -1)],
        "beale": [(3, 0.5)],
        "rosenbrock": [(1, 1)],
    }.items(),
)
def test_minima_are_where_they_are_known_to_be(name: str, minima: list[Any]) -> None:
    surface = SURFACES[name]()
    assert list(surface.minima) == minima
    assert surface.loss(torch.tensor(minima, dtype=torch.float64)).tolist() == [0.0] * len(minima)
    grid = torch.cartesian_prod(*torch.linspace(-4, 4, 81, dtype=torch.float64).expand(2, -1))
    assert surface.loss(grid).min() >= 0
    assert [FORMULAS[name](x, y) for x, y in grid[:5].tolist()] == pytest.approx(
        surface.loss(grid[:5]).tolist()
    )


def test_the_saddle_falls_along_y_and_rises_along_x_from_a_place_without_a_gradient() -> None:
    loss = SURFACES["saddle"]().loss
    origin = torch.zeros(2, dtype=torch.float64)
    assert torch.func.grad(loss)(origin).tolist() == [0, 0]
    assert torch.func.hessian(loss)(origin).tolist() == [[1, 0], [0, -1]]


def test_the_moons_minimum_is_scikit_learns() -> None:
    surface = SURFACES["moons"]()
    features, classes = moons()
    fit = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10, max_iter=1000)
    fitted = fit.fit(features, classes).coef_[0]
    (minimum,) = surface.minima
    assert minimum == pytest.approx(fitted, rel=1e-4)
    place = torch.tensor(minimum, dtype=torch.float64)
    assert surface.loss(place).item() == 0
    assert torch.func.grad(surface.loss)(place).norm() < 1e-12


def test_starts_and_minima_are_in_the_picture() -> None:
    for surface in (make() for make in SURFACES.values()):
        places = torch.tensor([surface.start, *surface.minima], dtype=torch.float64)
        assert surface.window.holds(places).all()


def test_a_window_holds_its_edges_and_nothing_beyond_any_of_them() -> None:
    places = [[-1, 4], [2, -3], [0, 4.1], [0, -3.1], [-1.1, 0], [2.1, 0]]
    held = Window(-1, 2, -3, 4).holds(torch.tensor(places, dtype=torch.float64))
    assert held.tolist() == [True, True, False, False, False, False]


def test_the_seed_is_of_the_moons_batches_alone() -> None:
    few = ("optimizer=sgd", "lr=0.1", "steps=30")
    first, again = (path("moons", *few, "seed=3").positions for _ in range(2))
    assert first.tolist() == again.tolist() == loop("moons", "sgd", 30, seed=3, lr=0.1)
    assert first.tolist() != path("moons", *few, "seed=4").positions.tolist()
    plain = [path("beale", *few, "lr=0.01", f"seed={seed}").positions.tolist() for seed in (3, 4)]
    assert plain[0] == plain[1]


def test_a_path_that_diverges_ends_there_and_says_when_it_left() -> None:
    """Across the valley each step of 1 multiplies by 1 - 15: 1.6 14^6 is the first beyond FAR."""
    found = path("valley", "optimizer=sgd", "lr=1")
    assert (found.diverged, found.left, found.reached) == (6, 1, None)
    assert found.positions[:, 1].tolist() == pytest.approx([1.6 * (-14) ** t for t in range(6)])
    assert 1.6 * 14**5 < FAR < 1.6 * 14**6


def test_a_path_that_diverges_at_once_left_with_that_step_and_never_was_there_to_stay() -> None:
    found = path("valley", "optimizer=sgd", "lr=1e9", "tolerance=1")
    assert (found.diverged, found.left, found.reached) == (1, 1, None)
    assert found.positions.tolist() == [[-9, 1.6]]


def test_after_so_many_steps_a_path_has_one_position_more_up_to_its_last() -> None:
    found = path("valley", "optimizer=sgd", "lr=1")
    assert [found.until(step) for step in (0, 1, 5, 6, 200)] == [1, 2, 6, 6, 6]


def test_steps_to_tolerance_are_those_after_which_it_stays_near() -> None:
    found = path("valley", "optimizer=sgd", "lr=0.1")
    times = np.arange(201)
    away = np.hypot(9 * 0.985**times, 1.6 * 0.5**times)
    assert found.reached == int(np.argmax(away <= 0.05 * np.hypot(9, 1.6))) == 198
    assert found.distances.tolist() == pytest.approx(away.tolist())
    assert (found.left, found.diverged) == (None, None)
    assert path("valley", "optimizer=sgd", "lr=0.1", "tolerance=0.5").reached == 45
    assert path("valley", "optimizer=sgd", "lr=0.1", "steps=100").reached is None


def test_a_bout_away_is_not_to_stay() -> None:
    cases = {"": None, "0": None, "1": 0, "01": 1, "0110": None, "1011": 2, "111": 0}
    for held, place in cases.items():
        assert from_when_on([sign == "1" for sign in held]) == place


def test_the_nearest_minimum_counts() -> None:
    places = torch.tensor([[0.0, 3.0], [0.0, -1.5], [1.0, 1.0]], dtype=torch.float64)
    assert nearest(SURFACES["saddle"](), places).tolist() == [2, 0.5, 1]


def test_the_best_rate_is_there_soonest_or_else_lowest_and_never_one_that_diverged() -> None:
    typed = ("optimizer=sgd,momentum", "lr=0.01,0.1,1", "steps=200")
    best = {one.optimizer: one.lr for one in best_of(walked(SURFACES["valley"](), wanted(*typed)))}
    assert best == {"sgd": 0.1, "momentum": 0.1}
    none = best_of(walked(SURFACES["rosenbrock"](), wanted("optimizer=sgd", "lr=0.0001,0.001,0.1")))
    assert [one.lr for one in none] == [0.001]
    # across the valley by -1.1 a step: it rises, where the other has its first place alone
    rising = walked(SURFACES["valley"](), wanted("optimizer=sgd", "lr=0.14,1e9", "steps=10"))
    assert rising[0].losses[-1] > rising[1].losses[-1]
    assert [one.lr for one in best_of(rising)] == [0.14]


def test_a_rate_that_two_words_mean_is_walked_once() -> None:
    paths = walked(SURFACES["valley"](), wanted("optimizer=sgd", "lr=configured,0.1,1e-1,0.01"))
    assert [one.choices for one in paths] == [("configured", "0.1", "best"), ("0.01",)]


@pytest.mark.parametrize(
    ("steps", "most", "shown"),
    [
        (4, 61, [0, 1, 2, 3, 4]),
        (100, 3, [0, 25, 100]),
        (8, 9, list(range(9))),
        (9, 2, [0, 9]),
        (9, 9, [0, 1, 2, 4, 5, 7, 9]),
    ],
)
def test_moments_are_the_steps_or_some_of_them_both_ends_too(
    steps: int, most: int, shown: list[int]
) -> None:
    assert moments(steps, most) == shown


@pytest.fixture
def own(tmp_path: File, monkeypatch: pytest.MonkeyPatch) -> File:
    """A folder of configs to which options may be added."""
    copytree(CONF, tmp_path / "conf")
    monkeypatch.setattr(asked, "CONF", tmp_path / "conf")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def add(folder: File, name: str, text: str) -> None:
    (folder / "conf" / "optimizer" / f"{name}.yaml").write_text(text)


@pytest.mark.slow
def test_an_option_added_to_the_group_appears(own: File) -> None:
    add(own, "adamax", "_target_: torch.optim.Adamax\n")
    assert list(wanted().optimizers) == sorted([*OPTIMIZERS, "adamax"])
    (found,) = walked(SURFACES["valley"](), wanted("optimizer=adamax", "steps=3", "lr=configured"))
    assert (found.lr, found.last) == (0.002, 3)
    (swept,) = walked(SURFACES["valley"](), wanted("optimizer=adamax", "steps=3", "lr=0.5"))
    assert swept.lr == 0.5


SIGN = """
import torch

class SignSGD(torch.optim.SGD):
    @torch.no_grad()
    def step(self):
        for weight in self.param_groups[0]["params"]:
            weight.sub_(weight.grad.sign(), alpha=self.param_groups[0]["lr"])
"""


def test_an_option_is_what_hydra_makes_of_it_for_a_run(own: File) -> None:
    """One that builds on another, and takes a value from elsewhere in the config."""
    add(own, "faster", "defaults: [momentum, _self_]\nlr: 0.02\n")
    add(
        own,
        "linked",
        "_target_: torch.optim.SGD\nlr: ${label_smoothing}\nmomentum: 0.9\nfused: true\n",
    )
    few = ("optimizer=faster,linked", "steps=20", "lr=configured,0.02")
    faster, still, linked = walked(SURFACES["valley"](), wanted(*few))
    expected = loop("valley", "momentum", 20, lr=0.02)
    assert faster.choices == ("configured", "0.02", "best")
    assert faster.positions.tolist() == linked.positions.tolist() == expected
    assert still.lr == 0 and still.positions.tolist() == [[-9, 1.6]] * 21


BROKEN = {
    "bare": ("lr: 0.1\n", "allowed is an option that names a class, as _target_"),
    "yaml": ("lr: [\n", r"no run has this option \(while parsing"),
    "lost": ("lr: ${nowhere}\n", r"no run has this option \(.*'nowhere' not found"),
    "heir": ("defaults: [nobody]\n", r"no run has this option \(.*nobody"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_an_option_that_no_run_can_have_is_left_out_of_all_and_refused_by_name(
    own: File, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text, why = BROKEN[name]
    add(own, name, text)
    assert list(wanted().optimizers) == list(OPTIMIZERS)
    assert f"WARNING: {name} is left out: optimizer={name}: " in capsys.readouterr().err
    with pytest.raises(BadInput, match=f"^optimizer={name}: {why}"):
        wanted(f"optimizer={name}")


@pytest.mark.slow
def test_a_page_has_the_options_that_walk_and_says_once_which_does_not(
    own: File, capsys: pytest.CaptureFixture[str]
) -> None:
    add(own, "adamax", "_target_: torch.optim.Adamax\n")
    add(own, "lbfgs", "_target_: torch.optim.LBFGS\n")
    main(["surface=valley,saddle", "steps=3", "lr=configured", f"folder={own / 'page'}"])
    page = (own / "page" / "index.html").read_text()
    boxes = re.findall(r'<input type="checkbox" value="(\w+)"', page)
    assert boxes == sorted([*OPTIMIZERS, "adamax"])
    assert "11 optimizers take 3 steps" in page and "lbfgs" not in page
    assert capsys.readouterr().err.count("lbfgs is left out") == 1


def test_a_class_of_ones_own_is_trusted_as_the_file_that_names_it(own: File) -> None:
    (own / "own_sign.py").write_text(SIGN)
    add(own, "sign", "_target_: own_sign.SignSGD\nlr: 0.5\n")
    found = path("valley", "optimizer=sign", "steps=4", "lr=configured")
    assert found.positions[:, 0].tolist() == [-9, -8.5, -8, -7.5, -7]


@pytest.mark.slow
def test_an_option_that_cannot_walk_is_left_out_of_all_and_refused_by_name(
    own: File, capsys: pytest.CaptureFixture[str]
) -> None:
    add(own, "lbfgs", "_target_: torch.optim.LBFGS\n")
    paths = walked(SURFACES["valley"](), wanted("steps=2", "lr=0.1"))
    assert {one.optimizer for one in paths} == set(OPTIMIZERS)
    assert "WARNING: lbfgs is left out: optimizer=lbfgs: a step fails" in capsys.readouterr().err
    with pytest.raises(BadInput, match=r"^optimizer=lbfgs: a step fails \(TypeError: "):
        walked(SURFACES["valley"](), wanted("optimizer=lbfgs", "lr=0.1"))


@pytest.mark.parametrize(
    ("word", "line"),
    {
        "optimizer=adamm": r"^optimizer=adamm \(did you mean adam\?\): allowed is all, or some of "
        "adadelta, adagrad, ",
        "optimizer=,": "^optimizer=,: allowed is all, or some of adadelta",
        "surface=bale": r"^surface=bale \(did you mean beale\?\): allowed is all, or some of "
        "valley, saddle, beale, rosenbrock, moons$",
        "steps=0": "^steps=0: allowed is a whole number, 1 to 10000$",
        "seed=-1": "^seed=-1: allowed is a whole number, 0 to 9223372036854775807$",
        "lr=-1": "^lr=-1: allowed are configured, or finite numbers above 0, such as 0.001,0.01$",
        "lr=abc": "^lr=abc: allowed are configured, or finite",
        "lr=0.1,nan": "^lr=nan: allowed are configured, or finite",
        "lr=[]": r"^lr=\[\]: allowed are configured, or finite",
        "tolerance=2": "^tolerance=2: allowed is a number, 0 to 1$",
    }.items(),
)
def test_bad_input_is_one_clear_line(word: str, line: str) -> None:
    with pytest.raises(BadInput, match=line):
        wanted(word)


def test_names_stand_once_in_the_order_that_is_known() -> None:
    some = wanted("optimizer=sgd,adam,sgd", "surface=[moons,beale]", "lr=0.1,configured,1e-1")
    assert list(some.optimizers) == ["adam", "sgd"]
    assert some.surfaces == ["beale", "moons"]
    assert some.rates == {"0.1": 0.1, "configured": None}
    assert wanted("surface=beale,all").surfaces == list(STARTS)
    assert not some.every and wanted().every
    assert math.isclose(wanted().tolerance, 0.05)


@pytest.mark.parametrize(
    ("typed", "line"),
    {
        ("run=last", "sweep=x"): "^run=last and sweep=x: allowed is one$",
        ("run=last", "tolerance=0.1"): "^tolerance: allowed is that without run$",
        ("sweep=x", "lr=0.1"): "^lr: allowed is that without sweep$",
        ("every=5",): "^every: allowed is that with run=ID,ID, or sweep=ID$",
        ("run=last", "best=2"): "^best=2: allowed with sweep=ID, for it is of a sweep$",
        ("run=last",): "^outputs=.*: no runs are on record there$",
    }.items(),
)
def test_what_is_of_surfaces_is_not_of_runs_and_nothing_is_written(
    typed: tuple[str, ...], line: str, tmp_path: File
) -> None:
    with pytest.raises(BadInput, match=line):
        main([*typed, f"outputs={tmp_path}"])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_runs_in_motion_that_holds_anything_else_is_refused(tmp_path: File) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(BadInput, match=r"^folder=.*: it holds thesis\.tex, "):
        main(["run=last", f"outputs={tmp_path / 'none'}", f"folder={tmp_path}"])
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]
