"""Runs in their plane, in words and rows."""

from collections.abc import Sequence

import torch
from torch import Tensor

from factorial.motion.plane import Plane
from factorial.motion.surface import Window
from factorial.motion.trajectory import Track, Trajectory, shared

SMALL = 0.02  # of the picture's width and height: a way within that is a dot


def summary(plane: Plane, trajectories: Sequence[Trajectory], every: str) -> str:
    """What the page shows, and how much of it."""
    first, second = plane.shares
    runs = "a run" if len(trajectories) == 1 else f"{len(trajectories)} runs"
    common = " ".join(shared(trajectories))
    of = f"{runs} ({common})" if common else runs
    parameters = trajectories[0].weights.shape[1]
    return (
        f"The weights of {of}, trained again from the record, {every}: {parameters:,} numbers, "
        f"seen in the plane in which they move the most. Its first direction has {first:.1%} of "
        f"the variance of all snapshots, its second {second:.1%}, together {first + second:.1%}; "
        f"the rest of the way leads out of the picture."
    )


def grounds(losses: Tensor, examples: int, there: int, first: str) -> str:
    """What the surface is, of which losses are given: [places along y, places along x]. Losses are
    of so many `examples` of those that are `there`."""
    side = len(losses)
    some = f"all {there:,}" if examples == there else f"{examples:,} of the {there:,}"
    seen = losses[losses.isfinite()]
    beyond = losses.numel() - seen.numel()
    no_number = f" ({beyond:,} places, of no finite loss, like the highest)" if beyond else ""
    return (
        f"The ground is the mean cross-entropy, in nats, on {some} training images of run {first} "
        f"(the same for every place) with the weights of {side} x {side} places of the plane, and "
        f"buffers, such as the means of batch normalisation, as that run ended with: from "
        f"{seen.min():.3g} to {seen.max():.3g}, the more shade the higher{no_number}, contours "
        f"evenly spaced in its logarithm. The directions are not to one scale. A run's own loss, "
        f"under the pointer and in the chart of losses, is that of its weights themselves, which "
        f"lie beside the plane: it is not what the ground has under it."
    )


def notes(trajectories: Sequence[Trajectory]) -> list[str]:
    """What a reader should know before runs are compared."""
    first = trajectories[0]
    apart = [
        one.run[:8] for one in trajectories if not torch.equal(one.weights[0], first.weights[0])
    ]
    others = [one.run[:8] for one in trajectories if one.data != first.data]
    said = [one for one in (held(one) for one in trajectories) if one]
    if apart:
        said.append(f"They start apart: {', '.join(apart)} elsewhere than {first.run[:8]}.")
    elif len(trajectories) > 1:
        said.append("All start from the same weights.")
    if others:
        said.append(
            f"{', '.join(others)} learnt from other data than {first.run[:8]}, on whose images all "
            f"losses are."
        )
    return said


def held(one: Trajectory) -> str:
    """How a replay stands to its record, where it is not the same."""
    name = one.run[:8]
    if one.parted is not None:
        return (
            f"{name}: from epoch {one.parted} on the weights are not those on record; its way is "
            f"that of this replay."
        )
    return "" if one.held else f"{name}: the record has no digests to hold its weights against."


def dwarfed(window: Window, tracks: Sequence[Track]) -> list[str]:
    """A note on ways that are dots beside others'."""
    sides = torch.tensor([window.right - window.left, window.top - window.bottom])
    spans = [(one.positions.amax(0) - one.positions.amin(0)) / sides for one in tracks]
    small = [one.label for one, span in zip(tracks, spans, strict=True) if span.max() < SMALL]
    if not small:
        return []
    return [f"Too short to be seen beside the others' ways: {', '.join(small)}."]


def rows(
    plane: Plane, trajectories: Sequence[Trajectory], tracks: Sequence[Track]
) -> list[dict[str, str]]:
    """A table's rows, a run each."""
    return [
        {
            "run": track.label,
            "id": one.run,
            "snapshots": str(len(track.steps)),
            "first loss": f"{track.losses[0]:.4g}",
            "last loss": f"{track.losses[-1]:.4g}",
            "shown of its variance": f"{plane.shown(one.weights):.1%}",
            "replay": replay(one),
        }
        for one, track in zip(trajectories, tracks, strict=True)
    ]


def replay(one: Trajectory) -> str:
    if one.parted is not None:
        return f"another from epoch {one.parted} on"
    return f"as recorded in {one.held} epochs" if one.held else "no digests on record"


def pictured(plane: Plane, tracks: Sequence[Track]) -> str:
    """The still, told."""
    ends = "; ".join(
        f"{track.label} from ({at(track, 0)}) to ({at(track, -1)})" for track in tracks
    )
    return (
        f"Ways of {len(tracks)} runs over the loss of their plane, which shows "
        f"{sum(plane.shares):.1%} of their variance: {ends}."
    )


def at(track: Track, place: int) -> str:
    return ", ".join(f"{value:.3g}" for value in track.positions[place].tolist())


def fallen(tracks: Sequence[Track], unit: str) -> str:
    """The losses, told."""
    ends = "; ".join(
        f"{track.label} from {track.losses[0]:.3g} to {track.losses[-1]:.3g}" for track in tracks
    )
    return f"Loss on training images against {unit}, on a log axis: {ends}."
