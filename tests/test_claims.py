"""The pages say what claims.yaml says, and claims.yaml what is measured."""

import math
from pathlib import Path

import pytest
from processes import train
from running import children

from factorial.commands import claims
from factorial.commands.claims import MEASURES, Claim

PUBLISHED = {  # by a run of the article's own code: on unscaled pixels, on scaled ones
    "linear": {"test/accuracy_as_published": 0.902, "test/accuracy": 0.908},
    "mlp": {"test/accuracy_as_published": 0.977, "test/accuracy": 0.977},
}
CLAIM = Claim("article", "test accuracy", "mlp adam", 0.977, 0.975, 0.979, 3)


def test_the_pages_have_the_numbers_of_the_claims() -> None:
    for page, blocks in claims.pages(claims.read()[1]).items():
        text = page.read_text()
        assert claims.filled(text, blocks) == text
    assert "optimizer alone (adam) brings +0.0141 (+0.0127 to +0.0155)" in claims.README.read_text()
    assert "| 0.9756 (0.9731 to 0.9781) | 5 |" in claims.RESULTS.read_text()


def test_every_claim_has_a_measure_and_a_number() -> None:
    for claim in claims.read()[1]:
        assert claim.measure in MEASURES
        assert math.isfinite(claim.value)
        assert math.isnan(claim.low) or claim.low <= claim.value <= claim.high


def test_the_pictures_of_the_pages_are_there() -> None:
    assert "(docs/interactions.png)" in claims.README.read_text()
    for name in {name for names in claims.PICTURES.values() for name in names}:
        assert f"({name}.png)" in claims.RESULTS.read_text()
        assert (claims.ROOT / "docs" / f"{name}.png").is_file()


@pytest.mark.parametrize(
    ("here", "holds"),
    [
        (CLAIM, "to the digit"),
        (CLAIM._replace(value=0.9751), "within its interval"),
        (CLAIM._replace(value=0.9749), "NO"),
        (CLAIM._replace(n=2), "NO"),
    ],
)
def test_a_claim_holds_within_its_interval_over_as_many_runs(here: Claim, holds: str) -> None:
    assert claims.row(CLAIM, here)["holds"] == holds


@pytest.mark.slow
@pytest.mark.mnist
def test_the_articles_claims_and_its_published_numbers_hold_on_mnist(tmp_path: Path) -> None:
    """What was published within 0.005, for each of three seeds."""
    done = train(tmp_path, "only=article", command="claims", timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line for line in done.stdout.splitlines() if "to the digit" in line or "within" in line]
    assert len(rows) == 4
    runs = children(tmp_path)
    assert len(runs) == 6
    for model, expected in PUBLISHED.items():
        seeds = [run for run in runs if run.data.params["model"] == model]
        assert sorted(run.data.params["seed"] for run in seeds) == ["0", "1", "2"]
        for metric, accuracy in expected.items():
            for run in seeds:
                assert run.data.metrics[metric] == pytest.approx(accuracy, abs=0.005)


@pytest.mark.slow
def test_an_unknown_sweep_is_one_line(tmp_path: Path) -> None:
    done = train(tmp_path, "only=nothing", command="claims")
    assert done.returncode == 1
    assert done.stderr.startswith("error: only=nothing: allowed is one of article, factors")
