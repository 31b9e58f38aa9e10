"""The tables of a report: a list of rows, each a dict from column to text."""

import math

from factorial.comparison.findings import Findings
from factorial.comparison.scales import Scale
from factorial.comparison.table import SEED
from factorial.comparison.wording import duration, estimate, name, share, term, times

Rows = list[dict[str, str]]


def board(findings: Findings) -> Rows:
    """The leaderboard: `=` marks what the data can't tell from the best, `*` a Pareto front."""
    comparison, table = findings.comparison, findings.board
    rows = []
    for row in table.to_dict("records"):
        rank = "" if row["rank"] is None else str(row["rank"])
        cells = {"rank": f"{rank} =" if row["tie"] and findings.tied else rank}
        cells["tied"] = "" if row["tied"] is None else str(row["tied"])
        if table["blocked"].notna().any():
            cells["blocked"] = str(row["blocked"])
        cells |= {name(key): str(row[key]) for key in comparison.settings}
        cells["n"] = str(row["n"])
        cells[comparison.measure] = share(row["mean"])
        if table["n"].max() > 1:
            cells["95 % interval"] = span(row["low"], row["high"])
        if "binomial_low" in row:
            cells["binomial"] = span(row["binomial_low"], row["binomial_high"])
        for cost, written in (("seconds", duration), ("parameters", "{:,.0f}".format)):
            if table[cost].notna().any():
                star = " *" if row[f"front_{cost}"] else ""
                known = math.isfinite(row[cost])
                cells[cost] = f"{written(row[cost])}{star}" if known else ""
        rows.append(cells)
    return rows


def span(low: float, high: float) -> str:
    return f"{share(low)} to {share(high)}" if math.isfinite(low) else ""


def counts(findings: Findings) -> dict[str, int]:
    comparison = findings.comparison
    whole = {
        "run": len(comparison.runs),
        "setting": len(findings.board),
        "seed": comparison.runs[SEED].nunique(),
    }
    return {word if count == 1 else f"{word}s": count for word, count in whole.items()} | {
        "failed": len(comparison.failures),
        "missing": max(comparison.unrecorded, 0),
    }


def level_effects(findings: Findings) -> Rows:
    """Each level against its factor's first, as a difference and, where there is one, as a factor
    of the error."""
    rows = []
    errors = [] if findings.error is None else findings.error.levels["estimate"].tolist()
    for place, row in enumerate(findings.score.levels.itertuples()):
        cells = {"factor": name(row.factor), "level": row.level, "against": row.against}
        cells[findings.comparison.ranking.words] = estimate(row.estimate, sign=True)
        if errors:
            cells["error"] = times(errors[place])
        over = "1 setting" if row.over == 1 else f"{row.over} settings"
        rows.append(cells | {"averaged over": over})
    return rows


def squares(findings: Findings) -> Rows:
    """Two factors of two levels: alone, together, and what is beyond their sum."""
    if findings.score.square is None:
        return []
    first, second = findings.score.factors
    labels = (f"{name(first)} alone", f"{name(second)} alone", "both", "interaction")
    rows = []
    for place, (words, one) in enumerate(zip(labels, findings.score.square, strict=True)):
        cells = {"": words, findings.comparison.ranking.words: estimate(one, sign=True)}
        cells["within seeds"] = within_seeds(findings.score, place)
        if findings.error is not None and findings.error.square is not None:
            cells["error"] = times(findings.error.square[place])
        rows.append(cells)
    return rows


def within_seeds(scale: Scale, place: int) -> str:
    return "" if scale.checks is None else estimate(scale.checks[place], sign=True)


def variance(findings: Findings) -> Rows:
    """The analysis of variance, of an accuracy beside that of its log error."""
    error = findings.error
    log = None if error is None else error.analysis.table.set_index("term")["share"]
    rows = []
    for row in findings.score.analysis.table.itertuples():
        has = math.isfinite(row.low)
        rows.append(
            {
                "term": term(row.term),
                "df": str(row.df),
                "share": f"{row.share:.1%}",
                "95 % interval": f"{row.low:.1%} to {row.high:.1%}" if has else "",
                "F": f"{row.F:.4g}" if math.isfinite(row.F) else "",
                "p": p_value(row.p),
            }
        )
        if log is not None:
            rows[-1]["share, log error"] = f"{log[row.term]:.1%}" if row.term in log.index else ""
    return rows


def p_value(p: float) -> str:
    if not math.isfinite(p):
        return ""
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}"


def failures(findings: Findings) -> Rows:
    comparison = findings.comparison
    keys = [*comparison.settings, SEED]
    return [
        {**{name(key): levels[key] for key in keys}, "reason": str(levels["reason"])}
        for levels in comparison.failures.to_dict("records")
    ]


def missing(findings: Findings) -> Rows:
    rows = findings.comparison.missing.to_dict("records")
    return [{name(str(key)): str(level) for key, level in row.items()} for row in rows]
