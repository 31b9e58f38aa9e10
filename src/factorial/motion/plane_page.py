"""Runs in their plane as files: one page that needs no network, pictures, an animation, a table."""

import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path as File
from typing import NamedTuple

import torch
from torch import Tensor

from factorial import console
from factorial.comparison.figures import style
from factorial.comparison.folder import replacing
from factorial.motion import pictures, plane_specs, plane_wording, specs
from factorial.motion.embedded import data_uri, packed, uri
from factorial.motion.page import PACKAGE, PAGE, TABLE
from factorial.motion.paths import moments
from factorial.motion.plane import Plane, losses_of, principal, surface_of, window_of
from factorial.motion.surface import Surface
from factorial.motion.trajectory import Track, Trajectory, labels
from factorial.pages import charts
from factorial.pages.templates import template
from factorial.settings.messages import BadInput

STILL, LOSSES, MOVING = "plane.png", "plane-loss.png", "plane.gif"
WHOSE = "page's of runs in motion"
FILES = (PAGE, TABLE, STILL, LOSSES, MOVING)
SLOWEST, PACE = 0.1, 160  # of the player's speed; and snapshots that its own speed suits


class Judge(NamedTuple):
    """The mean loss of `examples` training images, of those that are `there`, with weights
    [parameters]."""

    loss: Callable[[Tensor], float]
    examples: int
    there: int


class Scene(NamedTuple):
    """Runs in their plane: `every` says in words when a snapshot was taken, `chosen` which runs of
    a sweep they are."""

    plane: Plane
    surface: Surface
    trajectories: list[Trajectory]
    tracks: list[Track]
    judge: Judge
    losses: Tensor  # of a grid over the surface's window
    every: str
    chosen: str

    @property
    def notes(self) -> list[str]:
        """What a reader should know before he looks."""
        return [
            *([self.chosen] if self.chosen else []),
            *plane_wording.notes(self.trajectories),
            *plane_wording.dwarfed(self.surface.window, self.tracks),
        ]

    @property
    def shown(self) -> list[int]:
        """All steps at which a run has a snapshot."""
        return sorted({step for track in self.tracks for step in track.steps})

    @property
    def span(self) -> tuple[float, float]:
        """From a little below the lowest loss of any snapshot to a little above the highest."""
        losses = torch.cat([track.losses for track in self.tracks]).clamp_min(pictures.FLOOR)
        return losses.min().item() / 1.2, losses.max().item() * 1.2


def scene_of(
    trajectories: list[Trajectory], judge: Judge, side: int, unit: str, every: str, chosen: str
) -> Scene:
    """Raises BadInput where the snapshots span no plane, or one of them has no loss."""
    plane = principal(torch.cat([one.weights for one in trajectories]))
    tracks = [
        Track(
            run=one.run,
            optimizer=label,
            steps=one.batches if unit == "batch" else [round(epoch) for epoch in one.epochs],
            epochs=one.epochs,
            positions=plane.project(one.weights),
            losses=losses_along(one, judge),
        )
        for one, label in zip(trajectories, labels(trajectories), strict=True)
    ]
    window = window_of(torch.cat([track.positions for track in tracks]))
    losses = losses_of(plane, window, side, judge.loss)
    surface = surface_of(plane, window, losses, starts(trajectories, tracks), unit)
    return Scene(plane, surface, trajectories, tracks, judge, losses, every, chosen)


def losses_along(one: Trajectory, judge: Judge) -> Tensor:
    """Of each snapshot, float64. Raises BadInput where one is no finite number."""
    losses = torch.tensor([judge.loss(weights) for weights in one.weights], dtype=torch.float64)
    for behind, loss in zip(one.batches, losses.tolist(), strict=True):
        if not math.isfinite(loss):
            raise BadInput(
                f"run={one.run}: after {behind:,} batches its loss is {loss}; allowed is a run "
                f"whose losses can be drawn"
            )
    return losses


