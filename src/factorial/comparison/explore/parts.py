"""What the charts' specs have in common: the page's signals, and what they do to a mark."""

from typing import Any

Spec = dict[str, Any]
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
# the places of the settings that are chosen, and what each is drawn in
PARAMS: list[Spec] = [{"name": "chosen", "value": []}, {"name": "colors", "value": {}}]
ANY, CHOSEN = "length(chosen) == 0", "indexof(chosen, datum.s) >= 0"


def dimmed(least: float) -> Spec:
    """How opaque a mark is: hardly where others are chosen."""
    return {"condition": {"test": f"{ANY} || {CHOSEN}", "value": 1}, "value": least}


LINK: Spec = {"field": "url", "type": "nominal"}  # a run's page
