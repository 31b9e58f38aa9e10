"""How a report opens: title, a verdict of three sentences, and what is said of its figures."""

import itertools
import math
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from recorded import compared, planted, product
from scipy import stats

from factorial.comparison import alt, findings, opening, report, rows, wording
from factorial.comparison.figures import style
from factorial.comparison.findings import Findings
from factorial.comparison.ranking import Ranking
from factorial.record.predictions import Predictions

SQUARE = product(model=["linear", "mlp"], optimizer=["sgd", "adam"], seed=[0, 1, 2])
LOSS = Ranking("loss", higher=False)


def of(accuracies: dict[str, list[float]], ranking: Ranking | None = None) -> Findings:
    """An optimizer's accuracies, a seed each."""
    runs = [
        {"optimizer": name, "seed": seed, "accuracy": value}
        for name, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    return findings.find(compared(runs, ranking) if ranking else compared(runs))


def test_a_title_says_the_factors_the_data_and_the_date() -> None:
    made = findings.find(compared(planted(SQUARE)))
    noon = datetime(2026, 11, 26, 12).timestamp() * 1000
    comparison = replace(made.comparison, runs=made.comparison.runs.assign(touched=noon),
                         shared={"data": "digits"})  # fmt: skip
    assert opening.title(replace(made, comparison=comparison)) == (
        "Model and optimizer on digits, 2026-11-26"
    )
    named = replace(comparison, name="widths")
    assert opening.title(replace(made, comparison=named)) == (
        "widths: model and optimizer on digits, 2026-11-26"
    )


@pytest.mark.slow
def test_a_title_names_data_that_vary_and_counts_factors_beyond_the_third() -> None:
    levels = product(model=["a", "b"], data=["digits", "mnist"], optimizer=["a", "b"],
                     optimizer_lr=[1, 2], epochs=[1, 2], precision=[1, 2], seed=[0])  # fmt: skip
    title = opening.title(findings.find(compared(planted(levels))))
    words = "Model, optimizer, learning rate and 2 more on digits and mnist, "
    assert title.startswith(words)
    four = product(model=["a", "b"], optimizer=["a", "b"], epochs=[1, 2], precision=[1, 2],
                   seed=[0])  # fmt: skip
    title = opening.title(findings.find(compared(planted(four))))
    assert title.startswith("Model, optimizer, epochs and precision, ")


def test_a_title_has_the_day_on_which_a_run_was_last_touched() -> None:
    made = findings.find(compared(planted(SQUARE)))
    days = [datetime(2026, 11, day, 12).timestamp() * 1000 for day in range(1, 13)]
    comparison = replace(made.comparison, runs=made.comparison.runs.assign(touched=days))
    assert opening.title(replace(made, comparison=comparison)).endswith(", 2026-11-12")


@pytest.mark.slow
def test_a_verdict_has_three_sentences_whatever_was_compared() -> None:
    several = [
        of({"sgd": [0.90, 0.91, 0.92], "adam": [0.95, 0.96, 0.97], "radam": [0.80, 0.81, 0.82]}),
        of({"sgd": [0.90, 0.91], "adam": [0.90, 0.91]}),
        of({"sgd": [0.90], "adam": [0.95]}),
        of({"sgd": [0.90]}),
        of({"sgd": [2.0, 2.1], "adam": [1.0, 1.1]}, LOSS),
        of({"sgd": [2.0], "adam": [1.0]}, LOSS),
        findings.find(compared(planted(SQUARE))),
        findings.find(compared([*planted(SQUARE), {"model": "x", "optimizer": "y", "seed": 0,
                                                   "accuracy": 0.99}])),
    ]  # fmt: skip
    for made, chance in itertools.product(several, (None, 0.1, 1.0)):
        said = opening.verdict(made, chance)
        assert len(said) == 3
        for sentence in said:
            assert sentence.endswith(".") and ". " not in sentence, sentence
            assert sentence[0].isupper() or sentence.startswith(str(made.winner["label"]))
            assert "nan" not in sentence.lower() and "inf" not in sentence


def test_the_winner_is_better_than_the_next_by_a_difference_with_its_interval() -> None:
    """Of two settings Games and Howell's test is Student's, with the smaller group's freedom."""
    low, high = [0.901, 0.905, 0.903], [0.951, 0.950, 0.955]
    half = stats.t.ppf(0.975, 2) * math.sqrt((np.var(low, ddof=1) + np.var(high, ddof=1)) / 3)
    by = np.mean(high) - np.mean(low)
    first = opening.verdict(of({"sgd": low, "adam": high}), None)[0]
    assert first.startswith("adam wins: with a validation accuracy of 0.9520 (")
    assert f"it is {by:.4f} ({by - half:.4f} to {by + half:.4f}) better than the next, sgd" in first
    assert "more than chance gives, and no setting ties with it" in first


def test_a_tie_is_said_to_be_one_with_the_first_that_is_none() -> None:
    made = of({"adam": [0.951, 0.950, 0.952], "sgd": [0.950, 0.952, 0.949],
               "radam": [0.801, 0.800, 0.802]})  # fmt: skip
    first = opening.verdict(made, None)[0]
    assert first.startswith("adam comes first with a validation accuracy of 0.9510 (")
    assert ", but another setting ties with it: the next, sgd, is 0.0007 (-0.0" in first
    assert "behind, which may be chance; the best that is told apart, radam, is 0.1500 (" in first
    every = opening.verdict(of({"a": [0.9, 0.92], "b": [0.91, 0.92]}), None)[0]
    assert every.startswith("No setting wins: b comes first with ")
    assert ", but all 2 tie: the next, a, is 0.0050 (" in every


def test_what_the_sentence_says_of_ties_is_what_the_board_says() -> None:
    """The interval of a lead is beyond nothing for exactly those that are no tie."""
    noise = np.random.default_rng(1)
    made = of({f"o{k}": list(noise.normal(0.9 - 0.002 * k, 0.001, 4)) for k in range(12)})
    ahead = opening.leads(made)
    told = [ahead(row).low > 0 for row in made.board.to_dict("records")]
    assert told == (~made.board["tie"]).tolist()
    assert 0 < sum(told) < 11


def test_what_has_no_rank_is_not_the_next() -> None:
    """A single seed, however good, can't be told from others."""
    made = of({"sgd": [0.90, 0.91, 0.92], "adam": [0.950, 0.951, 0.952], "radam": [0.951]})
    assert made.winner["label"] == "adam"
    assert "better than the next, sgd, " in opening.verdict(made, None)[0]


def test_what_is_cheaper_and_ties_is_named_before_what_is_cheaper_still() -> None:
    made = of({"adam": [0.950, 0.951, 0.952], "sgd": [0.949, 0.951, 0.950],
               "radam": [0.80, 0.81, 0.82]})  # fmt: skip
    times = {"adam": 3.0, "sgd": 2.0, "radam": 1.0}
    board = made.board.assign(seconds=made.board["label"].map(times))
    timed = replace(made, board=board)
    assert opening.costs(timed, opening.leads(timed)) == (
        "A run of adam takes 3.0 s, the fastest that ties with it, sgd, 2.0 s"
    )
    alike = replace(made, board=board.assign(seconds=3.0))
    assert opening.costs(alike, opening.leads(alike)).endswith("and no setting takes less")


def test_a_winner_at_chance_is_none() -> None:
    made = of({"a": [0.10, 0.11], "b": [0.10, 0.12]})
    assert opening.verdict(made, 0.11)[0].startswith(
        "No setting wins: even b, the highest by validation accuracy, does no better on the test"
    )


def test_a_lower_loss_is_the_better_one() -> None:
    first, _, third = opening.verdict(of({"sgd": [2.0, 2.1, 2.2], "adam": [1.0, 1.1, 1.2]}, LOSS),
                                      None)  # fmt: skip
    assert first.startswith("adam wins: with a validation loss of 1.1000 (")
    assert "it is 1.0000 (" in first
    assert "accuracy" not in first + third


def test_what_explains_the_differences_is_named_in_the_order_of_its_share() -> None:
    """Model 0.04 and optimizer 0.02 alone: 16 parts to 4; nothing together."""
    brings = {"linear": 0, "mlp": 0.04, "sgd": 0, "adam": 0.02, 0: -0.0001, 1: 0, 2: 0.0001}
    runs = [{**run, "accuracy": 0.9 + sum(brings[level] for level in run.values())}
            for run in SQUARE]  # fmt: skip
    assert opening.verdict(findings.find(compared(runs)), None)[1] == (
        "Most of the variance in validation accuracy comes from model (80%), then optimizer (20%)."
    )
    assert opening.plain("model x optimizer.lr") == "model and learning rate acting together"
    one = opening.verdict(of({"sgd": [0.9]}), None)[1]
    assert one.startswith("What explains the differences can't be told: ")


def test_what_it_costs_names_what_is_cheaper_and_what_seeds_cannot_tell() -> None:
    made = findings.find(compared(planted(SQUARE)))
    third = opening.verdict(made, None)[2]
    assert third.startswith(
        "A run of mlp adam takes 1.0 s, the fastest, linear adam, 0.50 s and is 0.0"
    )
    least = findings.least_difference(made.comparison)
    assert f"a difference below about {least:.4f}, from 3 seeds a setting, and what an" in third
    wild = of({"sgd": [0.1, 0.9], "adam": [0.2, 0.8], "nadam": [0.3, 0.7]})
    third = opening.verdict(wild, None)[2]
    assert "; what can't be told is most differences, from 2 seeds a setting, and what" in third
    assert "too few for most pairs, however far these are apart." in wording.method(wild)
    assert "a difference of" not in wording.method(wild)
    single = opening.verdict(of({"sgd": [0.90], "adam": [0.95]}), None)[2]
    assert "what other seeds would give, for there is one a setting" in single


def test_a_figure_is_described_by_what_is_to_be_seen_on_it() -> None:
    made = findings.find(compared(planted(SQUARE)))
    best, last = made.board.iloc[0], made.board.iloc[-1]
    number = "{:.4f} ({:.4f} to {:.4f})".format(*best[["mean", "low", "high"]])
    assert alt.leaderboard(made) == (
        f"mlp adam first with {number}, no tie; last is linear sgd with {last['mean']:.4f}"
    )
    means = made.comparison.runs.groupby("model")["score"].mean()
    assert f"of model mlp is best with {means['mlp']:.4f} and linear" in alt.interactions(made)
    assert alt.learning(made).endswith(
        "and training loss from 2 after epoch 1 to 0.4 after epoch 5"
    )
    assert alt.gradients(made) == "mlp adam ends with a norm of 0.02 in layer 1 and 0.3 in layer 3"
    assert alt.shares(made).startswith("model ")
    assert alt.charts(made) == (  # gaps grow by 0.001 a run, and an MLP takes twice as long
        f"error is least in {best['label']} ({1 - best['mean']:.3g}) and most in {last['label']} "
        f"({1 - last['mean']:.3g}); "
        "held-out less training loss is least in linear sgd (0.021) and most in mlp adam (0.03); "
        "time is least in linear adam (0.5) and most in mlp adam (1)"
    )
    cost = alt.cost(made)
    assert cost.startswith(f"mlp adam reaches {best['mean']:.4f} with 1.0 s and 269,322 parameters")
    linear = made.board[made.board["model"] == "linear"].iloc[0]
    assert f"{linear['label']}, the cheapest with 0.50 s, reaches {linear['mean']:.4f}" in cost


def test_of_many_the_first_five_are_said_and_how_many_more_there_are() -> None:
    assert alt.some(list("abcde")) == "a; b; c; d; e"
    assert alt.some(list("abcdefg")) == "a; b; c; d; e; 2 more"


@pytest.mark.slow
def test_every_figure_that_is_drawn_is_described_with_its_winner() -> None:
    grid = product(optimizer=["sgd", "adam"], optimizer_lr=[0.1, 0.01], epochs=[1, 2], seed=[0, 1])
    made = findings.find(compared(planted(grid)))
    with style.style():
        for picture in report.PICTURES:
            if picture.draw(made):
                said = alt.text(picture.name, made, None)
                assert len(said) > 20 and "nan" not in said, picture.name
    assert alt.sensitivity(made).startswith("adam is best at 0.01 with ")


def test_a_confusion_is_described_by_its_most_frequent_one() -> None:
    labels = np.array([0, 0, 1, 1, 2, 2], dtype=np.uint8)
    predicted = np.array([0, 2, 2, 2, 2, 2], dtype=np.uint8)
    seen = Predictions(labels, predicted, np.ones(6, np.float32), np.array([2, 1]),
                       np.zeros((2, 8, 8), np.uint8))  # fmt: skip
    made = of({"sgd": [0.9], "adam": [0.95]})
    assert alt.text("confusion", made, seen) == (
        "3 of 6 test images misread, most often 1 as 2 (2 times)"
    )
    assert alt.text("hardest", made, seen) == "2 misread test images; the worst is a 1 read as 2"
    right = seen._replace(predicted=labels)
    assert alt.text("confusion", made, right) == "no test image is misread"


@pytest.mark.parametrize(
    ("value", "words"), [(0.031, "0.031 s"), (0.5, "0.50 s"), (1.0, "1.0 s"), (4000.0, "4,000.0 s")]
)
def test_short_times_keep_two_digits(value: float, words: str) -> None:
    assert opening.seconds(value) == words


def test_what_takes_little_time_has_two_digits_on_the_board_too() -> None:
    made = of({"sgd": [0.9, 0.91], "adam": [0.95, 0.96]})
    made.board["seconds"] = [0.031, 4.26]
    assert [row["seconds"].split()[0] for row in rows.board(made)] == ["0.031", "4.3"]


def test_a_level_tells_over_how_many_settings_it_was_averaged() -> None:
    one = findings.find(compared(planted(product(model=["linear", "mlp"], seed=[0, 1]))))
    two = product(model=["linear", "mlp"], optimizer=["sgd", "adam"], seed=[0, 1])
    for grid, words in ((one, "1 setting"), (findings.find(compared(planted(two))), "2 settings")):
        assert {row["averaged over"] for row in rows.level_effects(grid)} == {words}
