"""The map one switches: a cell for each setting, coloured by one of several scores."""

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from factorial.comparison import scales
from factorial.comparison.explore.parts import (
    CHOSEN,
    LETTER,
    MARK,
    PARAMS,
    SCHEMA,
    SILENT,
    Spec,
    dimmed,
)
from factorial.comparison.figures import clipping, naming, plan, style
from factorial.comparison.figures.naming import Names
from factorial.comparison.figures.plan import Grid
from factorial.comparison.findings import Findings
from factorial.comparison.table import label
from factorial.comparison.wording import name

MOST = 24  # panels
CELL = (50, 26)  # pixels, at least
DARK = 0.55  # shades below it have white letters
FAILED = "failed"


class Score(NamedTuple):
    """What a cell may show: its name on the page, and how its number is written."""

    words: str
    form: str


ACCURACY = {"error": Score("log error (log10 of the share misread)", ".2f")}
ALWAYS = {
    "gap": Score("gap: held-out less training loss (nats)", ".3g"),
    "seconds": Score("training time of a run (s)", ".3g"),
}


def scores(findings: Findings) -> dict[str, Score]:
    of = findings.comparison.ranking
    first = {"score": Score(findings.comparison.measure, ".4f")}
    return first | (ACCURACY if of.is_accuracy else {}) | ALWAYS


def values(findings: Findings) -> pd.DataFrame:
    """Each score's mean over a setting's runs: a row for each place on the board."""
    comparison = findings.comparison
    places = {label: place for place, label in enumerate(findings.board["label"])}
    runs = comparison.runs.assign(place=comparison.labels.map(places))
    if comparison.ranking.is_accuracy:
        runs["error"] = scales.log_error(comparison)
    return runs.groupby("place")[[*scores(findings)]].mean()


def shades(table: pd.DataFrame) -> pd.DataFrame:
    """Each column from 0 to 1: a score by the ratios of its error where it has one, time by ratios;
    what is beyond the middle 95 % of the cells has the shade at that end, and a gap of what
    diverged is none that shades of the others are measured by."""
    scaled = table.copy()
    if "error" in table:
        scaled["score"] = -table["error"]
    scaled["seconds"] = np.log(table["seconds"].clip(lower=1e-9))
    gap = table["gap"].dropna()
    scaled["gap"] = table["gap"].clip(-clipping.fence(-gap), clipping.fence(gap))
    low, high = scaled.quantile(0.025), scaled.quantile(0.975)
    wide = (high - low).where(high > low, 1.0)
    return ((scaled - low) / wide).clip(0, 1).fillna(0.0)


def cells(findings: Findings) -> list[dict[str, Any]]:
    """Those of the best panels; nothing where fewer than two factors vary."""
    grid = plan.grid(findings)
    if grid is None:
        return []
    where, table = located(findings, grid), values(findings)
    known, shade, made = panels(where), shades(table), []
    for place, cell in enumerate(where.to_dict("records")):
        if cell["panel"] in known:
            if place < len(table):
                made.append({"s": place, **cell})
                for key, score in scores(findings).items():
                    made[-1][f"text_{key}"] = format(table.loc[place, key], score.form)
                    made[-1][f"shade_{key}"] = round(float(shade.loc[place, key]), 3)
            else:
                made.append({"s": -1, "failed": True, **cell})
    return made


def located(findings: Findings, grid: Grid) -> pd.DataFrame:
    """Row, column and panel of each setting on the board, then of those that failed with all their
    runs."""
    both = recorded(findings)
    row, column = axes(grid)
    return pd.DataFrame({
        "row": both[grid.rows].map(row),
        "column": both[grid.columns].map(column),
        "panel": label(both, grid.others).map(called(both, grid.others).of) if grid.others else "",
    })  # fmt: skip


def axes(grid: Grid) -> list[dict[str, str]]:
    """What each level is called along the rows, and along the columns."""
    return [dict(zip(levels, naming.fitted(levels, naming.SHORT), strict=True))
            for levels in grid.levels]  # fmt: skip


def recorded(findings: Findings) -> pd.DataFrame:
    """The settings on the board, then those that failed with all their runs."""
    keys = findings.comparison.settings
    both = pd.concat([findings.board[keys], findings.comparison.failures[keys]])
    return both.drop_duplicates(ignore_index=True)


