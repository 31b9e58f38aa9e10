"""What the charts' specs have in common: the page's signals, what they do to a mark, words."""

import textwrap
from typing import Any

Spec = dict[str, Any]
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
# the places of the settings that are chosen, and what each is drawn in
PARAMS: list[Spec] = [{"name": "chosen", "value": []}, {"name": "colors", "value": {}}]
ANY, CHOSEN = "length(chosen) == 0", "indexof(chosen, datum.s) >= 0"


def dimmed(least: float) -> Spec:
    """How opaque a mark is: hardly where others are chosen."""
    return {"condition": {"test": f"{ANY} || {CHOSEN}", "value": 1}, "value": least}


# Where a mark leads to, its run's page, and what it says to who sees no chart
MARK: Spec = {
    "href": {"field": "url", "type": "nominal"},
    "description": {"field": "said", "type": "nominal"},
}
SILENT = {"aria": False}  # of a mark that says what another one says
# Words stand below their ticks, be they the first or the last, and clear of the next ones
AXIS: Spec = {"labelFlush": False, "labelSeparation": 5}
LETTER = 7  # pixels of a chart's words: less than that wide, and their lines are not cut
LINE = 50  # characters of a line above a chart: a wider one leaves the chart no room on a phone
COLOR: Spec = {"field": "color", "type": "nominal", "scale": None}


def chart(figure: str, words: str, *said: str, **more: Any) -> Spec:
    """With what all have in common; `figure` is the drawn one that it stands for on a screen,
    `said` stands above it."""
    lines = [line.removeprefix("; ") for line in said if line]
    return {
        "$schema": SCHEMA,
        "description": "; ".join([words, *lines]),
        **heading(lines),
        "usermeta": {"figure": figure},
        "params": PARAMS,
        "width": "container",
        **more,
    }


def heading(lines: list[str]) -> Spec:
    short = [part for line in lines for part in textwrap.wrap(line, LINE)]
    title = {"text": short, "anchor": "start", "fontSize": 12, "fontWeight": "normal"}
    return {"title": title} if lines else {}


def tooltip(measure: str, *more: Spec) -> list[Spec]:
    return [
        {"field": "label", "title": "setting"},
        {"field": "told", "title": measure},
        *more,
        {"field": "run", "title": "run"},
    ]
