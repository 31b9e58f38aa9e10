"""Recorded runs in motion: their weights on the way, by running them again."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from browsing import chromium, visit
from composing import configured, digits
from PIL import Image
from playwright.sync_api import Error
from processes import train
from running import children, parents
from safetensors.torch import load_file
from test_reference import seed_of
from torch import Tensor, nn

from factorial.commands.motion import main
from factorial.motion import plane_wording
from factorial.motion.trajectory import Trajectory
from factorial.record.store import Store, look_into
from factorial.reuse import evidence, snapshots, ways
from factorial.settings import words
from factorial.settings.messages import BadInput

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("same_process")]

SIZE = 300  # of a batch: 5 batches of the 1,293 training examples an epoch
MLP = ["-m", "data=digits", "model=mlp", "model.hidden=[8]", "optimizer=sgd,adam", "epochs=2",
       f"data.batch_size={SIZE}", "seed=0,1"]  # fmt: skip
EVERY = "epoch, or a whole number of batches, 1 to 999999"
LIGHT = ["grid=5", "examples=40"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    for typed in (MLP, ["data=digits", "model=linear", "epochs=1", f"data.batch_size={SIZE}"]):
        done = train(folder, *typed, "report=false")
        assert done.returncode == 0, done.stderr
    return folder


def ids(folder: Path, **given: str) -> str:
    """Of the run with these params; of an MLP, if none is named."""
    params = {"model": "mlp"} | given
    (found,) = [
        run.info.run_id
        for run in [*children(folder), *parents(folder)]
        if params.items() <= run.data.params.items() and "recipe" in run.data.tags
    ]
    return str(found)


def opened(folder: Path, *typed: str) -> tuple[Store, dict[str, Any]]:
    settings = words.read("motion", [*typed, f"outputs={folder}"])
    return look_into(words.tracking(settings), str(folder)), settings


def way(folder: Path, run: str, every: int | None = None) -> tuple[Trajectory, nn.Module]:
    store, settings = opened(folder)
    ready = snapshots.ready(store, evidence.choose(store, run), settings)
    found, model = snapshots.taken(ready, every)
    assert len(found.weights) == ready.snapshots(every)
    return found, model


def plain(optimizer: str) -> list[Tensor]:
    """The weights before the first batch and after each of ten, seed 0, by hand."""
    torch.manual_seed(seed_of(0, "init"))
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))
    made = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer]
    lr = {"sgd": 0.1, "adam": 0.001}[optimizer]
    steps = made(model.parameters(), lr=lr, fused=True)
    train = digits(configured()).train
    weights = [nn.utils.parameters_to_vector(model.parameters()).detach().clone()]
    for epoch in (1, 2):
        drawn = torch.Generator().manual_seed(seed_of(0, "order", epoch))
        for index in torch.randperm(1293, generator=drawn).split(SIZE):
            logits = model(train.images[index].float() / 16)
            steps.zero_grad()
            F.cross_entropy(logits, train.labels[index]).backward()
            steps.step()
            weights.append(nn.utils.parameters_to_vector(model.parameters()).detach().clone())
    return weights


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_snapshots_are_the_weights_of_a_plain_loop_and_end_in_the_recorded_ones(
    made: Path, optimizer: str
) -> None:
    run = ids(made, model="mlp", optimizer=optimizer, seed="0")
    expected = plain(optimizer)
    by_epoch, _ = way(made, run)
    assert (by_epoch.batches, by_epoch.epochs) == ([0, 5, 10], [0, 1, 2])
    assert torch.equal(by_epoch.weights, torch.stack([expected[at] for at in (0, 5, 10)]))
    by_batch, _ = way(made, run, every=4)
    assert (by_batch.batches, by_batch.epochs) == ([0, 4, 8, 10], [0, 0.8, 1.6, 2])
    assert torch.equal(by_batch.weights, torch.stack([expected[at] for at in (0, 4, 8, 10)]))
    assert way(made, run, every=5)[0].batches == [0, 5, 10]
    file = load_file(made / "runs" / run / "artifacts" / "weights.safetensors")
    names = ("1.weight", "1.bias", "3.weight", "3.bias")
    assert torch.equal(by_epoch.weights[-1], torch.cat([file[name].flatten() for name in names]))
    assert (by_epoch.parted, by_epoch.held) == (None, 2)


def test_one_plane_has_runs_of_one_start_at_one_place_and_the_losses_of_their_weights(
    made: Path,
) -> None:
    sgd, adam = (ids(made, optimizer=name, seed="0") for name in ("sgd", "adam"))
    scene = ways.scene(*opened(made, f"run={sgd},{adam},{sgd}", *LIGHT))
    first, second = scene.tracks
    assert [first.run, second.run] == [sgd, adam]
    assert first.positions[0].tolist() == second.positions[0].tolist()
    assert len(scene.surface.starts) == 1
    assert plane_wording.notes(scene.trajectories) == ["All start from the same weights."]
    drawn = torch.Generator().manual_seed(seed_of(0, "surface"))
    index = torch.randperm(1293, generator=drawn)[:40]
    train = digits(configured()).train
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))

    def by_hand(weights: Tensor) -> float:
        nn.utils.vector_to_parameters(weights.float(), model.parameters())
        logits = model(train.images[index].float() / 16)
        return F.cross_entropy(logits, train.labels[index]).item()

    for track, one in zip(scene.tracks, scene.trajectories, strict=True):
        assert track.losses.tolist() == pytest.approx([by_hand(w) for w in one.weights])
    window = scene.surface.window
    corner = torch.tensor([window.right, window.bottom], dtype=torch.float64)
    expected = by_hand(scene.plane.at(*corner.tolist()))
    assert scene.surface.loss(corner).item() == pytest.approx(expected)


def test_other_seeds_start_apart_and_the_page_says_so(made: Path) -> None:
    zero, one = (ids(made, optimizer="sgd", seed=seed) for seed in ("0", "1"))
    scene = ways.scene(*opened(made, f"run={zero},{one}", *LIGHT))
    assert len(scene.surface.starts) == 2
    assert plane_wording.notes(scene.trajectories) == [
        f"They start apart: {one[:8]} elsewhere than {zero[:8]}."
    ]


def test_a_sweep_is_the_best_run_of_each_setting_by_validation_accuracy(made: Path) -> None:
    (sweep,) = [run for run in parents(made) if "sweep" in run.data.tags]
    runs = sorted(children(made), key=lambda run: -run.data.metrics["validation/accuracy"])
    best = {run.data.params["optimizer"]: run.info.run_id for run in reversed(runs)}
    ranked = sorted(best.values(), key=[run.info.run_id for run in runs].index)
    for few in (1, 2):
        chosen = ways.of_sweep(*opened(made, f"sweep={sweep.info.run_id}", f"best={few}"))
        assert [one.run.id for one in chosen] == ranked[:few]


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """A record to tamper with."""
    return Path(shutil.copytree(made, tmp_path / "copy"))


def test_where_a_replay_parts_from_its_record_it_is_said_from_which_epoch_on(copy: Path) -> None:
    run = ids(copy, optimizer="adam", seed="0")
    file = copy / "runs" / run / "artifacts" / "metrics.json"
    document = json.loads(file.read_text())
    document["epochs"][1]["weights"] = "0" * 64
    file.write_text(json.dumps(document))
    found, _ = way(copy, run)
    assert (found.parted, found.held) == (2, 2)
    assert "from epoch 2 on the weights are not those on record" in plane_wording.held(found)
    for row in document["epochs"]:
        row["weights"] = ""
    file.write_text(json.dumps(document))
    found, _ = way(copy, run)
    assert (found.parted, found.held) == (None, 0)
    assert "no digests" in plane_wording.held(found)


def test_other_models_share_no_plane_and_in_a_sweep_are_left_out(
    made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mlp, linear = ids(made, optimizer="sgd", seed="1"), ids(made, model="linear")
    unlike = f"it has 1.weight [10, 64], and run {mlp[:12]} [8, 64]"
    with pytest.raises(BadInput) as refused:
        ways.of_runs(*opened(made, f"run={mlp},{linear}"))
    assert str(refused.value) == f"run={linear}: {unlike}; allowed are runs of one model"
    store, settings = opened(made)
    both = [evidence.choose(store, run) for run in (mlp, linear)]
    monkeypatch.setattr(ways, "ranked", lambda *_: both)
    assert [one.run.id for one in ways.of_sweep(store, settings)] == [mlp]
    assert f"run {linear} is left out: {unlike}" in capsys.readouterr().err


def test_what_cannot_be_shown_is_refused_before_anything_is_trained(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "MOST", 10)
    run = ids(made, optimizer="sgd", seed="0")
    with pytest.raises(BadInput, match=r"^every=1: 11 snapshots of 610 weights; allowed are 10, "):
        ways.scene(*opened(made, f"run={run}", "every=1"))
    monkeypatch.setattr(snapshots, "MOST", 11)
    monkeypatch.setattr(snapshots, "BYTES", 610 * 4 * 8)
    with pytest.raises(BadInput, match=r"^every=1: 11 snapshots of 610 weights; allowed are 8, "):
        ways.scene(*opened(made, f"run={run}", "every=1"))


@pytest.fixture(scope="module")
def page(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "own"
    runs = ",".join(ids(made, optimizer=name, seed="0")[:12] for name in ("sgd", "adam"))
    main([f"run={runs}", "every=4", f"outputs={made}", f"folder={folder}", *LIGHT])
    return folder


def test_the_files_hold_each_snapshot(page: Path) -> None:
    assert {file.name for file in page.iterdir()} == {
        "index.html", "paths.csv", "plane.png", "plane-loss.png", "plane.gif",
    }  # fmt: skip
    with Image.open(page / "plane.gif") as gif:
        assert gif.n_frames == 4
    with (page / "paths.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["step"], row["epoch"]) for row in rows] == [
        ("0", "0"), ("4", "0.8"), ("8", "1.6"), ("10", "2"),
    ] * 2  # fmt: skip
    text = (page / "index.html").read_text()
    assert "All start from the same weights." in text
    assert "every 4 batches" in text
    assert text.count("as recorded in 2 epochs") == 2


def test_the_page_plays_and_names_the_run_under_the_pointer_and_asks_for_nothing(
    made: Path, page: Path
) -> None:
    try:
        with chromium() as browser:
            plays(visit(browser, 1024, 900), made, (page / "index.html").as_uri())
    except Error as error:
        if "Executable doesn't exist" not in str(error):
            raise
        pytest.skip("no Chromium is here: `playwright install chromium`")


def plays(opened: Any, made: Path, address: str) -> None:
    page = opened.page
    page.goto(address)
    page.wait_for_function("views.length === 2")
    assert page.evaluate("views.map((view) => view.signal('step'))") == [10, 10]
    page.locator("#step").fill("0")
    page.wait_for_function("views[0].signal('step') === 0")
    page.click("#play")
    assert page.locator("#play").inner_text() == "Pause"
    page.wait_for_function("views[0].signal('step') === 10")
    page.wait_for_function("document.querySelector('#play').textContent === 'Play'")
    page.evaluate("Promise.all(views.map((view) => view.runAsync())).then(() => null)")
    run = ids(made, optimizer="sgd", seed="0")
    (path,) = page.evaluate(f"paths.filter((path) => path.run === '{run}')")
    left, top = page.evaluate(
        "([x, y]) => [views[0].origin()[0] + views[0].padding().left + views[0].scale('x')(x),"
        " views[0].origin()[1] + views[0].padding().top + views[0].scale('y')(y)]",
        [path["x"][-1], path["y"][-1]],
    )
    canvas = page.locator("#map canvas").bounding_box()
    assert canvas is not None
    page.mouse.move(canvas["x"] + left, canvas["y"] + top)
    page.wait_for_selector("#vg-tooltip-element.visible")
    said = page.locator("#vg-tooltip-element").inner_text()
    assert run in said
    for word in ("epoch", "batches", "loss", "10"):
        assert word in said
    box = page.locator("#optimizers input").first
    shown = "views[0].signal('chosen').length"
    box.uncheck()
    page.wait_for_function(f"{shown} === 1")
    assert opened.said == []
    assert {url for url in opened.asked if not url.startswith(("data:", "blob:"))} == {address}


@pytest.mark.parametrize(
    ("typed", "line"),
    {
        ("run=last", "sweep=x"): "^run=last and sweep=x: allowed is one$",
        ("run=last", "every=0"): f"^every=0: allowed is {EVERY}$",
        ("run=last", "every=often"): f"^every=often: allowed is {EVERY}$",
        ("run=last", "grid=5000"): "^grid=5000: allowed is a whole number, 5 to 201$",
        ("run=last", "lr=0.1"): "^lr: allowed is that without run$",
        ("every=5",): "^every: allowed is that with run=ID,ID, or sweep=ID$",
        ("run=last", "best=2"): "^best=2: allowed with sweep=ID, for it is of a sweep$",
        ("run=zzz",): "^run=zzz: no run begins so; allowed is one of ",
        ("run=,",): "^run=,: allowed are ids of runs, or last$",
        ("sweep=zzz",): "^sweep=zzz: allowed is one on record, the newest are ",
    }.items(),
)
def test_bad_input_is_one_clear_line(made: Path, typed: list[str], line: str) -> None:
    with pytest.raises(BadInput, match=line):
        main([*typed, f"outputs={made}"])
    assert not (made / "motion-of-runs").exists()


def test_a_run_without_a_result_has_no_way(copy: Path) -> None:
    from factorial.record.store import connect

    run = ids(copy, optimizer="sgd", seed="0")
    store, settings = opened(copy)
    store.client.set_terminated(run, "FAILED")
    connect.cache_clear()
    with pytest.raises(BadInput, match=rf"^run={run}: it has no result \(its status is FAILED\)$"):
        ways.of_runs(store, settings | {"run": run})
