"""The words of a command line, before anything else is asked about them."""

from pathlib import Path
from typing import Any

import pytest
from composing import asked

from factorial.settings import words
from factorial.settings.messages import BadInput
from factorial.settings.overrides import count_epochs, for_hydra, translated


@pytest.mark.parametrize(
    ("typed", "understood"),
    {
        "epochs=7": "epochs.count=7",
        "epochs=5,10,15": "epochs.count=5,10,15",
        "epochs=smoke,7,article": "epochs.count=1,7,15",
        "epochs=smoke": "epochs=smoke",
        "epochs=smoke,short": "epochs=smoke,short",
        "+epochs=7": "epochs.count=7",
        "optimizer.lr=7": "optimizer.lr=7",
    }.items(),
)
def test_epochs_takes_numbers_and_options(typed: str, understood: str) -> None:
    assert count_epochs(typed) == understood
    assert translated(typed) == understood


@pytest.mark.parametrize(
    ("typed", "understood"),
    {
        "+optimizer.eps=1": "++optimizer.eps=1",
        "++optimizer.eps=1": "++optimizer.eps=1",
        "+model.a=1": "++model.a=1",
        "+schedule.a=1": "++schedule.a=1",
        "+metrics.a.k=1": "++metrics.a.k=1",
        "metrics=[macro_f1,all]": "metrics=[macro_f1,all]",
        "+data.a=1": "+data.a=1",
        "model=mlp,linear": "model=mlp,linear",
        "model=glob(*)": "model=glob(*)",
        "~optimizer.lr": "~optimizer.lr",
        "~outputs": "~outputs",
        "seed=0,1": "seed=0,1",
        "hydra/launcher=joblib": "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2": "hydra.launcher.n_jobs=2",
        "+hydra.launcher.x=2": "+hydra.launcher.x=2",
    }.items(),
)
def test_what_hydra_understands_stays_but_for_arguments_of_classes(
    typed: str, understood: str
) -> None:
    assert translated(typed) == understood


@pytest.mark.parametrize(
    "text",
    ["a", "/a/b.c", "~/a", "a=b", "a=b=c", "ü", "a b", "007", "1e3", "1_000", ".5", "true", "False",
     "nan", "inf", "a;b", "a?b", "a&b#c", "-", "a:b", "null_"],
)  # fmt: skip
@pytest.mark.parametrize("key", ["outputs", "data.root", "tracking.experiment"])
def test_text_reaches_the_config_as_it_was_typed(key: str, text: str) -> None:
    composed = asked(translated(f"{key}={text}")).composed
    part, _, name = key.rpartition(".")
    assert (composed[part] if part else composed)[name] == text


def test_null_lists_and_references_stay_what_they_are_to_hydra() -> None:
    for word in (
        "ledger=null",
        "ledger=Null",
        "outputs=a,b",
        "outputs=[a]",
        "outputs=${seed}",
        "outputs='a=b'",
    ):
        assert translated(word) == word


def test_options_come_before_overrides_with_their_values() -> None:
    assert for_hydra(["seed=1", "-m", "epochs=7"]) == ["-m", "seed=1", "epochs.count=7"]
    assert for_hydra(["seed=1", "--cfg", "job", "--resolve", "model=mlp"]) == [
        "--cfg", "job", "--resolve", "seed=1", "model=mlp",
    ]  # fmt: skip
    assert for_hydra(["--info", "seed=1"]) == ["--info", "all", "seed=1"]
    assert for_hydra(["--info", "plugins"]) == ["--info", "plugins"]
    assert for_hydra(["-sc", "install=bash"]) == ["-sc", "install=bash"]


@pytest.mark.parametrize(
    ("typed", "settings"),
    [
        ([], {"run": "last", "sample": 3, "tolerance": 0.01, "threads": None, "worktree": False}),
        (["run=a", "run=b"], {"run": "b"}),
        (["run=a=b="], {"run": "a=b="}),
        (["sample=all"], {"sample": "all"}),
        (["sample=7", "tolerance=0.5", "threads=2"],
         {"sample": 7, "tolerance": 0.5, "threads": 2}),
        (["tolerance=0"], {"tolerance": 0.0}),
        (["tolerance=1", "threads=1024"], {"tolerance": 1.0, "threads": 1024}),
        (["threads=null", "allow=null"], {"threads": None, "allow": None}),
        (["worktree=True", "trust=true"], {"worktree": True, "trust": True}),
        (["outputs=a=b"], {"outputs": "a=b"}),
        (["allow=a,b.c"], {"allow": "a,b.c"}),
        (["tracking.uri=http://x"], {"tracking.uri": "http://x"}),
    ],
)  # fmt: skip
def test_what_is_typed_takes_the_place_of_what_the_file_says(
    typed: list[str], settings: dict[str, Any]
) -> None:
    assert words.read("replay", typed).items() >= settings.items()


@pytest.mark.parametrize(
    "word",
    ["run", "run=", "runn=a", "last", "-x", "--run=a", "", "worktree=1", "worktree=yes", "sample=0",
     "sample=1.0", "sample=None", "tolerance=-0.1", "tolerance=1.1", "tolerance=nan", "threads=0",
     "threads=1025", "threads=all", "allow=a..b", "allow=,", "outputs=/dev/null"],
)  # fmt: skip
def test_what_no_setting_takes_is_refused(word: str) -> None:
    with pytest.raises(BadInput, match="allowed "):
        words.read("replay", [word])


def test_words_without_a_key_are_the_bare_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words.read("compare", ["params.model = 'mlp'"], bare="filter")["filter"] == (
        "params.model = 'mlp'"
    )
    read = words.read("predict", ["a.png", "images=b,c.png", "d/e.png"], bare="images")
    assert read["images"] == ["b", "c.png", "d/e.png"]
    for word in ("images", "a=b.png", "-a.png"):
        with pytest.raises(BadInput):
            words.read("predict", [word], bare="images")
        Path(word).touch()
        assert words.read("predict", [word], bare="images")["images"] == [word]
    with pytest.raises(BadInput, match=r"^b: allowed is one filter alone"):
        words.read("compare", ["a", "b"], bare="filter")


def test_only_commands_that_read_a_record_take_a_servers_address() -> None:
    for command in ("compare", "deliver", "replay", "predict", "register"):
        assert words.read(command, ["tracking.uri=http://x"])["tracking.uri"] == "http://x"
    for command in ("fetch", "claims", "clean", "server"):
        with pytest.raises(BadInput, match=r"^tracking\.uri is not a setting: allowed are "):
            words.read(command, ["tracking.uri=http://x"])


def test_the_record_is_here_or_on_a_server_that_is_named() -> None:
    local = words.tracking({"tracking": "local", "tracking.uri": None})
    server = words.tracking({"tracking": "server", "tracking.uri": "http://x"})
    assert (local.kind, local.uri) == ("local", None)
    assert (server.kind, server.uri) == ("server", "http://x")
    for kind, uri in {"local": "http://x", "server": "ftp://x", "off": None}.items():
        with pytest.raises(BadInput, match="allowed "):
            words.tracking({"tracking": kind, "tracking.uri": uri})


@pytest.mark.parametrize(
    ("value", "listed"),
    {"a": ["a"], "a,b": ["a", "b"], "[a, b]": ["a", "b"], "": [], "a,": ["a"], None: []}.items(),
)
def test_names_are_split_at_commas(value: str | None, listed: list[str]) -> None:
    assert words.names(value) == listed
