"""Names, notes and tags on record: on runs and sweeps, in MLflow's words, and in the report."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from composing import asked
from omegaconf import OmegaConf
from processes import train
from recorded import opened, planted, product
from recorded import sweep as sweep_of
from running import bring, children, client, parents, recorded, store_of, sweep, trial

from factorial.comparison import findings, report
from factorial.comparison.table import load
from factorial.console import Display
from factorial.record import selection, writing
from factorial.runs.progress import open_run
from factorial.runs.run import run_trial
from factorial.settings.labels import is_taken
from factorial.settings.parsing import parse

LINEAR = ["model=linear", "optimizer=sgd", "epochs=1"]
SWEEP = ["data=digits", *LINEAR, "seed=0,1"]


def own(run: Any) -> dict[str, str]:
    """The tags that neither Factorial nor MLflow has written."""
    return {key: value for key, value in run.data.tags.items() if not is_taken(key)}


def called(run: Any) -> tuple[str, str | None, dict[str, str]]:
    """A run's name, description and tags, as MLflow's page shows them."""
    return run.info.run_name, run.data.tags.get("mlflow.note.content"), own(run)


@pytest.mark.slow
def test_a_run_is_called_what_was_typed(outputs: Path) -> None:
    bring(outputs, *LINEAR)
    words = ["name=first try", "note=slow, but sure", "tags.paper=3", "tags.who.else=anna"]
    bring(outputs, *LINEAR, "seed=1", *words)
    plain, other = recorded(outputs)
    assert called(plain) == ("linear sgd lr=0.1 e1 s0 data=digits", None, {})
    assert called(other) == ("first try", "slow, but sure", {"paper": "3", "who.else": "anna"})
    assert other.data.tags["mlflow.runName"] == "first try"
    assert other.data.params.keys() == plain.data.params.keys()


@pytest.mark.slow
def test_no_tag_of_a_users_is_one_that_a_run_or_a_sweep_has(outputs: Path) -> None:
    """Whatever is recorded without any, of what is trained, refused, stopped and copied, is taken
    to a user."""
    bring(outputs, *LINEAR)
    longer = trial(outputs, *LINEAR[:-1], "epochs=2")
    run_trial(longer, Display(brief=True))
    with pytest.raises(SystemExit):
        sweep(outputs, *SWEEP, "optimizer.lr=0.1,-1")
    tags = {key for run in recorded(outputs) for key in run.data.tags}
    assert {"recipe", "cached", "failure", "sweep", "combinations", "continued_from"} <= tags
    assert [key for key in tags if not is_taken(key)] == []


@pytest.mark.slow
def test_what_answers_from_the_record_gets_what_it_has_not(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = bring(outputs, *LINEAR).run_id
    capsys.readouterr()
    assert bring(outputs, *LINEAR, "name=first", "tags.a=1").origin == "cached"
    assert capsys.readouterr().out == f"run {run}: name=first, tags.a=1 added\n"
    bring(outputs, *LINEAR, "name=second", "note=n", "tags.a=2", "tags.b=3")
    assert capsys.readouterr().out == (
        f"run {run}: note=n, tags.b=3 added; it keeps name=first, tags.a=1, which MLflow's page "
        f"can change\n"
    )
    bring(outputs, *LINEAR, "name=first", "tags.b=3")
    assert capsys.readouterr().out == ""
    (one,) = recorded(outputs)
    assert called(one) == ("first", "n", {"a": "1", "b": "3"})


@pytest.mark.slow
@pytest.mark.parametrize("is_described", [True, False])
def test_what_was_left_behind_is_called_so_too(is_described: bool, outputs: Path) -> None:
    """Described already, or not yet."""
    one = trial(outputs, *LINEAR)
    store = store_of(one)
    if is_described:
        left = open_run(one, store, None, one.actual)
    else:
        left = writing.new(store, one.name, {"recipe": one.recipe.id, "trunk": one.recipe.trunk})
    left.tag(owner=json.dumps(["another", 1, 0.0]))
    assert bring(outputs, *LINEAR, "name=mine", "tags.a=1").run_id == left.id
    (run,) = recorded(outputs)
    assert called(run) == ("mine", None, {"a": "1"})


@pytest.mark.slow
def test_a_sweep_has_the_name_and_the_note_and_its_runs_the_tags(outputs: Path) -> None:
    sweep(outputs, *SWEEP, "name=a sweep", "note=why", "tags.k=v")
    (parent,) = parents(outputs)
    assert called(parent) == ("a sweep", "why", {"k": "v"})
    assert parent.data.params == {"seed": "0, 1"}
    assert [called(run) for run in children(outputs)] == [
        ("linear sgd lr=0.1 e1 s0 data=digits", None, {"k": "v"}),
        ("linear sgd lr=0.1 e1 s1 data=digits", None, {"k": "v"}),
    ]


@pytest.mark.slow
def test_a_sweep_under_another_name_is_the_same_sweep(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep(outputs, *SWEEP, "name=a", "note=n", "tags.k=v", "tags.j=1")
    before = {run.info.run_id for run in recorded(outputs)}
    capsys.readouterr()
    sweep(outputs, *SWEEP, "name=b", "tags.k=w")
    assert "2 cached" in capsys.readouterr().out
    assert {run.info.run_id for run in recorded(outputs)} == before
    (parent,) = parents(outputs)
    assert called(parent) == ("b", "n", {"k": "w", "j": "1"})
    assert [own(run) for run in children(outputs)] == [{"k": "w", "j": "1"}] * 2


@pytest.mark.slow
def test_so_is_one_with_combinations_that_are_refused(outputs: Path) -> None:
    words = ["data=digits", *LINEAR, "optimizer.lr=0.1,-1"]
    for labels in (["tags.k=v"], ["name=b", "tags.k=w"]):
        with pytest.raises(SystemExit):
            sweep(outputs, *words, *labels)
    (parent,) = parents(outputs)
    assert called(parent) == ("b", None, {"k": "w"})
    assert sorted(run.info.status for run in children(outputs)) == ["FAILED", "FINISHED"]
    assert [own(run) for run in children(outputs)] == [{"k": "w"}] * 2


@pytest.mark.slow
def test_runs_in_other_processes_have_their_sweeps_tags(tmp_path: Path) -> None:
    words = [*SWEEP, "name=it's me", "note=a, b", "tags.k=it's [v]"]
    launched = ["hydra/launcher=parallel", "hydra.launcher.workers=2"]
    done = train(tmp_path, "-m", *words, *launched, "report=false")
    assert done.returncode == 0, done.stderr
    assert "(it's me): 2 combinations, parent run " in done.stdout
    (parent,) = parents(tmp_path)
    assert called(parent) == ("it's me", "a, b", {"k": "it's [v]"})
    assert [own(run) for run in children(tmp_path)] == [{"k": "it's [v]"}] * 2
    assert {run.info.status for run in recorded(tmp_path)} == {"FINISHED"}


@pytest.mark.slow
def test_a_replay_is_called_after_its_run_and_has_none_of_its_tags(tmp_path: Path) -> None:
    done = train(tmp_path, "data=digits", *LINEAR, "name=first try", "note=n", "tags.k=v")
    assert done.stdout.startswith("first try: linear sgd lr=0.1 e1 s0 data=digits: digits\n")
    done = train(tmp_path, "run=last", command="replay")
    assert "verdict: identical" in done.stdout, done.stderr
    (again,) = [run for run in recorded(tmp_path) if "replays" in run.data.tags]
    assert called(again) == ("replay of first try", None, {})


@pytest.mark.slow
def test_nothing_is_called_anything_by_a_plan(outputs: Path) -> None:
    sweep(outputs, *SWEEP)
    before = [called(run) for run in recorded(outputs)]
    sweep(outputs, *SWEEP, "name=a", "tags.k=v", "plan=true")
    assert [called(run) for run in recorded(outputs)] == before


def test_a_presets_tags_count_as_well_and_may_be_numbers() -> None:
    composed = asked().composed
    OmegaConf.update(composed, "tags", {"a": 3, "b": {"c": True}}, force_add=True)
    assert parse(composed).tags == {"a": "3", "b.c": "true"}


class Texts(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.tags += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)> [a](javascript:b) `c`'


@pytest.mark.slow
def test_the_report_begins_with_the_name_and_the_note_as_text(tmp_path: Path) -> None:
    store = opened(tmp_path)
    swept = sweep_of(store, planted(product(model=["linear", "mlp"], seed=[0, 1])))
    identity = client(tmp_path).get_run(swept.id).data.tags["sweep"][:8]

    def pages() -> tuple[str, str]:
        chosen = selection.of_sweep(store, None)
        report.write(
            findings.find(load(store, chosen, "validation/accuracy")), None, tmp_path / "report"
        )
        return tuple((tmp_path / "report" / name).read_text() for name in report.PAGES)

    plain, markdown = pages()
    heading, below = re.findall(r"<h1>(.*)</h1>\n<p.*>(.*): \d+ runs", plain)[0]
    assert re.fullmatch(r"Model, \d{4}-\d{2}-\d{2}", heading)
    assert below == f"sweep {identity}"
    assert "Note: " not in plain + markdown
    assert "Tags: " not in plain + markdown
    client(tmp_path).update_run(swept.id, name=f"n {EVIL}")
    client(tmp_path).set_tag(swept.id, "mlflow.note.content", f"o {EVIL}")
    client(tmp_path).set_tag(swept.id, "paper", f"3 {EVIL}")
    client(tmp_path).set_tag(swept.id, "by", "anna")
    page, markdown = pages()
    assert Texts(page).tags.count("script") == Texts(plain).tags.count("script") == 7
    assert "onerror" not in Texts(page).tags
    assert f"n {EVIL}: model, 20" in Texts(page).text
    assert f"n {EVIL} (sweep {identity})" in Texts(page).text
    assert f"Note: o {EVIL}" in Texts(page).text
    assert f"Tags: by = anna, paper = 3 {EVIL}" in Texts(page).text
    escaped = '"\\>&lt;script>'.replace("\\", "")
    assert markdown.startswith(f"# n {escaped}alert(1)&lt;/script>&lt;img src=x onerror=alert(2)> ")
    assert f"(sweep {identity})\n\nNote: o {escaped}" in markdown
    assert f"\n\nTags: by = anna, paper = 3 {escaped}" in markdown
    assert "<script" not in markdown
    assert "[a](" not in markdown


@pytest.mark.slow
def test_a_sweep_is_found_by_its_name(tmp_path: Path) -> None:
    store = opened(tmp_path)
    runs = [planted(product(model=["linear", "mlp"], seed=[seed])) for seed in range(3)]
    ids = [sweep_of(store, some).id for some in runs]
    client(tmp_path).update_run(ids[0], name="first")
    client(tmp_path).update_run(ids[1], name="second one")
    for name, run in (("first", ids[0]), ("second one", ids[1])):
        chosen = selection.of_sweep(store, name)
        assert chosen.parent is not None
        assert chosen.parent.id == run
        assert chosen.title == f"{name} (sweep {chosen.slug})"
    unnamed = selection.of_sweep(store, None)
    assert unnamed.title == f"sweep {unnamed.slug}"
