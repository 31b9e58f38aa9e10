"""The charts that one plays with, as Vega-Lite's specs: a map of the surface, and the losses.

Both draw the data set `paths`, of which each entry is a whole path, and obey three params: `step`,
`rate` (a word that chooses learning rates) and `chosen` (the optimizers to be shown).
"""

from collections.abc import Sequence
from typing import Any

from factorial.comparison.figures import style
from factorial.motion.paths import Path
from factorial.motion.pictures import loss_range
from factorial.motion.surface import Surface, Window

Spec = dict[str, Any]

# matplotlib's dashes as Vega's, and its markers as paths within a square from -1 to 1
DASHES = {"-": (1, 0), "--": (4, 2), "-.": (4, 2, 1, 2), ":": (1, 2)}
SHAPES = {
    "o": "M1,0A1,1,0,1,1,-1,0A1,1,0,1,1,1,0Z",
    "s": "M-.9,-.9L.9,-.9L.9,.9L-.9,.9Z",
    "^": "M0,-1L1,.9L-1,.9Z",
    "D": "M0,-1.2L1.2,0L0,1.2L-1.2,0Z",
    "v": "M0,1L1,-.9L-1,-.9Z",
    "P": "M-.4,-1L.4,-1L.4,-.4L1,-.4L1,.4L.4,.4L.4,1L-.4,1L-.4,.4L-1,.4L-1,-.4L-.4,-.4Z",
    "X": "M-1,-.5L-.5,-1L0,-.5L.5,-1L1,-.5L.5,0L1,.5L.5,1L0,.5L-.5,1L-1,.5L-.5,0Z",
}
STAR = "M0,-1L.24,-.31L.95,-.31L.38,.12L.59,.81L0,.4L-.59,.81L-.38,.12L-.95,-.31L-.24,-.31Z"
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
ON = "indexof(datum.choices, rate) >= 0 && indexof(chosen, datum.optimizer) >= 0"
UNROLLED: list[Spec] = [{"filter": ON}, {"flatten": ["step", "x", "y", "loss"]}]
SO_FAR: Spec = {"filter": "datum.step <= step"}
NOW: Spec = {"filter": "datum.step == step || (datum.step == datum.last && datum.last < step)"}
TOOLTIP: list[Spec] = [
    {"field": "optimizer", "type": "nominal"},
    {"field": "lr", "type": "nominal", "title": "learning rate"},
    {"field": "step", "type": "quantitative"},
]


def look(number: int) -> dict[str, Any]:
    """Colour, dashes and shape of the optimizer of that number, as in the figures."""
    drawn = style.look(number)
    dashes = drawn["linestyle"]
    lengths = DASHES[dashes] if isinstance(dashes, str) else dashes[1]
    return {
        "color": drawn["color"],
        "dash": [2 * length for length in lengths],
        "shape": SHAPES[drawn["marker"]],
    }


def entries(paths: Sequence[Path], shown: Sequence[int]) -> list[Spec]:
    """Each path as one entry of the data set, at the steps that are shown and at its last."""
    return [
        {
            "optimizer": path.optimizer,
            "lr": f"{path.lr:g}",
            "choices": list(path.choices),
            "last": path.last,
            "left": path.left,
            "diverged": path.diverged,
            "step": (steps := sorted({step for step in shown if step < path.last} | {path.last})),
            "x": short(path.positions[steps, 0].tolist()),
            "y": short(path.positions[steps, 1].tolist()),
            "loss": short(path.losses[steps].tolist()),
        }
        for path in paths
    ]


def short(values: Sequence[float]) -> list[float]:
    """To four significant digits, as what is under the pointer is said."""
    return [float(f"{value:.4g}") for value in values]


def params(names: Sequence[str], rate: str, steps: int) -> list[Spec]:
    return [
        {"name": "step", "value": steps},
        {"name": "rate", "value": rate},
        {"name": "chosen", "value": list(names)},
    ]


def whole(description: str, params: list[Spec], layer: list[Spec]) -> Spec:
    """A chart as large as the element that it is put into."""
    return {
        "$schema": SCHEMA,
        "description": description,
        "width": "container",
        "height": "container",
        "autosize": {"type": "fit", "contains": "padding"},
        "padding": {"left": 5, "top": 5, "right": 16, "bottom": 5},  # half a word
        "params": params,
        "data": {"name": "paths"},
        "layer": layer,
        "resolve": {"scale": {"shape": "independent"}},  # of optimizers, and of places
    }


def by_name(names: Sequence[str], what: str) -> Spec:
    """Colours, dashes or shapes of optimizers. The page itself has the legend."""
    looks = [look(number)[what] for number in range(len(names))]
    scale = {"domain": list(names), "range": looks}
    return {"field": "optimizer", "type": "nominal", "legend": None, "scale": scale}


def trails(x: Spec, y: Spec, names: Sequence[str], transform: list[Spec]) -> Spec:
    return {
        "transform": transform,
        "mark": {"type": "line", "strokeWidth": 2, "clip": True},
        "encoding": {
            "x": x,
            "y": y,
            "color": by_name(names, "color"),
            "strokeDash": by_name(names, "dash"),
            "order": {"field": "step", "type": "quantitative"},
        },
    }


