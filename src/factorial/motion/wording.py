"""What is to be seen, in words and rows, for those too who can't see it."""

from collections.abc import Sequence

from factorial.motion.asked import CONFIGURED, Asked
from factorial.motion.paths import BEST, Path, best_of
from factorial.motion.surface import Point, Surface
from factorial.settings.names import ABSENT

WORDS = {CONFIGURED: "as configured", BEST: "each its best of these"}


def summary(asked: Asked) -> str:
    """What the page holds."""
    rates = [word for word in asked.rates if word != CONFIGURED]
    own = ["the learning rate that stands there"] if CONFIGURED in asked.rates else []
    at = " and at ".join([*own, *([", ".join(rates)] if rates else [])])
    said = (
        f"{len(asked.optimizers)} optimizers take {asked.steps} steps of torch.optim from one "
        f"start, each with the settings of its file in conf/optimizer, at {at}."
    )
    several = "Pictures and first tables show each at the rate that suits it best."
    return f"{said} {several}" if len(asked.rates) > 1 else said


def pictured(surface: Surface, paths: Sequence[Path], steps: int) -> str:
    """The still, told."""
    ranked = sorted(
        best_of(paths), key=lambda path: (path.diverged is not None, path.distances[-1].item())
    )
    there = [f"{path.label} (step {path.reached})" for path in ranked if path.reached is not None]
    gone = [path.label for path in ranked if path.left is not None]
    nearest = ranked[0]
    said = [
        f"Paths of {len(ranked)} optimizers on {surface.title[0].lower()}{surface.title[1:]}, "
        f"from {place(surface.start)}, {steps} steps. "
        f"Nearest to the minimum in the end is {nearest.label}, {nearest.distances[-1]:.3g} away",
        f"there to stay: {', '.join(there)}" if there else "none is there to stay",
        *([f"outside of the picture in the end: {', '.join(gone)}"] if gone else []),
    ]
    return "; ".join(said) + "."


def fallen(paths: Sequence[Path]) -> str:
    """The losses, told."""
    ranked = sorted(best_of(paths), key=lambda path: path.losses[-1].item())
    low, high = ranked[0], ranked[-1]
    return (
        f"Loss above the minimum against steps, on a log axis: from {low.losses[0]:.3g} at the "
        f"start, {low.label} comes to {low.losses[-1]:.2g}, the lowest, and {high.label} to "
        f"{high.losses[-1]:.2g}, the highest."
    )


def place(point: Point) -> str:
    return f"({', '.join(f'{value:.4g}' for value in point)})"


def rows(paths: Sequence[Path]) -> list[dict[str, str]]:
    """A table's rows, a path each."""
    return [
        {
            "optimizer": path.optimizer,
            "learning rate": rate(path),
            "steps to tolerance": ABSENT if path.reached is None else str(path.reached),
            "final distance": ABSENT if path.diverged else f"{path.distances[-1]:.3g}",
            "final loss": ABSENT if path.diverged else f"{path.losses[-1]:.3g}",
            "ended": ended(path),
        }
        for path in paths
    ]


def rate(path: Path) -> str:
    notes = [word for word in (CONFIGURED, BEST) if word in path.choices]
    return f"{path.lr:g} ({', '.join(notes)})" if notes else f"{path.lr:g}"


def ended(path: Path) -> str:
    if path.diverged is not None:
        return f"diverged at step {path.diverged}"
    if path.left is not None:
        return f"outside of the picture from step {path.left}"
    return "at the minimum" if path.reached is not None else "on its way"


def board(scenes: dict[str, Sequence[Path]]) -> list[dict[str, str]]:
    """For the screen: each optimizer's best learning rate on each surface, and its steps."""
    names = list(dict.fromkeys(path.optimizer for paths in scenes.values() for path in paths))
    cells = {
        (path.optimizer, surface): f"{path.lr:g}: {reached(path)}"
        for surface, paths in scenes.items()
        for path in best_of(paths)
    }
    return [
        {"optimizer": name} | {surface: cells.get((name, surface), ABSENT) for surface in scenes}
        for name in names
    ]


def reached(path: Path) -> str:
    if path.reached is not None:
        return f"{path.reached} steps"
    return "diverged" if path.diverged else f"{path.distances[-1]:.2g} away"
