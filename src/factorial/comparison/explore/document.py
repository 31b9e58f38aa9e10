"""All that a page's script is told, as one document: settings, runs, curves, charts, evidence."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from factorial.comparison.explore import evidence, specs, tiles
from factorial.comparison.findings import Findings
from factorial.comparison.readings import NONE, Readings
from factorial.comparison.rows import span
from factorial.comparison.table import SEED
from factorial.comparison.wording import name, share

POINTS = 4000  # of all curves together: more are slow to draw
RUNS = 600  # that are drawn one by one, those of the best settings
DIGITS = 5  # significant, of what is drawn


class Beside(NamedTuple):
    """What a page has that its findings have not: where MLflow shows each run, by the run's id,
    the command that opens that page, and what the runs read of the images."""

    pages: Mapping[str, str] = {}
    command: str = ""
    readings: Readings = NONE


NOTHING = Beside()


def document(findings: Findings, beside: Beside) -> dict[str, Any]:
    """Plain JSON: no number is infinite, and none nan."""
    comparison = findings.comparison
    places = {label: place for place, label in enumerate(findings.board["label"])}
    runs = comparison.runs.assign(place=comparison.labels.map(places))
    runs = runs.sort_values("place", kind="stable").head(RUNS)
    addresses = list(dict.fromkeys(place_of(row, beside.pages) for row in runs["id"]))
    settings = [setting(findings, place, runs) for place in range(len(findings.board))]
    names = specs.called(findings)
    return {
        "measure": comparison.measure,
        "ranking": comparison.ranking.words,
        "things": "settings",
        "factors": [name(key) for key in comparison.settings],
        "settings": [one | {"name": names.of[one["label"]]} for one in settings],
        "addresses": addresses,
        "runs": [run(row, beside, addresses) for row in runs.to_dict("records")],
        "curves": curves(findings, runs["id"].tolist()),
        "cells": tiles.cells(findings),
        "charts": specs.charts(findings),
        "command": beside.command,
        "evidence": evidence.document(beside.readings, runs["id"].tolist()),
    }


def setting(findings: Findings, place: int, runs: pd.DataFrame) -> dict[str, Any]:
    """A row of the leaderboard; `run` is that of its best seed."""
    row, ranking = findings.board.iloc[place], findings.comparison.ranking
    mine = runs[runs["place"] == place]
    best = None if mine.empty else mine.loc[(ranking.sign * mine["score"]).idxmax(), "id"]
    interval = span(row["low"], row["high"])
    return {
        "s": place,
        "label": row["label"],
        "levels": [row[key] for key in findings.comparison.settings],
        "tie": bool(row["tie"]),
        "n": int(row["n"]),
        "told": f"{share(row['mean'])}{f' ({interval})' if interval else ''}, n = {row['n']}",
        "best": best,
        **{key: number(row[key]) for key in ("mean", "low", "high", "seconds", "parameters")},
    }


def place_of(identity: str, pages: Mapping[str, str]) -> str:
    """The address of a run's page without its id, which ends it."""
    return pages.get(identity, "").removesuffix(identity)


def run(row: Mapping[str, Any], beside: Beside, addresses: list[str]) -> dict[str, Any]:
    """`at` is the place of its address."""
    return {
        "s": row["place"],
        "run": row["id"],
        "seed": row[SEED],
        "score": number(row["score"]),
        "at": addresses.index(place_of(row["id"], beside.pages)),
    }


def curves(findings: Findings, runs: list[str]) -> list[dict[str, Any]]:
    """Each run's, thinned evenly where all together have too many points: their ends stay."""
    table = findings.comparison.curves
    metrics = {"loss": "train/loss", "score": f"validation/{findings.comparison.ranking.name}"}
    most = max(POINTS // max(len(runs), 1), 2)
    groups = dict(list(table.sort_values("epoch").groupby("id"))) if len(table) else {}
    made = []
    for place, identity in enumerate(runs):
        if identity in groups:
            rows = groups[identity]
            kept = np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)
            rows = rows.iloc[np.unique(kept)]
            values = {key: [number(v) for v in rows[column]] for key, column in metrics.items()}
            made.append({"r": place, "epoch": [int(e) for e in rows["epoch"]], **values})
    return made


def number(value: float) -> float | None:
    """With as many digits as a picture shows."""
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
