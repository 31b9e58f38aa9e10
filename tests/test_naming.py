"""Labels of figures: what differs is shown, what all share is said once, no two are alike."""

import itertools

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from recorded import compared, planted, product

from factorial.comparison import findings
from factorial.comparison.figures import leaderboard, maps, naming, sensitivity
from factorial.comparison.table import label

HIDDEN = ["[512,512,256,256,128,128,64,64,32,16]", "[512,512,256,256,128,128,64,64,32,32]"]


@pytest.mark.parametrize(
    ("levels", "shown"),
    [
        (["sgd", "adam"], ["sgd", "adam"]),
        (HIDDEN, ["…56,128,128,64,64,32,16…", "…56,128,128,64,64,32,32…"]),
        (["x" * 40 + "a" + "y" * 40, "x" * 40 + "b" + "y" * 40], ["…" + "x" * 21 + "a…",
         "…" + "x" * 21 + "b…"]),
        (["x" * 60, "sgd"], ["x" * 10 + "…" + "x" * 10, "sgd"]),
        (["a" + "x" * 60 + "b", "a" + "x" * 50 + "b"], ["a" + "x" * 22 + "…", ""]),
    ],
)  # fmt: skip
def test_a_long_level_is_cut_where_it_is_like_the_others(
    levels: list[str], shown: list[str]
) -> None:
    if "" in shown:  # one is the other with more of the same in it: lengths alone differ
        assert len(set(naming.fitted(levels, 24))) == 2
    else:
        assert naming.fitted(levels, 24) == shown


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("ab,", max_size=40), min_size=1, max_size=12), st.integers(8, 30))
def test_levels_that_differ_never_read_alike_and_all_fit(levels: list[str], widest: int) -> None:
    shown = naming.fitted(levels, widest)
    for (one, said), (other, beside) in itertools.combinations(zip(levels, shown, strict=True), 2):
        assert (one == other) == (said == beside)
    number = len(": ") + len(str(len(levels)))
    assert max(map(len, shown)) <= widest + number


def test_what_all_shown_settings_share_is_said_once() -> None:
    """Words of the whole labels, less those that are in each of them."""
    grid = product(model=["mlp"], optimizer=["sgd", "adam"], optimizer_lr=[0.1, 0.01],
                   epochs=[5], model_hidden=HIDDEN)  # fmt: skip
    rows = pd.DataFrame(grid).astype(str)
    settings = list(rows)
    whole = [set(one.split()) for one in label(rows, settings)]
    shared = set.intersection(*whole)
    made = naming.names(rows.assign(label=label(rows, settings)), settings)
    assert set(made.common.split()) == shared == {"mlp", "epochs=5"}
    assert len(set(made.of.values())) == len(rows)
    for one, words in zip(whole, made.of.values(), strict=True):
        kept = set(words.split())
        assert {word for word in kept if "…" not in word} == {
            word for word in one - shared if "hidden" not in word
        }
        assert all(len(line) <= naming.WIDEST for line in words.splitlines())


BASE = {"schedule": "one_cycle", "ema": "0.995", "dropout": "0.05", "lr": "0.02", "model": "cnn"}
ELSE = [{"ema": "None"}, {}, {"dropout": "0"}, {"schedule": "constant", "lr": "0.001"}]


def test_where_one_thing_is_changed_at_a_time_a_name_is_what_was_changed() -> None:
    rows = pd.DataFrame([{**BASE, **changed} for changed in ELSE]).assign(label=[*"abcd"])
    made = naming.names(rows, [*BASE])
    assert made.of == {"a": "ema=None", "b": "base", "c": "dropout=0", "d": "constant lr=0.001"}
    assert made.common == "one_cycle ema=0.995 dropout=0.05 lr=0.02 cnn unless said otherwise"


@pytest.mark.parametrize(
    "rows",
    [
        [BASE, {key: f"not {level}" for key, level in BASE.items()}],  # each level has half of them
        [{**BASE, **changed} for changed in ELSE[:3]],  # two settings vary: names are short
        [{**BASE, **changed, "seed_of": str(n)} for n, changed in enumerate(ELSE)],
    ],
)  # fmt: skip
def test_otherwise_a_name_has_every_level_that_varies(rows: list[dict[str, str]]) -> None:
    table = pd.DataFrame(rows).assign(label=[*"abcd"][: len(rows)])
    varying = [key for key in rows[0] if len({row[key] for row in rows}) > 1]
    made = naming.names(table, [*rows[0]])
    for name, row in zip(made.of.values(), rows, strict=True):
        assert all(row[key] in name for key in varying)
    assert "otherwise" not in made.common


