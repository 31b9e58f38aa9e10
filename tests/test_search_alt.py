"""What the figures of a search show is said in words, of its numbers."""

import json
import re
from pathlib import Path

from factorial.comparison import search, trials
from factorial.comparison.search_alt import text
from factorial.comparison.trials import Trials
from factorial.record.selection import Selection

# rate, kind and accuracies by epoch of each trial, in order; none where it failed
ASKED = [
    (0.001, "sgd", {3: 0.5}),
    (0.01, "adam", {3: 0.7, 9: 0.75}),
    (1.0, "adam", {}),
    (0.1, "adam", {3: 0.8, 9: 0.9}),
    (0.02, "sgd", {3: 0.6, 9: 0.7}),
    (0.05, "adam", {3: 0.85, 9: 0.875}),
    (0.2, "adam", {3: 0.9, 9: 0.95}),
]  # fmt: skip
SHARES = {"kind": 0.25, "rate": 0.75}


def made() -> Trials:
    space = {"kind": {"choices": ["sgd", "adam"]},
             "rate": {"low": 0.001, "high": 1.0, "log": True, "step": None},
             "size": {"low": 100, "high": 300, "log": False, "step": 1}}  # fmt: skip
    states = {0: "FAIL", 1: "PRUNED", 2: "COMPLETE"}
    document = {
        "space": {key: json.dumps({"attributes": one}) for key, one in space.items()},
        "rungs": [3, 9], "seeds": [0], "sampler": "tpe", "confirm": "",
        "trials": [{"number": number, "state": states[len(values)], "reason": "", "values": values,
                    "params": {"kind": kind, "rate": rate, "size": 100 + 10 * number}}
                   for number, (rate, kind, values) in enumerate(ASKED)],
    }  # fmt: skip
    return trials.read(document, Selection("search x", "x", [], None, {}))


def test_each_figure_is_said_in_its_own_words() -> None:
    said = {name: text(name, made(), SHARES) for name, *_ in search.PICTURES}
    assert said == {
        "history": "best so far 0.7500 at trial 1, then 0.9000 at trial 3, then 0.9500 at trial 6"
        "; 1 pruned; 1 failed",
        "rungs": "6 trials reached epoch 3, the best 0.9000; 5 trials reached epoch 9, "
        "the best 0.9500",
        "importances": "kind 25.0%; rate 75.0%",
        "parallel": "best: trial 6, 0.9500, with kind=adam, rate=0.2 and size=160; "
        "worst: trial 0, 0.5000, with kind=sgd, rate=0.001 and size=100",
        "contour": "highest, 0.9000, at rate=0.2 and size=160; lowest, 0.5000, at rate=0.001 and "
        "size=100",
        "slices": "rate: the best quarter at 0.1 to 0.2; kind: the best quarter at adam; "
        "size: the best quarter at 130 to 160",
    }


def test_of_many_steps_the_first_two_and_the_last_are_said() -> None:
    one = made()
    rising = one.table.head(1).loc[[0] * 5].reset_index(drop=True)
    rising = rising.assign(number=range(5), state="COMPLETE", value=[0.1, 0.2, 0.3, 0.4, 0.5])
    words = text("history", Trials(**{**vars(one), "table": rising}), SHARES)
    assert words == "best so far 0.1000 at trial 0, then 0.2000 at trial 1, then 0.5000 at trial 4"


def test_a_page_has_the_words_of_each_figure(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    search.write(made(), SHARES, [], folder)
    page = (folder / "index.html").read_text()
    texts = dict(re.findall(r'<figure id="(\w+)">.*?alt="[^":]*: ([^"]*)"', page, re.DOTALL))
    assert len(texts) == len(set(texts.values())) == 6
    assert texts == {name: text(name, made(), SHARES) for name in texts}
