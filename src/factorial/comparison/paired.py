"""The winner beside the settings that come next, on the same images: what a report says of them."""

from factorial.comparison.findings import Findings
from factorial.comparison.readings import Readings
from factorial.comparison.rows import Rows, p_value
from factorial.comparison.wording import estimate

NEXT = 5  # settings


def rows(findings: Findings, readings: Readings) -> Rows:
    """One for each of the next settings that has a seed with the winner's images in common."""
    winner = int(findings.winner.name)
    made = []
    for place in [place for place in range(len(findings.board)) if place != winner][:NEXT]:
        found = readings.pair(winner, place)
        if found is not None:
            pair = found[1]
            made.append(
                {
                    "setting": str(findings.board["label"][place]),
                    "seeds": str(len(pair.seeds)),
                    "the winner's accuracy less its": estimate(pair.difference, sign=True),
                    "images the winner alone reads": str(pair.images.first),
                    "it alone": str(pair.images.other),
                    "McNemar's p": p_value(pair.images.p),
                    "of each seed": ", ".join(p_value(one.p) for one in pair.each),
                }
            )
    return made


def note(findings: Findings, readings: Readings) -> str:
    """What the numbers are of, and what they leave open."""
    chose = ", which chose the winner" if readings.images == "test" else ""
    missing = f" {readings.missing} runs have no predictions on record." if readings.missing else ""
    return (
        f"{findings.winner['label']} and the settings next to it, on the same {readings.images} "
        f"images{chose}, by the seeds that both have. The interval holds for other seeds and other "
        f"images (crossed random effects, Hillis, 2007); of one seed for other images alone. A "
        f"setting reads an image where more than half of its runs do; McNemar's exact test takes "
        f"the runs as they are, and its p is not corrected for how many there are.{missing}"
    )