def test_a_single_setting_keeps_its_whole_label() -> None:
    rows = pd.DataFrame(product(model=["mlp"], epochs=[5])).astype(str).assign(label="it")
    assert naming.names(rows, ["model", "epochs"]) == ({"it": "mlp epochs=5"}, "")
    assert naming.names(rows, []).of == {"it": "all runs"}


def test_names_know_how_many_lines_the_longest_has() -> None:
    rows = pd.DataFrame(product(optimizer=["sgd", "adam"], epochs=[5, 10])).astype(str)
    rows["label"] = [*"abcd"]
    assert naming.names(rows, ["optimizer", "epochs"]).lines == 1
    assert naming.names(rows, ["optimizer", "epochs"], widest=9).lines == 2


def test_what_none_of_them_has_is_not_what_all_have() -> None:
    rows = pd.DataFrame({"model": ["a", "b"], "hidden": ["-", "-"], "epochs": ["5", "5"],
                         "label": ["a", "b"]})  # fmt: skip
    assert naming.names(rows, ["model", "hidden", "epochs"]).common == "epochs=5"


def test_the_winner_is_among_the_leaders_whatever_its_mean() -> None:
    """It has seeds; what is luckier has one each, and no rank."""
    runs = [{"optimizer": f"o{number}", "seed": 0, "accuracy": 0.95} for number in range(5)]
    runs += [{"optimizer": "z", "seed": seed, "accuracy": 0.9 + 0.01 * seed} for seed in (0, 1)]
    made = findings.find(compared(runs))
    assert made.winner["label"] == "z" == made.board["label"].iloc[-1]
    shown = naming.leaders(made, 3)["label"].tolist()
    assert shown == ["o0", "o1", "z"]
    assert naming.leaders(made, 6)["label"].tolist() == made.board["label"].tolist()


def test_a_class_is_called_by_what_tells_it_apart_among_those_that_are_shown() -> None:
    """Both are called Net; one of them alone is among the best."""
    grid = product(model__target_=["mine.Net", "theirs.Net"], optimizer_lr=range(1, 50))
    runs = [{**run, "seed": seed, "accuracy": 0.9 + 0.001 * seed - (of == "theirs.Net") * 0.5}
            for run in grid for of in [run["model._target_"]] for seed in (0, 1)]  # fmt: skip
    made = findings.find(compared(runs))
    drawn = leaderboard.leaderboard(made)
    assert made.winner["label"].startswith("mine.Net")
    assert drawn.axes[0].get_title(loc="left").endswith("\nall with mine.Net")


LONG = product(model_hidden=HIDDEN, optimizer_lr=[0.1, 0.01], epochs=[5, 10], seed=[0, 1])


def test_two_settings_that_differ_in_the_middle_of_their_names_read_differently() -> None:
    made = findings.find(compared(planted(LONG)))
    ticks = [text.get_text() for text in leaderboard.leaderboard(made).axes[0].get_yticklabels()]
    assert len(ticks) == len(set(ticks)) == 8
    for draw in (maps.thematic, maps.charts, sensitivity.sensitivity):
        titles = shown_titles(draw(made))
        assert len(titles) == len(set(titles)), draw


def shown_titles(drawn: Figure | None) -> list[str]:
    assert drawn is not None
    return [axes.get_title() for axes in drawn.axes if axes.get_visible() and axes.get_title()]


def test_figures_say_in_their_captions_what_all_have() -> None:
    grid = product(model=["linear", "mlp"], optimizer_lr=range(1, 50), seed=[0, 1])
    runs = [{**run, "accuracy": 0.7 + 0.2 * (run["model"] == "mlp") + 0.001 * run["seed"]}
            for run in grid]  # fmt: skip
    drawn = leaderboard.leaderboard(findings.find(compared(runs)))
    assert drawn.axes[0].get_title(loc="left").endswith("\nall with mlp")
    assert not any("mlp" in text.get_text() for text in drawn.axes[0].get_yticklabels())
