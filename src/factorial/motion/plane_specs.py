"""The charts of runs in their plane, as Vega-Lite's specs: they obey the same params as others."""

from collections.abc import Sequence

from factorial.comparison.figures import style
from factorial.motion import specs
from factorial.motion.specs import SO_FAR, Spec
from factorial.motion.surface import Surface
from factorial.motion.trajectory import Track

RATE = "run"  # the only word for a learning rate: each run's own
FIELDS = ["step", "next", "epoch", "x", "y", "loss"]
UNROLLED: list[Spec] = [{"filter": specs.ON}, {"flatten": FIELDS}]
NOW: Spec = {"filter": "datum.step <= step && step < datum.next"}
PLAIN = 1e5  # 20,000,000,000, of weights that diverged, would take the plane's room: 2e+10
NEVER = 10**9  # the step after the last
TOOLTIP: list[Spec] = [
    {"field": "optimizer", "type": "nominal", "title": "run"},
    {"field": "run", "type": "nominal", "title": "id"},
    {"field": "epoch", "type": "quantitative", "format": ".4~g"},
]
LOSS: Spec = {"field": "loss", "type": "quantitative", "format": ".4g"}
LOSS_OF = "loss on training images, log scale"


def entries(tracks: Sequence[Track]) -> list[Spec]:
    """Each run as one entry of the data set, with all of its snapshots."""
    return [
        {
            "optimizer": track.optimizer,
            "run": track.run,
            "choices": [RATE],
            "left": None,
            "step": track.steps,
            "next": [*track.steps[1:], NEVER],
            "epoch": specs.short(track.epochs),
            "x": specs.short(track.positions[:, 0].tolist()),
            "y": specs.short(track.positions[:, 1].tolist()),
            "loss": specs.short(track.losses.tolist()),
        }
        for track in tracks
    ]


def tooltip(unit: str, axes: Sequence[str] = ()) -> list[Spec]:
    """On the map, of which the axes' names are given, with the position."""
    batch = {"field": "step", "type": "quantitative", "title": "batches", "format": ","}
    places = [
        {"field": field, "type": "quantitative", "title": name, "format": ".3g"}
        for field, name in zip("xy", axes, strict=False)
    ]
    return [*TOOLTIP, *([batch] if unit == "batch" else []), *places, LOSS]


def map_of(surface: Surface, ground: str, names: Sequence[str], steps: int, seen: str) -> Spec:
    """Trails and markers over the ground, a picture as a data URI."""
    window = surface.window
    x = specs.axis("x", surface.axes[0], [window.left, window.right])
    y = specs.axis("y", surface.axes[1], [window.bottom, window.top])
    said = tooltip(surface.unit, surface.axes)
    for axis in (x, y):
        if max(map(abs, axis["scale"]["domain"])) > PLAIN:
            axis["axis"]["format"] = "~g"
    layer = [
        specs.picture(ground, x, y, window),
        specs.trails(x, y, names, [*UNROLLED, SO_FAR]),
        specs.places(surface, x, y),
        specs.felt(x, y, [*UNROLLED, SO_FAR], said),
        specs.markers(x, y, names, [*UNROLLED, NOW], said),
    ]
    return specs.whole(seen, specs.params(names, RATE, steps), layer)


def losses_of(
    span: tuple[float, float], names: Sequence[str], unit: str, steps: int, fell: str
) -> Spec:
    """Loss against epochs or batches, and a rule where the map is now."""
    x = specs.axis("step", unit, [0, steps])
    x["axis"] |= {"format": "d", "values": style.whole_numbers(0, steps)}
    y = specs.axis("loss", LOSS_OF, list(span))
    y["scale"] = {"domain": list(span), "nice": False, "type": "log", "clamp": True}
    y["axis"] = {"grid": True, "format": ".1~g", "tickCount": 6}
    said = tooltip(unit)
    layer = [
        specs.NOW_HERE,
        specs.trails(x, y, names, UNROLLED),
        specs.felt(x, y, UNROLLED, said),
        specs.markers(x, y, names, [*UNROLLED, NOW], said),
    ]
    return specs.whole(fell, specs.params(names, RATE, steps), layer)
