"""Measure the numbers of docs/results.md again, as claims.yaml has them, and check them."""

import math
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from factorial import console
from factorial.comparison import intervals, report, wording
from factorial.comparison.figures import style
from factorial.comparison.findings import Findings, find
from factorial.comparison.intervals import Estimate, Square
from factorial.comparison.table import load
from factorial.record import selection
from factorial.record.store import Store, look_into
from factorial.settings import words
from factorial.settings.messages import BadInput
from factorial.settings.places import CHECKOUT
from factorial.settings.schema import Tracking

ROOT = CHECKOUT or Path()
FILE, README, RESULTS = ROOT / "claims.yaml", ROOT / "README.md", ROOT / "docs" / "results.md"
HEADLINE = "factors"  # the sweep whose sentence the README has
PICTURES = {
    "factors": ["interactions"],
    "lr_epochs": ["map", "charts"],
    "activation": ["gradients"],
}
EFFECTS = ("model alone", "optimizer alone", "both together", "interaction")
RANKED_BY = "validation/accuracy"
DIGITS = 6  # significant ones of a claim
CLOSE = 0.05  # relative: where a claim has no interval


class Sweep(NamedTuple):
    """What is typed to train it; one that takes an hour is measured where it is named alone."""

    words: str
    is_long: bool


class Claim(NamedTuple):
    """`measure` of `of` in a sweep: a value with its 95 % interval from n runs, or seeds."""

    sweep: str
    measure: str
    of: str
    value: float
    low: float
    high: float
    n: int

    @property
    def estimate(self) -> Estimate:
        return Estimate(self.value, self.low, self.high, self.n)


def main(typed: Sequence[str]) -> None:
    """Raises BadInput, and SystemExit(1) where a claim does not hold."""
    settings = words.read("claims", typed)
    if CHECKOUT is None:
        raise BadInput("claims.yaml is not here: allowed is a checkout of the repository")
    sweeps, claims = read()
    if settings["only"] is not None and settings["only"] not in sweeps:
        raise BadInput(f"only={settings['only']}: allowed is one of {', '.join(sweeps)}")
    usual = [name for name, sweep in sweeps.items() if not sweep.is_long]
    chosen = [settings["only"]] if settings["only"] else usual
    for name in chosen:
        train(sweeps[name].words, settings["outputs"])
    store = look_into(Tracking("local", None, "", None, None), settings["outputs"])
    of_sweeps = {name: newest(store, name) for name in chosen}
    measured = [
        claim._replace(**MEASURES[claim.measure](of_sweeps[claim.sweep], claim.of)._asdict())
        for claim in claims
        if claim.sweep in chosen
    ]
    rows = [row(*pair) for pair in zip([c for c in claims if c.sweep in chosen], measured,
                                       strict=True)]  # fmt: skip
    console.show_rows(rows)
    if settings["write"]:
        write(sweeps, [*measured, *(claim for claim in claims if claim.sweep not in chosen)])
        draw(of_sweeps)
    elif any(row["holds"] == "NO" for row in rows):
        raise SystemExit(1)


def read() -> tuple[dict[str, Sweep], list[Claim]]:
    """The sweeps, and the claims."""
    document = yaml.safe_load(FILE.read_text())
    claims = [
        Claim(sweep, measure, of, known(value), known(low), known(high), n)
        for sweep, part in document.items()
        for measure, claimed in part["claims"].items()
        for of, (value, low, high, n) in claimed.items()
    ]
    return {name: Sweep(part["words"], part["long"]) for name, part in document.items()}, claims


def known(value: float | None) -> float:
    return math.nan if value is None else value


def train(words: str, outputs: str) -> None:
    """Bring a sweep to its end; what is on record is not trained again. Raises BadInput."""
    command = [sys.executable, "train.py", "-m", *words.split(), f"outputs={outputs}"]
    done = subprocess.run([*command, "report=false"], cwd=ROOT, check=False)
    if done.returncode:
        raise BadInput(f"{words}: this sweep did not end well, so its claims can't be checked")


def newest(store: Store, experiment: str) -> Findings:
    """What the newest sweep in an experiment found."""
    sweeps = selection.within(store, experiment)
    return find(load(store, selection.of_sweep(sweeps, None), RANKED_BY))


def of_setting(column: str) -> Callable[[Findings, str], Estimate]:
    def measure(findings: Findings, of: str) -> Estimate:
        runs = findings.comparison.runs[findings.comparison.labels == of]
        return intervals.mean_share(runs[column].to_numpy(dtype=float))

    return measure


def effect(findings: Findings, of: str) -> Estimate:
    assert findings.score.square is not None
    return findings.score.square[EFFECTS.index(of)]


def of_level(findings: Findings, of: str) -> Estimate:
    """`FACTOR: LEVEL`, against the factor's first level."""
    factor, _, level = of.partition(": ")
    table = findings.score.levels
    (row,) = table[(table["factor"] == factor) & (table["level"] == level)].itertuples()
    estimate: Estimate = row.estimate
    return estimate


