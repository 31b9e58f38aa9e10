"""What the figures of a search show is said in words, of its numbers."""

import re
from pathlib import Path

from tried import SHARES, made

from factorial.comparison import search
from factorial.comparison.search_alt import text
from factorial.comparison.trials import Trials


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
    words = (folder / "report.md").read_text()
    assert dict(re.findall(r"!\[[^:]*: (.*)\]\((\w+)\.png\)", words)) == {
        text: name for name, text in texts.items()
    }
