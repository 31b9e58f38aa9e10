"""Metrics beside loss and accuracy: scikit-learn's values, of every epoch, whatever trains."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from composing import CPU, configured, digits, put
from running import artifacts, bring, client, recorded, sweep
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    top_k_accuracy_score,
)
from torch import Tensor

from factorial.record import predictions, reading
from factorial.record.store import Store
from factorial.results import Epoch, Evaluation
from factorial.reuse import replay
from factorial.settings import words
from factorial.settings.messages import BadInput
from factorial.settings.recipe import Recipe, identify
from factorial.settings.schema import Config
from factorial.training import measuring, metrics, rehearsal, sizes, trainer

ALL = ["balanced_accuracy", "macro_f1", "top_k_accuracy", "calibration_error"]
LINEAR = ["model=linear", "optimizer=adam", "optimizer.lr=0.01"]
BRIER = """\
def brier(logits, labels, scale=1):
    shares = logits.softmax(1)
    shares[range(len(labels)), labels] -= 1
    return scale * (shares**2).sum(1).mean()
"""


def drawn(seed: int, n: int = 200, classes: int = 6, absent: int = 0) -> tuple[Tensor, Tensor]:
    """Logits that know something, and labels, of which the last `absent` classes have none."""
    draws = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes - absent, (n,), generator=draws)
    logits = torch.randn(n, classes, generator=draws) + 1.5 * F.one_hot(labels, classes)
    return logits, labels


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("absent", [0, 2])
@pytest.mark.filterwarnings("ignore:y_pred contains classes")
def test_metrics_are_those_of_scikit_learn(seed: int, absent: int) -> None:
    logits, labels = drawn(seed, absent=absent)
    true, predicted = labels.numpy(), logits.argmax(1).numpy()
    assert metrics.balanced_accuracy(logits, labels) == pytest.approx(
        balanced_accuracy_score(true, predicted), abs=1e-12
    )
    assert metrics.macro_f1(logits, labels) == pytest.approx(
        f1_score(true, predicted, average="macro"), abs=1e-12
    )
    for k in (1, 2, 5):
        assert metrics.top_k_accuracy(logits, labels, k) == pytest.approx(
            top_k_accuracy_score(true, logits.numpy(), k=k, labels=range(6)), abs=1e-12
        )


def test_classes_that_are_nowhere_count_in_no_mean() -> None:
    """Two examples of class 0, one read as class 1: recall 1/2; F1 2/3 and 0."""
    logits, labels = torch.tensor([[9.0, 0, 0], [0, 9.0, 0]]), torch.tensor([0, 0])
    assert metrics.balanced_accuracy(logits, labels) == 1 / 2
    assert metrics.macro_f1(logits, labels) == pytest.approx((2 / 3 + 0) / 2)


def test_the_first_of_the_highest_is_accuracy_ties_and_all() -> None:
    logits, labels = drawn(0)
    logits = logits.round()
    assert len(logits.unique(dim=1)[0]) and (logits.sort(1)[0].diff(dim=1) == 0).any()
    wanted = accuracy_score(labels.numpy(), logits.argmax(1).numpy())
    assert metrics.top_k_accuracy(logits, labels, 1) == pytest.approx(wanted, abs=1e-15)
    assert metrics.top_k_accuracy(torch.zeros(4, 3), torch.tensor([0, 1, 2, 1]), 2) == 3 / 4
    assert metrics.top_k_accuracy(logits, labels, 6) == 1


@pytest.mark.parametrize("bins", [1, 7, 15])
@pytest.mark.parametrize("seed", range(3))
def test_the_calibration_error_is_that_of_guo_et_al_written_as_loops(seed: int, bins: int) -> None:
    logits, labels = drawn(seed)
    shares = logits.double().softmax(1).tolist()
    error = 0.0
    for m in range(bins):
        inside = [(max(row), row.index(max(row)) == label)
                  for row, label in zip(shares, labels.tolist(), strict=True)
                  if m / bins < max(row) <= (m + 1) / bins]  # fmt: skip
        if inside:
            confidence = sum(share for share, _ in inside) / len(inside)
            accuracy = sum(right for _, right in inside) / len(inside)
            error += len(inside) / len(labels) * abs(accuracy - confidence)
    assert metrics.calibration_error(logits, labels, bins) == pytest.approx(error, abs=1e-12)


def test_who_is_sure_and_right_is_calibrated_and_who_is_sure_and_wrong_is_not() -> None:
    sure = torch.tensor([[99.0, 0.0]] * 4)
    assert metrics.calibration_error(sure, torch.tensor([0, 0, 0, 0]), 15) == 0
    assert metrics.calibration_error(sure, torch.tensor([1, 1, 1, 1]), 15) == 1
    assert metrics.calibration_error(torch.zeros(4, 2), torch.tensor([0, 1, 0, 1]), 15) == 0
    assert math.isnan(metrics.calibration_error(sure * math.nan, torch.zeros(4).long(), 15))


def trained(config: Config, epochs: int = 2) -> tuple[trainer.State, list[Epoch]]:
    state, config = trainer.start(config, CPU), put(config, "epochs.count", epochs)
    return state, list(trainer.epochs(state, digits(config), config))


def test_every_epoch_and_the_test_set_are_measured_and_nothing_where_nothing_is_asked() -> None:
    config = configured(*LINEAR, "metrics=[macro_f1,top_k_accuracy]", "metrics.top_k_accuracy.k=2")
    state, rows = trained(config)
    splits = digits(config)
    for row in rows:
        assert row.validation and list(row.validation.metrics) == ["macro_f1", "top_k_accuracy"]
    logits = trainer.predict(state.model, splits.validation, "float32").numpy()
    last, true = rows[-1].validation, splits.validation.labels.numpy()
    assert last
    assert last.metrics == pytest.approx(
        {"macro_f1": f1_score(true, logits.argmax(1), average="macro"),
         "top_k_accuracy": top_k_accuracy_score(true, logits, k=2)}
    )  # fmt: skip
    closing, logits = trainer.final(state.model, splits.test, config)
    assert list(closing) == [
        "test/loss", "test/accuracy", "test/macro_f1", "test/top_k_accuracy", "parameters",
    ]  # fmt: skip
    read, labels = logits.argmax(1).numpy(), splits.test.labels.numpy()
    assert closing["test/macro_f1"] == pytest.approx(f1_score(labels, read, average="macro"))
    assert trained(configured(*LINEAR))[1][0].validation.metrics == {}  # type: ignore[union-attr]


def spoiling(logits: Tensor, labels: Tensor) -> float:
    """Draws, and changes what it was given."""
    draw = torch.rand(()).item()
    logits.zero_()
    labels.zero_()
    return draw


def of_gradients(logits: Tensor, labels: Tensor) -> Tensor:
    logits.requires_grad_()
    F.cross_entropy(logits, labels).backward()
    assert logits.grad is not None
    return logits.grad.norm()


def own(name: str, *words: str, under: str = "mine") -> Config:
    node = f"+metrics.{under}"
    given = [f"{node}._target_=test_metrics.{name}", f"{node}.higher_is_better=true"]
    return configured(*LINEAR, "allow=[test_metrics]", *given, *words)


@pytest.mark.slow
def test_what_a_function_does_changes_neither_training_nor_the_others() -> None:
    plain, rows = trained(configured(*LINEAR, "metrics=all"))
    config = own("spoiling", "metrics=all", under="a")
    state, others = trained(config)
    assert [row.weights for row in others] == [row.weights for row in rows]
    for one, other in zip(rows, others, strict=True):
        assert one.validation and other.validation
        assert list(one.validation.metrics) == ALL
        assert one.validation.named == {k: v for k, v in other.validation.named.items() if k != "a"}
    wanted = trainer.final(plain.model, digits(config).test, config)[1]
    assert torch.equal(trainer.final(state.model, digits(config).test, config)[1], wanted)


@pytest.mark.slow
def test_a_draw_is_the_same_again_whatever_else_is_measured() -> None:
    alone, beside = own("spoiling"), own("spoiling", "metrics=all")
    draws = [[row.validation.metrics["mine"] for row in trained(one)[1] if row.validation]
             for one in (alone, beside, alone)]  # fmt: skip
    assert draws[0] == draws[1] == draws[2]


def test_a_function_may_use_gradients_and_answer_with_a_tensor() -> None:
    (row,) = trained(own("of_gradients"), 1)[1]
    assert row.validation and type(row.validation.metrics["mine"]) is float


def nothing(logits: Tensor, labels: Tensor) -> None:
    pass


def several(logits: Tensor, labels: Tensor) -> Tensor:
    return logits[0]


def failing(logits: Tensor, labels: Tensor) -> float:
    raise KeyError("no such class")


def without_labels(logits: Tensor) -> float:
    return 0.0


@pytest.mark.parametrize(
    ("name", "why"),
    {
        "nothing": r"TypeError: float\(\) argument must be .* not 'NoneType'",
        "several": r"ValueError: only one element tensors can be converted to .*",
        "failing": "KeyError: 'no such class'",
        "without_labels": "TypeError: .*takes 1 positional argument but 2 were given",
    }.items(),
)
def test_what_gives_no_number_is_refused_before_anything_is_recorded(name: str, why: str) -> None:
    line = r"metrics\.mine: allowed is a function of \(logits, labels\) that gives a number "
    with pytest.raises(BadInput, match=rf"^{line}\({why}\)$"):
        measuring.check(own(name))


def unknown(logits: Tensor, labels: Tensor) -> float:
    if not set(range(10)) <= set(labels.tolist()):
        raise ValueError("a class is missing")
    return math.nan


def late(logits: Tensor, labels: Tensor) -> float:
    if len(labels) > 10:
        raise RuntimeError("too many")
    return 0.5


@pytest.mark.slow
def test_a_check_has_an_example_of_each_class_and_blank_images_are_not_measured() -> None:
    measuring.check(own("unknown"))
    for name in ("unknown", "failing"):
        rehearsal.rehearse(own(name, "metrics=all"), CPU)


NAMES = (
    "allowed is a name of a to z, 0 to 9 and _, up to 60 signs, other than loss, accuracy, "
    "accuracy_as_published"
)
TAKES = "(logits: torch.Tensor, labels: torch.Tensor, k: int) -> float"
WRONG = {
    "metrics.top_k_accuracy.k=0": "=0: allowed is a whole number, 1 to 10",
    "metrics.top_k_accuracy.k=11": "=11: allowed is a whole number, 1 to 10",
    "metrics.calibration_error.bins=0": "=0: allowed is a whole number, 1 or more",
    "metrics.macro_f1.higher_is_better=1": "=1: allowed is true or false",
    "~metrics.macro_f1.higher_is_better": "=null: allowed is true or false",
    "+metrics.macro_f1.k=3": " is not a setting: allowed of metrics.macro_f1 are none",
    "~metrics.top_k_accuracy.k": f" is not set: {TAKES} needs it",
    "+metrics.loss=3": f": {NAMES}",
    "+metrics.F1=3": f": {NAMES}",
    "+metrics.mine=3": "=3: allowed is its _target_, higher_is_better, and arguments",
    "+metrics.mine._target_=brier": "=brier: allowed is the full name of a function, such as "
    "my_metrics.brier",
}


@pytest.mark.parametrize("word", WRONG)
def test_one_line_says_what_is_wrong(word: str) -> None:
    with pytest.raises(BadInput) as caught:
        measuring.check(configured("metrics=all", word))
    assert str(caught.value) == word.lstrip("+~").partition("=")[0] + WRONG[word]


@pytest.mark.parametrize(
    "name",
    ["os.system", "factorial.training.measuring.measured", "factorial.training.metrics.whole",
     "factorial.training.metrics.torch.tensor", "factorial.training.metrics.nope", "torch.add",
     "factorial.training.metrics.BadInput", "factorial.training.metrics.macro_f1.__call__"],
)  # fmt: skip
def test_functions_of_elsewhere_need_permission(name: str) -> None:
    node = {"_target_": name, "higher_is_better": True}
    config = put(configured(), "metrics", {"mine": node})
    with pytest.raises(BadInput, match=rf"^metrics\.mine\._target_={name}: allowed are the func"):
        measuring.measures(config)
    inner = {"_target_": "factorial.training.metrics.macro_f1", "x": {"_target_": name}}
    with pytest.raises(BadInput, match=rf"^metrics\.mine\.x\._target_={name}: allowed are"):
        measuring.measures(put(configured(), "metrics", {"mine": inner}))


def identified(config: Config) -> Recipe:
    return identify(config, "data", sizes.validation_examples(config.data), "cpu")


@pytest.mark.slow
def test_no_metric_is_no_part_of_a_recipe_and_each_one_is_of_id_and_trunk() -> None:
    plain = identified(configured())
    assert "metrics" not in plain.document["config"]
    assert identified(configured("metrics=[accuracy]")) == plain
    one, two = identified(configured("metrics=macro_f1")), identified(configured("metrics=all"))
    five = identified(configured("metrics=all", "metrics.top_k_accuracy.k=3"))
    assert len({recipe.id for recipe in (plain, one, two, five)}) == 4
    assert len({recipe.trunk for recipe in (plain, one, two, five)}) == 4
    swapped = [
        configured(f"metrics=[{names}]")
        for names in ("macro_f1,calibration_error", "calibration_error,macro_f1")
    ]
    assert identified(swapped[0]) == identified(swapped[1])


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "brier_metrics.py"
    file.write_text(BRIER)
    monkeypatch.syspath_prepend(tmp_path)
    return file


TYPED = ["+metrics.brier._target_=brier_metrics.brier", "+metrics.brier.higher_is_better=false"]


@pytest.mark.slow
def test_the_source_of_an_own_function_is_part_of_its_recipe_and_its_defaults_are(
    module: Path,
) -> None:
    before = identified(configured(*TYPED))
    assert identified(configured(*TYPED, "+metrics.brier.scale=1")) == before
    assert identified(configured(*TYPED, "+metrics.brier.scale=2")).id != before.id
    module.write_text(f"{BRIER}# changed\n")
    assert identified(configured(*TYPED)).id != before.id


def store(folder: Path) -> Store:
    from recorded import seen_anew

    return seen_anew(folder)


def histories(folder: Path, run: str, name: str) -> dict[int, float]:
    return {point.step: point.value for point in client(folder).get_metric_history(run, name)}


@pytest.mark.slow
def test_an_own_function_is_recorded_of_every_epoch_and_answered_from_the_record(
    outputs: Path, module: Path
) -> None:
    words = [*LINEAR, "metrics=macro_f1", *TYPED]
    plain = bring(outputs, *LINEAR, "epochs=3")
    made = bring(outputs, *words, "epochs=3")
    assert (plain.origin, made.origin) == ("new", "new")
    document = json.loads((artifacts(outputs, made.run_id) / "metrics.json").read_text())
    for name in ("macro_f1", "brier"):
        curve = {row["epoch"]: row[f"validation/{name}"] for row in document["epochs"]}
        assert list(curve) == [1, 2, 3]
        assert histories(outputs, made.run_id, f"validation/{name}") == curve
        assert histories(outputs, made.run_id, f"test/{name}") == {0: document[f"test/{name}"]}
    seen = predictions.unpack(artifacts(outputs, made.run_id) / predictions.FILE)
    assert seen is not None
    assert document["test/macro_f1"] == pytest.approx(
        f1_score(seen.labels, seen.predicted, average="macro")
    )
    again = bring(outputs, *words, "epochs=3")
    assert (again.origin, again.run_id) == ("cached", made.run_id)
    run = client(outputs).get_run(made.run_id)
    assert run.info.run_name == "linear adam lr=0.01 e3 s0 data=digits"
    kept = {k: v for k, v in run.data.params.items() if k.startswith("metrics")}
    assert kept == {
        "metrics.macro_f1.higher_is_better": "True",
        "metrics.brier._target_": "brier_metrics.brier",
        "metrics.brier.higher_is_better": "False",
    }
    assert not any(
        key.startswith("metrics") for key in client(outputs).get_run(plain.run_id).data.params
    )


def results(folder: Path, run: str) -> dict[str, Any]:
    read = json.loads((artifacts(folder, run) / "metrics.json").read_text())
    rows = [{k: v for k, v in row.items() if k != "epoch_seconds"} for row in read["epochs"]]
    return {**read, "epochs": rows, "train/seconds": 0}


@pytest.mark.slow
def test_a_longer_run_and_a_copy_have_the_metrics_of_every_epoch(outputs: Path) -> None:
    words = [*LINEAR, "metrics=all"]
    straight = bring(outputs, *words, "epochs=4", "fresh=true")
    for file in outputs.glob("checkpoints/*/*/*.safetensors"):
        file.unlink()
    client(outputs).delete_run(straight.run_id)
    bring(outputs, *words, "epochs=2")
    longer = bring(outputs, *words, "epochs=4")
    assert longer.origin == "continued"
    assert results(outputs, longer.run_id) == results(outputs, straight.run_id)
    sweep(outputs, "data=digits", *words, "epochs=4", "seed=0,1")
    (copy,) = [run for run in recorded(outputs) if run.data.tags.get("cached") == longer.run_id]
    assert results(outputs, copy.info.run_id) == results(outputs, longer.run_id)
    (read,) = [run for run in reading.search(store(outputs), "") if run.id == copy.info.run_id]
    (row, *_) = reading.rows(store(outputs), read)
    assert row.validation and set(row.validation.metrics) == set(ALL)


@pytest.mark.slow
def test_what_is_no_number_in_an_epoch_is_recorded_as_such_and_replays(outputs: Path) -> None:
    given = ["+metrics.mine._target_=test_metrics.unknown", "+metrics.mine.higher_is_better=true"]
    made = bring(outputs, *LINEAR, *given, "epochs=2")
    assert made.status == "FINISHED"
    assert all(map(math.isnan, histories(outputs, made.run_id, "validation/mine").values()))
    (run,) = [one for one in reading.search(store(outputs), "") if one.id == made.run_id]
    settings = words.read("replay", [f"outputs={outputs}", "allow=test_metrics"])
    assert replay.replay(store(outputs), run, settings).kind == "identical"


@pytest.mark.slow
def test_what_fails_in_the_middle_fails_its_run_with_one_line(outputs: Path) -> None:
    given = ["+metrics.mine._target_=test_metrics.late", "+metrics.mine.higher_is_better=true"]
    made = bring(outputs, *LINEAR, *given, "epochs=2")
    assert (made.status, made.retriable) == ("FAILED", False)
    assert made.reason == (
        "metrics.mine: allowed is a function of (logits, labels) that gives a number "
        "(RuntimeError: too many)"
    )


def test_an_evaluation_comes_back_from_its_names() -> None:
    one = Evaluation(1.0, 0.5, {"macro_f1": 0.25})
    assert one.named == {"loss": 1.0, "accuracy": 0.5, "macro_f1": 0.25}
    assert Evaluation.of(one.named) == one
    row = Epoch(1, 0.1, one, 0.1, (), "")
    assert Epoch.of(json.loads(json.dumps(row.document()))) == row
