"""Names, notes and tags as they are typed: text whatever it looks like, and no part of a recipe."""

from typing import Any

import mlflow.utils.validation as mlflow_limits
import pytest
from composing import asked, configured
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from factorial.settings.labels import LONGEST_KEY
from factorial.settings.messages import BadInput
from factorial.settings.overrides import translated
from factorial.settings.recipe import identify
from factorial.settings.rules import LONGEST_TEXT


def labelled(*words: str) -> Any:
    """The config of words as a user types them."""
    return asked(*map(translated, words)).parse()


@pytest.mark.parametrize(
    ("word", "value"),
    {
        "tags.k=v": "v",
        "+tags.k=v": "v",
        "++tags.k=v": "v",
        "tags.k=3": "3",
        "tags.k=007": "007",
        "tags.k=1e-3": "1e-3",
        "tags.k=-.5": "-.5",
        "tags.k=true": "true",
        "tags.k=False": "False",
        "tags.k=nan": "nan",
        "tags.k=2026-11-26": "2026-11-26",
        "tags.k=table 3": "table 3",
        "tags.k=it's (a) [b] {c} $5 #1 ü": "it's (a) [b] {c} $5 #1 ü",
        "tags.k=a=b": "a=b",
        "tags.k='3'": "3",
        'tags.k="a, b"': "a, b",
        "tags.k=null_": "null_",
        "tags={k: 3}": "3",
        "tags={k: true}": "true",
        "tags={k: 1.5}": "1.5",
    }.items(),
)
def test_a_tag_is_text_and_needs_no_plus(word: str, value: str) -> None:
    assert labelled(word).tags == {"k": value}


def test_a_tags_key_may_have_parts() -> None:
    words = ["tags.a.b=1", "tags.a.c-d=2", "tags._e=3", "tags.2026=4"]
    assert labelled(*words).tags == {"a.b": "1", "a.c-d": "2", "_e": "3", "2026": "4"}


@given(st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), min_size=1))
def test_a_note_is_read_as_it_is_typed(text: str) -> None:
    text = text.strip()
    quoted = text[:1] in ("'", '"') and text[:1] == text[-1:]
    if text in ("", "null") or quoted or "${" in text:
        return
    (parsed,) = OverridesParser.create().parse_overrides([translated(f"note={text}")])
    assert (parsed.key_or_group, parsed.value()) == ("note", text)


@pytest.mark.parametrize(
    ("word", "value"),
    {
        "note=a, b": "a, b",
        "note='a'": "a",
        'note="a\'b"': "a'b",
        "note=null": None,
        "note=C:\\": "C:\\",
        "note=\\'": "\\'",
        "note=7": "7",
        "note=seed ${seed}": "seed 0",
    }.items(),
)
def test_in_a_note_a_comma_is_a_comma(word: str, value: str | None) -> None:
    assert labelled(word).note == value


def test_a_name_is_text_too() -> None:
    assert labelled("name=42").name == "42"
    assert labelled("name=Bob's 2nd (wide)").name == "Bob's 2nd (wide)"
    assert labelled('name="a, b"').name == "a, b"
    assert labelled("name=null").name is None
    assert labelled().labels == (None, None, {})


@pytest.mark.parametrize(
    "word", ["name=a,b", "tags.k=1,2", "name=choice(a,b)", "tags.k=range(1,3)"]
)
def test_neither_a_name_nor_a_tag_has_levels(word: str) -> None:
    key = word.partition("=")[0]
    with pytest.raises(BadInput, match=rf"^{key}=.*: allowed is one value, for it changes no"):
        translated(word)


TAKEN = [
    "cached", "combinations", "command", "continued_from", "diverged", "failure", "owner", "pruned",
    "recipe", "replays", "resumed_from_epoch", "search", "stopped", "sweep", "trial", "trunk",
    "verdict",
    "git.commit", "git.dirty", "git.anything", "mlflow.runName", "mlflow.note.content",
    "mlflow.parentRunId", "mlflow.anything",
]  # fmt: skip


@pytest.mark.parametrize("key", TAKEN)
def test_no_tag_takes_the_place_of_another(key: str) -> None:
    with pytest.raises(BadInput, match=rf"^tags\.{key}: allowed are other keys than cached, comb"):
        labelled("tags.mine=1", f"tags.{key}=1")


@pytest.mark.slow
def test_all_that_are_taken_are_named() -> None:
    with pytest.raises(BadInput, match=r"^tags\.recipe, tags\.mlflow\.x: allowed"):
        labelled("tags.recipe=1", "tags.mine=2", "tags.mlflow.x=3")
    assert labelled("tags.gitlab=1", "tags.git=2", "tags.Recipe=3", "tags.my.recipe=4").tags == {
        "gitlab": "1", "git": "2", "Recipe": "3", "my.recipe": "4",
    }  # fmt: skip


def test_what_mlflow_would_cut_is_refused() -> None:
    assert LONGEST_TEXT == mlflow_limits.MAX_TAG_VAL_LENGTH
    assert LONGEST_KEY == mlflow_limits.MAX_ENTITY_KEY_LENGTH
    longest, key = "x" * LONGEST_TEXT, "k" * LONGEST_KEY
    assert labelled(f"tags.{key}={longest}").tags == {key: longest}
    for word in (f"tags.k={longest}x", f"tags.{key}k=v", f"note={longest}x", f"name={'x' * 201}"):
        with pytest.raises(BadInput, match="allowed is"):
            labelled(word)


@pytest.mark.parametrize(
    ("word", "said"),
    {
        "tags.k=": "tags.k=",
        "tags.k=null": "tags.k=null",
        "tags={k: [1]}": "tags.k=[1]",
        "tags={k: {}}": "tags.k={}",
        "tags=x": "tags=x",
        "tags={a b: 1}": "tags.a b",
        "tags.a/b=1": "tags.a/b",
        "tags..a=1": "tags..a",
        "tags.a.=1": "tags.a.",
    }.items(),
)
def test_what_is_no_tag_is_named(word: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        labelled(word)
    assert str(caught.value).startswith(f"{said}: allowed is ")


def test_what_a_run_is_called_is_no_part_of_its_recipe() -> None:
    plain = identify(configured(), "data", 144, "cpu")
    called = labelled("name=n", "note=o", "tags.k=v")
    assert identify(called, "data", 144, "cpu") == plain
