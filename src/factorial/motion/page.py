"""Optimizers in motion as files: one page that needs no network, pictures, animations, a table."""

import csv
from collections.abc import Sequence
from pathlib import Path as File
from typing import Any, NamedTuple

from factorial import console
from factorial.comparison.figures import style
from factorial.comparison.folder import replacing, require_own
from factorial.motion import pictures, specs, wording
from factorial.motion.asked import Asked
from factorial.motion.embedded import data_uri, packed, uri
from factorial.motion.paths import BEST, Path, best_of, moments, walked
from factorial.motion.surface import Surface
from factorial.motion.surfaces import SURFACES
from factorial.pages import charts
from factorial.pages.templates import template

PACKAGE = "factorial.motion"  # which has the templates
PAGE, TABLE = "index.html", "paths.csv"
SUFFIXES = (".png", "-loss.png", ".gif")
WHOSE = "page's of optimizers in motion"
FILES = (PAGE, TABLE, *(f"{name}{suffix}" for name in SURFACES for suffix in SUFFIXES))
POSITIONS = 50_000  # in the page, of all paths together: a quarter of a megabyte


class Scene(NamedTuple):
    """A surface by its name, with all paths on it."""

    name: str
    surface: Surface
    paths: list[Path]


def publish(asked: Asked, place: str | None, outputs: str) -> None:
    """Write the page and its files, and say what they show. Raises BadInput."""
    folder = File(place or File(outputs) / "motion").resolve()
    require_own(folder, FILES, WHOSE)
    scenes, able = walks(asked)
    with replacing(folder, FILES, WHOSE) as made:
        write(scenes, able, made)
    console.show_rows(wording.board({scene.name: scene.paths for scene in scenes}))
    console.say(
        "each at its best learning rate: steps until it stays near a minimum, or how far from it",
        f"page: {console.relative(folder / PAGE)}",
    )


def walks(asked: Asked) -> tuple[list[Scene], Asked]:
    """All surfaces with their paths, and what was asked for without those who can't walk. An option
    that can't is left out, and said, once. Raises BadInput."""
    scenes: list[Scene] = []
    able = asked
    for name in asked.surfaces:
        surface = SURFACES[name]()
        paths = walked(surface, able)
        scenes.append(Scene(name, surface, paths))
        able = able.only({path.optimizer for path in paths})
    return scenes, asked.only({path.optimizer for scene in scenes for path in scene.paths})


def write(scenes: Sequence[Scene], asked: Asked, folder: File) -> None:
    numbers = {name: number for number, name in enumerate(asked.optimizers)}
    write_table(scenes, folder / TABLE)
    with style.style():
        for scene in scenes:
            draw(scene, numbers, asked.steps, folder)
        page = render(scenes, asked, folder)
    (folder / PAGE).write_text(page, encoding="utf-8")


def write_table(scenes: Sequence[Scene], file: File) -> None:
    """A row for each path."""
    table = [{"surface": scene.name} | row for scene in scenes for row in wording.rows(scene.paths)]
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, list(table[0]))
        writer.writeheader()
        writer.writerows(table)


def draw(scene: Scene, numbers: dict[str, int], steps: int, folder: File) -> None:
    """Each optimizer at its best learning rate."""
    surface, best = scene.surface, best_of(scene.paths)
    still, losses, moving = (folder / f"{scene.name}{suffix}" for suffix in SUFFIXES)
    pictures.save(pictures.still(surface, best, numbers), still)
    span = pictures.loss_range(best)
    pictures.save(pictures.losses(best, numbers, steps, span), losses)
    pictures.animate(surface, best, numbers, moments(steps, pictures.FRAMES), moving)


def render(scenes: Sequence[Scene], asked: Asked, folder: File) -> str:
    """The page, with the files of `folder` within it."""
    total = sum(len(scene.paths) for scene in scenes)
    shown = moments(asked.steps, max(2, POSITIONS // total))
    names = list(asked.optimizers)
    rates = [*([BEST] if len(asked.rates) > 1 else []), *asked.rates]
    return template(PACKAGE, PAGE).render(
        summary=wording.summary(asked),
        tolerance=asked.tolerance,
        thinned=len(shown) <= asked.steps,
        script=charts.script(),
        file=data_uri(folder / TABLE),
        moments=shown,
        looks={name: specs.look(number) for number, name in enumerate(names)},
        rates={word: wording.WORDS.get(word, word) for word in rates},
        scenes=[shown_scene(scene, asked, rates[0], shown, folder) for scene in scenes],
    )


def shown_scene(
    scene: Scene, asked: Asked, rate: str, shown: Sequence[int], folder: File
) -> dict[str, Any]:
    """What the page has of a surface: words, tables, pictures, and charts to play with."""
    surface, paths, names = scene.surface, scene.paths, list(asked.optimizers)
    seen = wording.pictured(surface, paths, asked.steps)
    fell = wording.fallen(paths)
    ground = uri(pictures.ground(surface), "image/png")
    still, losses, moving = (data_uri(folder / f"{scene.name}{suffix}") for suffix in SUFFIXES)
    drawn = {
        "map": specs.map_of(surface, ground, names, rate, asked.steps, seen),
        "losses": specs.losses_of(paths, names, rate, asked.steps, fell),
        "paths": specs.entries(paths, shown),
    }
    return {
        "name": scene.name,
        "title": surface.title,
        "formula": surface.formula,
        "lesson": surface.lesson,
        "start": wording.place(surface.start),
        "minima": " and ".join(map(wording.place, surface.minima)),
        "seen": seen,
        "fell": fell,
        "still": still,
        "losses": losses,
        "moving": moving,
        "best": wording.rows(best_of(paths)),
        "all": wording.rows(paths),
        "charts": packed(drawn),
    }