def felt(x: Spec, y: Spec, transform: list[Spec], tooltip: list[Spec]) -> Spec:
    """Points that are not to be seen, and that say what is under the pointer."""
    return {
        "transform": transform,
        "mark": {"type": "point", "filled": True, "size": 160, "opacity": 0, "clip": True},
        "encoding": {"x": x, "y": y, "tooltip": tooltip},
    }


def markers(
    x: Spec, y: Spec, names: Sequence[str], transform: list[Spec], tooltip: list[Spec]
) -> Spec:
    """Where each optimizer is now."""
    return {
        "transform": transform,
        "mark": {
            "type": "point",
            "filled": True,
            "size": 110,
            "opacity": 1,
            "clip": True,
            "stroke": "white",
            "strokeWidth": 1,
        },
        "encoding": {
            "x": x,
            "y": y,
            "fill": by_name(names, "color"),
            "shape": by_name(names, "shape"),
            "tooltip": tooltip,
        },
    }


def map_of(
    surface: Surface, ground: str, names: Sequence[str], rate: str, steps: int, seen: str
) -> Spec:
    """Trails and markers over the ground, a picture as a data URI."""
    window = surface.window
    x = axis("x", surface.axes[0], [window.left, window.right])
    y = axis("y", surface.axes[1], [window.bottom, window.top])
    tooltip = [
        *TOOLTIP,
        {"field": "x", "type": "quantitative", "title": surface.axes[0], "format": ".4g"},
        {"field": "y", "type": "quantitative", "title": surface.axes[1], "format": ".4g"},
        {"field": "loss", "type": "quantitative", "format": ".3g"},
    ]
    layer = [
        picture(ground, x, y, window),
        trails(x, y, names, [*UNROLLED, SO_FAR]),
        places(surface, x, y),
        felt(x, y, [*UNROLLED, SO_FAR], tooltip),
        markers(x, y, names, [*UNROLLED, NOW], tooltip),
    ]
    return whole(seen, params(names, rate, steps), layer)


def axis(field: str, title: str, domain: list[float]) -> Spec:
    scale = {"domain": domain, "nice": False, "zero": False}
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "scale": scale,
        "axis": {"grid": False, "labelFlush": False, "labelSeparation": 5},  # or words would touch
    }


def picture(ground: str, x: Spec, y: Spec, window: Window) -> Spec:
    """From edge to edge of the window."""

    def placed(spec: Spec, at: float) -> Spec:
        return {key: value for key, value in spec.items() if key != "field"} | {"datum": at}

    return {
        "data": {"values": [{}]},
        "mark": {"type": "image", "url": ground, "aspect": False},
        "encoding": {
            "x": placed(x, window.left),
            "x2": {"datum": window.right},
            "y": placed(y, window.bottom),
            "y2": {"datum": window.top},
        },
    }


def places(surface: Surface, x: Spec, y: Spec) -> Spec:
    """The starts, rings, and the minima, stars."""
    values = [{"x": x, "y": y, "place": "start"} for x, y in surface.starts]
    values += [{"x": x, "y": y, "place": "minimum"} for x, y in surface.minima]
    shape = {"domain": ["start", "minimum"], "range": [SHAPES["o"], STAR]}
    return {
        "data": {"values": values},
        "mark": {
            "type": "point",
            "size": 150,
            "opacity": 1,
            "fill": "white",
            "stroke": "#111111",
            "strokeWidth": 1.2,
        },
        "encoding": {
            "x": x,
            "y": y,
            "shape": {"field": "place", "type": "nominal", "legend": None, "scale": shape},
            "tooltip": [{"field": "place", "type": "nominal"}],
        },
    }


NOW_HERE: Spec = {  # a rule, on the chart of losses, at the step of the map
    "data": {"values": [{}]},
    "mark": {"type": "rule", "strokeDash": [3, 3], "color": style.GREY},
    "encoding": {"x": {"datum": {"expr": "step"}, "type": "quantitative"}},
}


def losses_of(
    paths: Sequence[Path], names: Sequence[str], rate: str, steps: int, seen: str
) -> Spec:
    """Loss above the minimum against steps, and a rule where the map is now."""
    x = axis("step", "step", [0, steps])
    y = axis("loss", "loss above the minimum, log scale", list(loss_range(paths)))
    y["scale"] |= {"type": "log", "clamp": True}
    y["scale"].pop("zero")
    y["axis"] = {"grid": True, "format": ".0e", "tickCount": 6}
    tooltip = [*TOOLTIP, {"field": "loss", "type": "quantitative", "format": ".3g"}]
    layer = [
        NOW_HERE,
        trails(x, y, names, UNROLLED),
        felt(x, y, UNROLLED, tooltip),
        markers(x, y, names, [*UNROLLED, NOW], tooltip),
    ]
    return whole(seen, params(names, rate, steps), layer)