def called(rows: pd.DataFrame, others: list[str]) -> Names:
    """The panels, as shortly as tells each from the others, and what they have in common."""
    panels = rows[others].assign(panel=label(rows, others))
    return naming.names(panels.drop_duplicates("panel"), others, sys.maxsize, by="panel")


def sizes(rows: Sequence[str], columns: Sequence[str], grid: Grid, longest: int) -> tuple[int, int]:
    """Width and height of a cell, in pixels: it has room for so many letters, and a panel is as
    long as the names of its axes."""
    wide, high = (LETTER * len(name(key)) // len(levels) + 1
                  for key, levels in ((grid.columns, columns), (grid.rows, rows)))  # fmt: skip
    return max(CELL[0], wide, LETTER * longest), max(CELL[1], high)


def longest(findings: Findings) -> int:
    """Letters of the longest number in a cell, whatever score it shows."""
    table = values(findings)
    return max(len(format(one, score.form))
               for key, score in scores(findings).items() for one in table[key])  # fmt: skip


def note(findings: Findings, grid: Grid, left: int) -> str:
    """What the panels have in common, and how many settings are in those that are left out."""
    common = called(recorded(findings), grid.others).common if grid.others else ""
    said = [f"all with {common}"] if common else []
    if left:
        said.append(f"{left} settings are in panels that are left out")
    return "; ".join(said)


def panels(where: pd.DataFrame) -> list[str]:
    """By their best cell, the best first."""
    return list(dict.fromkeys(where["panel"]))[:MOST]


def spec(findings: Findings) -> Spec | None:
    grid = plan.grid(findings)
    if grid is None:
        return None
    where = located(findings, grid)
    order = panels(where)
    rows, columns = ([*words.values()] for words in axes(grid))
    width, height = sizes(rows, columns, grid, longest(findings))
    title = ["setting", *(score.words for score in scores(findings).values()), "run"]
    fields = ["label", *(f"text_{key}" for key in scores(findings)), "run"]
    said = [{"field": one, "title": two} for one, two in zip(fields, title, strict=True)]
    said.insert(1, {"field": "told", "title": f"{findings.comparison.measure}, interval"})
    common: Spec = {
        "x": {"field": "column", "type": "nominal", "sort": columns, "title": name(grid.columns),
              "axis": {"labelAngle": -35, "labelLimit": 0}},
        "y": {"field": "row", "type": "nominal", "sort": rows, "title": name(grid.rows),
              "axis": {"labelLimit": 0}},
        "opacity": dimmed(0.25),
        "tooltip": said,
        **MARK,
    }  # fmt: skip
    layers = [
        {"mark": {"type": "rect", "strokeWidth": 3},
         "encoding": common | {
             "color": {"condition": {"test": "datum.failed", "value": "transparent"},
                       "field": "shade", "type": "quantitative", "legend": None,
                       "scale": {"scheme": style.MAP, "domain": [0, 1]}},
             "stroke": {"field": "ring", "type": "nominal", "scale": None}}},
        {"mark": {"type": "text", "fontSize": 11, **SILENT},
         "encoding": common | {
             "text": {"field": "text", "type": "nominal"},
             "color": {"condition": [{"test": "datum.failed", "value": style.GREY},
                                     {"test": f"datum.shade < {DARK}", "value": "white"}],
                       "value": "black"}}},
    ]  # fmt: skip
    more = int((~where["panel"].isin(order)).sum())
    return {
        "$schema": SCHEMA,
        "description": f"{name(grid.rows)} against {name(grid.columns)}, a cell for each setting, "
        f"coloured by the score that is chosen",
        "usermeta": {
            "figure": "map",
            "scores": [[key, score.words] for key, score in scores(findings).items()],
            "note": note(findings, grid, more),
            "panel": max(width * len(columns) + 90, LETTER * max(map(len, order)) + 20),
        },
        "params": [*PARAMS, {"name": "score", "value": "score"}],
        "data": {"name": "cells"},
        "transform": [
            {"calculate": f"datum.failed ? '{FAILED}' : datum['text_' + score]", "as": "text"},
            {"calculate": "datum['shade_' + score]", "as": "shade"},
            {"calculate": f"{CHOSEN} ? colors[datum.s] : null", "as": "ring"},
        ],
        "facet": {"field": "panel", "type": "nominal", "title": None, "sort": order,
                  "header": {"labelLimit": 0, "labelAnchor": "start"}},
        "columns": 1,
        "spec": {"width": {"step": width}, "height": {"step": height}, "layer": layers},
    }  # fmt: skip