def starts(ways: Sequence[Trajectory], tracks: Sequence[Track]) -> list[tuple[float, float]]:
    """Where each begins, once for equal weights: their places may differ in the last bit, for as
    many snapshots as each way has are projected at once."""
    return [
        (track.positions[0, 0].item(), track.positions[0, 1].item())
        for number, track in enumerate(tracks)
        if not any(torch.equal(ways[number].weights[0], one.weights[0]) for one in ways[:number])
    ]


def publish(scene: Scene, folder: File) -> None:
    """Write the page and its files, and say what they show. Raises BadInput."""
    rows = plane_wording.rows(scene.plane, scene.trajectories, scene.tracks)
    with replacing(folder, FILES, WHOSE) as made, style.style():
        draw(scene, made)
        write_table(scene.tracks, made / TABLE)
        (made / PAGE).write_text(render(scene, rows, made), encoding="utf-8")
    shown = [{key: value for key, value in row.items() if key != "id"} for row in rows]
    console.show_rows(shown)
    console.say(
        plane_wording.summary(scene.plane, scene.trajectories, scene.every),
        *scene.notes,
        f"page: {console.relative(folder / PAGE)}",
    )


def draw(scene: Scene, folder: File) -> None:
    tracks, surface = scene.tracks, scene.surface
    numbers = {track.optimizer: number for number, track in enumerate(tracks)}
    words = (surface.unit, plane_specs.LOSS_OF)
    shown = scene.shown
    frames = [shown[place] for place in moments(len(shown) - 1, pictures.FRAMES)]
    pictures.save(pictures.still(surface, tracks, numbers), folder / STILL)
    drawn = pictures.losses(tracks, numbers, shown[-1], scene.span, words)
    pictures.save(drawn, folder / LOSSES)
    pictures.animate(surface, tracks, numbers, frames, folder / MOVING)


def render(scene: Scene, rows: Sequence[dict[str, str]], folder: File) -> str:
    """The page, with the files of `folder` within it."""
    tracks, surface, shown = scene.tracks, scene.surface, scene.shown
    names, first = [track.optimizer for track in tracks], scene.trajectories[0]
    seen = plane_wording.pictured(scene.plane, tracks)
    fell = plane_wording.fallen(tracks, surface.unit)
    ground = uri(pictures.ground(surface), "image/png")
    drawn = {
        "map": plane_specs.map_of(surface, ground, names, shown[-1], seen),
        "losses": plane_specs.losses_of(scene.span, names, surface.unit, shown[-1], fell),
        "paths": plane_specs.entries(tracks),
    }
    return template(PACKAGE, "plane.html").render(
        summary=plane_wording.summary(scene.plane, scene.trajectories, scene.every),
        grounds=plane_wording.grounds(
            scene.losses, scene.judge.examples, scene.judge.there, first.run[:8]
        ),
        notes=scene.notes,
        unit=surface.unit,
        rate=plane_specs.RATE,
        looks={name: specs.look(number) for number, name in enumerate(names)},
        moments=shown,
        pace=round(max(SLOWEST, len(shown) / PACE), 2),
        rows=rows,
        seen=seen,
        fell=fell,
        still=data_uri(folder / STILL),
        losses=data_uri(folder / LOSSES),
        moving=data_uri(folder / MOVING),
        file=data_uri(folder / TABLE),
        charts=packed(drawn),
        script=charts.script(),
    )


def write_table(tracks: Sequence[Track], file: File) -> None:
    """A row for each snapshot."""
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["run", "label", "step", "epoch", "x", "y", "loss"])
        for track in tracks:
            columns = track.steps, track.epochs, track.positions.tolist(), track.losses.tolist()
            for step, epoch, (x, y), loss in zip(*columns, strict=True):
                writer.writerow([track.run, track.label, step, f"{epoch:.6g}", x, y, loss])