def variance(findings: Findings, of: str) -> Estimate:
    table = findings.score.analysis.table.set_index("term").loc[of]
    return Estimate(table["share"], table["low"], table["high"], len(findings.comparison.runs))


def gradient(findings: Findings, of: str) -> Estimate:
    runs = findings.comparison.runs.set_index("id")
    ratios = wording.left_of_the_gradient(findings.comparison)
    return intervals.mean(ratios[runs[wording.ACTIVATION] == of].to_numpy(dtype=float))


MEASURES: Mapping[str, Callable[[Findings, str], Estimate]] = {
    "validation accuracy": of_setting("score"),
    "test accuracy": of_setting("test"),
    "test accuracy, unscaled pixels": of_setting("published"),
    "effect on validation accuracy": effect,
    "level's effect on validation accuracy": of_level,
    "share of the variance": variance,
    "first layer's gradient / last layer's": gradient,
}


def row(claim: Claim, here: Claim) -> dict[str, str]:
    """A claim holds where what is measured here lies within its interval, over as many runs.

    One without an interval holds within 5 %.
    """
    same = rounded(here.value) == rounded(claim.value)
    known = math.isfinite(claim.low)
    inside = (
        claim.low <= here.value <= claim.high
        if known
        else math.isclose(here.value, claim.value, rel_tol=CLOSE)
    )
    holds = here.n == claim.n and (same or inside)
    return {
        "sweep": claim.sweep,
        "measure": claim.measure,
        "of": claim.of,
        "claimed": wording.estimate(claim.estimate),
        "here": wording.estimate(here.estimate),
        "holds": ("to the digit" if same else "within its interval" if known else "within 5 %")
        if holds
        else "NO",
    }


def rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def write(sweeps: Mapping[str, Sweep], claims: Sequence[Claim]) -> None:
    """claims.yaml, and the pages between their markers."""
    document: dict[str, Any] = {
        name: {"words": sweep.words, "long": sweep.is_long, "claims": {}}
        for name, sweep in sweeps.items()
    }
    for claim in claims:
        numbers = [rounded(x) if math.isfinite(x) else None for x in claim.estimate[:3]]
        part = document[claim.sweep]["claims"].setdefault(claim.measure, {})
        part[claim.of] = [*numbers, claim.n]
    head = "# Made by `factorial claims write=true`: [value, 95 % interval from, to, n]\n"
    text = yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=100)
    FILE.write_text(head + text)
    for page, blocks in pages(read()[1]).items():
        page.write_text(filled(page.read_text(), blocks))


def pages(claims: Sequence[Claim]) -> dict[Path, dict[str, str]]:
    """What stands between the markers of each page: in results.md a table for each sweep."""
    of_sweeps: dict[str, list[Claim]] = {}
    for claim in claims:
        of_sweeps.setdefault(claim.sweep, []).append(claim)
    results = {name: sentence(own) + table(own) for name, own in of_sweeps.items()}
    return {README: {"headline": sentence(of_sweeps[HEADLINE]).rstrip()}, RESULTS: results}


def filled(text: str, blocks: Mapping[str, str]) -> str:
    """A page with these blocks, each between `<!-- name -->` and `<!-- /name -->`."""
    for name, block in blocks.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        assert start in text and end in text, f"a page has no place for {name}"
        head, _, rest = text.partition(start)
        text = f"{head}{start}{block}\n{end}{rest.partition(end)[2]}"
    return text


def sentence(claims: Sequence[Claim]) -> str:
    """What each factor alone brings, in words, where effects are claimed."""
    brought = {claim.of: claim for claim in claims if claim.measure.startswith("effect")}
    if not brought:
        return ""
    base = next(claim for claim in claims if claim.measure == "validation accuracy")
    square = Square(*(brought[name].estimate for name in EFFECTS))
    words = wording.brings(("model", "mlp"), ("optimizer", "adam"), square)
    return (
        f"From {base.of} (validation accuracy {wording.share(base.value)}), {words} "
        f"(n = {base.n} seeds a setting, 95 % intervals).\n\n"
    )


def table(claims: Sequence[Claim]) -> str:
    rows = [f"| {c.measure} | {c.of} | {wording.estimate(c.estimate)} | {c.n} |" for c in claims]
    return "\n".join(
        ["| measure | of | value (95 % interval) | n |", "| --- | --- | --- | --- |", *rows]
    )


def draw(of_sweeps: Mapping[str, Findings]) -> None:
    """The pictures of both pages."""
    with style.style():
        for picture in report.PICTURES:
            for name, findings in of_sweeps.items():
                if picture.name in PICTURES.get(name, ()) and (made := picture.draw(findings)):
                    made.savefig(ROOT / "docs" / f"{picture.name}.png", dpi=110)
