"""Surfaces on which the ways of optimizers part: the classic ones, and one that is learned."""

from collections.abc import Callable

from torch import Tensor

from factorial.motion.surface import Surface, Window, exactly

CURVATURES = (0.15, 15.0)  # of the valley, along x and y: a condition number of 100


def valley_loss(position: Tensor) -> Tensor:
    x, y = position.unbind(-1)
    along, across = CURVATURES
    return (along * x**2 + across * y**2) / 2


def valley() -> Surface:
    return Surface(
        title="A long narrow valley",
        formula="(0.15 x² + 15 y²) / 2: a quadratic a hundred times as steep across as along",
        lesson="One learning rate has to do for both directions: what does not overshoot across "
        "creeps along. Momentum adds up along the valley; methods that scale each coordinate by "
        "its own gradients hardly see that it is narrow.",
        axes=("x", "y"),
        start=(-9.0, 1.6),
        minima=((0.0, 0.0),),
        window=Window(-10, 4, -2.5, 2.5),
        loss=valley_loss,
        descended=exactly(valley_loss),
    )


def saddle_loss(position: Tensor) -> Tensor:
    x, y = position.unbind(-1)
    return x**2 / 2 + (y**2 - 1) ** 2 / 4


def saddle() -> Surface:
    return Surface(
        title="A saddle point",
        formula="x²/2 + (y² - 1)²/4: a saddle at (0, 0) between minima at (0, 1) and (0, -1)",
        lesson="The start lies 0.001 beside the ridge y = 0, where the gradient along y is next to "
        "nothing. What follows the gradient's size runs into the saddle and waits there; what "
        "divides by that size walks off the ridge at once. (Exactly on the ridge the gradient "
        "along y is 0, and all of them would end in the saddle.)",
        axes=("x", "y"),
        start=(1.8, 0.001),
        minima=((0.0, 1.0), (0.0, -1.0)),
        window=Window(-1.2, 2.2, -1.7, 1.7),
        loss=saddle_loss,
        descended=exactly(saddle_loss),
    )


def beale_loss(position: Tensor) -> Tensor:
    x, y = position.unbind(-1)
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def beale() -> Surface:
    return Surface(
        title="Beale's function",
        formula="(1.5 - x + xy)² + (2.25 - x + xy²)² + (2.625 - x + xy³)²",
        lesson="Steep walls around a flat floor with its minimum at (3, 0.5): a rate that is right "
        "on the floor throws a plain step off the wall, and one that is right on the wall stands "
        "still on the floor.",
        axes=("x", "y"),
        start=(0.7, 1.5),
        minima=((3.0, 0.5),),
        window=Window(-1.5, 4.5, -2.0, 2.4),
        loss=beale_loss,
        descended=exactly(beale_loss),
    )


def rosenbrock_loss(position: Tensor) -> Tensor:
    x, y = position.unbind(-1)
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def rosenbrock() -> Surface:
    return Surface(
        title="Rosenbrock's function",
        formula="(1 - x)² + 100 (y - x²)²",
        lesson="To find the valley is quick, to follow its bend to (1, 1) is not: its floor is "
        "next to flat between steep walls. Most plain steps at a learning rate of 0.01 or "
        "more are thrown out of the picture.",
        axes=("x", "y"),
        start=(-1.2, 1.0),
        minima=((1.0, 1.0),),
        window=Window(-2.0, 2.0, -1.0, 3.0),
        loss=rosenbrock_loss,
        descended=exactly(rosenbrock_loss),
    )


def moons() -> Surface:
    from factorial.motion import moons  # here: scikit-learn takes a second

    return moons.surface()


# By the names that a user types, from the plainest to the one that is learning from examples
SURFACES: dict[str, Callable[[], Surface]] = {
    "valley": valley,
    "saddle": saddle,
    "beale": beale,
    "rosenbrock": rosenbrock,
    "moons": moons,
}
