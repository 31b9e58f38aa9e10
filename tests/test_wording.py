"""What a report says: its sentences from planted effects, and nothing where nothing is known."""

import itertools

from recorded import compared, planted, product

from factorial.comparison import findings, report, wording
from factorial.comparison.intervals import Estimate

SQUARE = product(model=["linear", "mlp"], optimizer=["sgd", "adam"], seed=[0, 1, 2])


def test_the_sentence_is_made_of_the_planted_effects() -> None:
    """Sgd to adam 0.02, linear to mlp 0.04, both 0.06, no interaction; seeds +-0.001."""
    brings = {"linear": 0, "mlp": 0.04, "sgd": 0, "adam": 0.02, 0: -0.001, 1: 0, 2: 0.001}
    runs = [{**run, "accuracy": 0.9 + sum(brings[level] for level in run.values())}
            for run in SQUARE]  # fmt: skip
    summary = wording.summary(findings.find(compared(runs)))
    assert summary[0].startswith(
        "Best by validation accuracy is mlp adam. Its test accuracy is 0.9570"
    )
    assert (
        "From linear with sgd (validation accuracy 0.9000), optimizer alone (adam) brings +0.0200 "
        "(+0.0177 to +0.0223), model alone (mlp) +0.0400 (+0.0377 to +0.0423), both together "
        "+0.0600 (+0.0577 to +0.0623), of which "
    ) in summary[1]  # 2.776 x 0.001 x sqrt(2 / 3) = 0.0023
    assert "is their interaction (n = 3 seeds a setting, 95 % intervals)" in summary[1]
    assert "optimizer alone x 0.8 (0.7" in summary[2]
    assert "model alone x 0.6 (0.5" in summary[2]


def test_one_seed_has_a_sentence_without_intervals() -> None:
    runs = planted(product(model=["linear", "mlp"], optimizer=["sgd", "adam"], seed=[0]))
    one = findings.find(compared(runs))
    text = " ".join(wording.summary(one))
    assert "(one seed: no intervals)" in text
    assert any("no interval over seeds" in note for note in one.notes)
    assert report.metrics(one)["score"]["low"] is None


def test_shares_of_nearly_nothing_are_counted_and_not_named() -> None:
    noise = itertools.cycle([1e-5, -2e-5, 1e-5, 0.0, 2e-5])
    runs = [{**run, "accuracy": 0.9 + 0.04 * (run["model"] == "mlp") + next(noise)}
            for run in SQUARE]  # fmt: skip
    sentence = wording.variance(findings.find(compared(runs)))
    assert sentence.startswith("Of the variance in validation accuracy: model 100.0% (")
    assert sentence.endswith("), 3 others below 0.1%.")  # optimizer, both, and seeds
    strong = wording.variance(findings.find(compared(planted(SQUARE))))
    assert "below" not in strong
    assert all(f"{term} " in strong for term in ("model", "optimizer", "seeds"))


def test_a_term_s_factors_are_called_as_elsewhere() -> None:
    grid = product(model=["linear", "mlp"], optimizer_lr=[0.01, 0.1], seed=[0, 1, 2])
    sentence = wording.variance(findings.find(compared(planted(grid))))
    assert "learning rate 1" in sentence and "optimizer.lr" not in sentence


def test_a_missing_test_accuracy_is_said_to_be() -> None:
    runs = [{**run, "test": float("nan")} for run in planted(SQUARE)]
    comparison = compared(runs)
    comparison.runs["test"] = float("nan")
    text = " ".join(wording.summary(findings.find(comparison)))
    assert "its test accuracy is not on record" in text
    assert "nan" not in text


def test_gradients_are_compared_within_each_runs_own_layers() -> None:
    grid = product(model_activation=["relu", "sigmoid"], seed=[0, 1])
    comparison = compared(planted(grid))
    shallow = comparison.curves["id"].isin(["0", "1"])
    comparison.curves.loc[shallow, "layer 3"] = float("nan")
    sentence = wording.vanishing(findings.find(comparison))
    assert sentence.endswith("at the end: sigmoid 0.0667, relu 0.5.")


def test_an_estimate_without_an_interval_says_the_value_alone() -> None:
    nan = float("nan")
    assert wording.estimate(Estimate(0.97, nan, nan, 1)) == "0.9700"
    assert wording.estimate(Estimate(0.01, 0.005, 0.015, 3), sign=True) == (
        "+0.0100 (+0.0050 to +0.0150)"
    )
