"""A search that a test has planted: its trials, and what is said of them."""

import json

from factorial.comparison import trials
from factorial.comparison.trials import Trials
from factorial.record.selection import Selection

Asked = tuple[float, str, dict[int, float]]
# rate, kind and accuracies by epoch of each trial, in order; none where it failed
ASKED: list[Asked] = [
    (0.001, "sgd", {3: 0.5}),
    (0.01, "adam", {3: 0.7, 9: 0.75}),
    (1.0, "adam", {}),
    (0.1, "adam", {3: 0.8, 9: 0.9}),
    (0.02, "sgd", {3: 0.6, 9: 0.7}),
    (0.05, "adam", {3: 0.85, 9: 0.875}),
    (0.2, "adam", {3: 0.9, 9: 0.95}),
]  # fmt: skip
SHARES = {"kind": 0.25, "rate": 0.75}


def made(asked: list[Asked] = ASKED) -> Trials:
    space = {"kind": {"choices": ["sgd", "adam"]},
             "rate": {"low": 0.001, "high": 1.0, "log": True, "step": None},
             "size": {"low": 100, "high": 300, "log": False, "step": 1}}  # fmt: skip
    states = {0: "FAIL", 1: "PRUNED", 2: "COMPLETE"}
    document = {
        "space": {key: json.dumps({"attributes": one}) for key, one in space.items()},
        "rungs": [3, 9], "seeds": [0], "sampler": "tpe", "confirm": "",
        "trials": [{"number": number, "state": states[len(values)], "reason": "", "values": values,
                    "params": {"kind": kind, "rate": rate, "size": 100 + 10 * number}}
                   for number, (rate, kind, values) in enumerate(asked)],
    }  # fmt: skip
    return trials.read(document, Selection("search x", "x", [], None, {}))
