"""Recorded runs in motion: their weights on the way, by running them again."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from browsing import visit
from composing import configured, digits
from PIL import Image
from playwright.sync_api import Browser
from processes import train
from running import children, parents
from safetensors.torch import load_file
from test_reference import seed_of
from torch import Tensor, nn

from factorial.commands.motion import main
from factorial.motion import plane_wording
from factorial.motion.trajectory import Trajectory
from factorial.record.store import Store, connect, look_into
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


def test_the_shares_that_are_said_are_those_of_numpys_singular_values(made: Path) -> None:
    """Of all snapshots of both runs together, and of each run's own."""
    sgd, adam = (ids(made, optimizer=name, seed="0") for name in ("sgd", "adam"))
    scene = ways.scene(*opened(made, f"run={sgd},{adam}", "every=1", *LIGHT))
    each = [np.array([w.numpy() for w in plain(name)], float) for name in ("sgd", "adam")]
    whole = np.concatenate(each)
    _, values, directions = np.linalg.svd(whole - whole.mean(0), full_matrices=False)
    shares = values**2 / (values**2).sum()
    np.testing.assert_allclose(scene.plane.shares, shares[:2], rtol=1e-9)
    np.testing.assert_allclose(
        np.abs(directions[:2] @ scene.plane.axes.numpy().T), np.eye(2), atol=1e-9
    )
    said = plane_wording.summary(scene.plane, scene.trajectories, scene.every)
    assert said.startswith("The weights of 2 runs (mlp e2 s0 ")
    assert (
        f"its first direction has {shares[0]:.1%} of the variance of all snapshots, "
        in said.lower()
    )
    assert f"its second {shares[1]:.1%}, together {shares[:2].sum():.1%}; " in said
    rows = plane_wording.rows(scene.plane, scene.trajectories, scene.tracks)
    for own, row in zip(each, rows, strict=True):
        centred = own - own.mean(0)
        seen = ((centred @ directions[:2].T) ** 2).sum() / (centred**2).sum()
        assert row["shown of its variance"] == f"{seen:.1%}"


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
    said = ways.choice(opened(made, "sweep=abc", "best=2")[1], chosen[0].run)
    assert said == (
        "Of sweep abc these are the settings of the highest validation accuracy, 2 at most, and of "
        "each the best run."
    )
    unmeasured = chosen[0].run._replace(metrics={})
    assert "the settings that came first, 2 at" in ways.choice(
        {"sweep": "a", "best": 2}, unmeasured
    )


def test_a_run_of_a_sweep_that_failed_has_no_way_and_the_next_best_stands_in(copy: Path) -> None:
    (sweep,) = [run for run in parents(copy) if "sweep" in run.data.tags]
    runs = sorted(children(copy), key=lambda run: -run.data.metrics["validation/accuracy"])
    store, settings = opened(copy, f"sweep={sweep.info.run_id}", "best=1")
    store.client.set_terminated(runs[0].info.run_id, "FAILED")
    connect.cache_clear()
    (best,) = ways.of_sweep(store, settings)
    assert best.run.id == runs[1].info.run_id
    for run in runs:
        store.client.set_terminated(run.info.run_id, "FAILED")
    connect.cache_clear()
    with pytest.raises(BadInput, match=r"^sweep=\w+: none of its runs has a result$"):
        ways.of_sweep(store, settings)


def test_more_runs_than_a_picture_tells_apart_are_refused(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "MOST", 1)
    runs = [ids(made, optimizer=name, seed="0") for name in ("sgd", "adam")]
    with pytest.raises(BadInput, match=r"^run: 2 runs; allowed are 1, for no picture tells more "):
        ways.of_runs(*opened(made, f"run={','.join(runs)}"))
    assert len(ways.of_runs(*opened(made, f"run={runs[0]},{runs[0]}"))) == 1
    with pytest.raises(BadInput, match=r"^best=2: allowed is 1 to 1, for no picture tells more "):
        ways.of_sweep(*opened(made, "sweep=zzz", "best=2"))


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


def test_a_record_without_an_epoch_has_no_way(copy: Path) -> None:
    run = ids(copy, optimizer="adam", seed="0")
    file = copy / "runs" / run / "artifacts" / "metrics.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"epochs": []}))
    with pytest.raises(
        BadInput, match=rf"^run={run}: metrics.json has no epoch; allowed is a run "
    ):
        ways.of_runs(*opened(copy, f"run={run}"))


def test_on_other_bytes_than_it_learnt_from_no_run_is_trained(copy: Path) -> None:
    run = ids(copy, optimizer="adam", seed="0")
    file = copy / "runs" / run / "artifacts" / "recipe.json"
    document = json.loads(file.read_text())
    here = document["data"]
    file.write_text(json.dumps(document | {"data": "0" * 64}))
    line = rf"^run={run}: it learnt from other data than lie here \(SHA-256 0{{64}}, not {here}\); "
    with pytest.raises(BadInput, match=line):
        ways.of_runs(*opened(copy, f"run={run}"))


def test_the_way_of_a_run_on_data_of_ones_own(tmp_path: Path) -> None:
    """Wherever its file lies now, as long as it is the same; else one line, and nothing is made."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (69, 4, 4), np.uint8)
    y = np.arange(69) % 3
    part = {"x_train": x[:60], "y_train": y[:60], "x_test": x[60:], "y_test": y[60:]}
    outputs, file = tmp_path / "outputs", tmp_path / "there.npz"
    np.savez(file, **part)  # type: ignore[arg-type]
    own = ["data=npz", f"data.file={file}", "model=linear", "epochs=2", "data.batch_size=20"]
    done = train(outputs, *own, "report=false")
    assert done.returncode == 0, done.stderr
    moved = file.rename(tmp_path / "moved.npz")
    folder = tmp_path / "page"
    words = ["run=last", f"outputs={outputs}", f"folder={folder}", "grid=5"]
    with pytest.raises(BadInput, match=r"^data=null: allowed is where the images of run \w+ lie; "):
        main(words)
    with pytest.raises(BadInput, match=rf"^data.file={file}: there is no such file"):
        main([*words, f"data={file}"])
    np.savez(file, **(part | {"x_train": 255 - part["x_train"]}))  # type: ignore[arg-type]
    with pytest.raises(
        BadInput, match=r"^run=\w+: it learnt from other data than lie here \(SHA-256 "
    ):
        main([*words, f"data={file}"])
    assert not folder.exists()
    main([*words, f"data={moved}"])
    page = (folder / "index.html").read_text()
    assert "as recorded in 2 epochs" in page
    assert "on all 54 training images" in page  # 6 are held out


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


def test_a_folder_with_another_page_is_left_as_it_is(made: Path, tmp_path: Path) -> None:
    (tmp_path / "beale.gif").write_bytes(b"GIF89a")
    line = (
        r"^folder=.*: it holds beale\.gif, which is no page's of runs in motion; allowed is a new "
    )
    with pytest.raises(BadInput, match=line):
        main(["run=last", f"outputs={made}", f"folder={tmp_path}"])
    assert [file.name for file in tmp_path.iterdir()] == ["beale.gif"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1024, 1920])
def test_the_page_fits_any_screen_in_any_light_and_alone(
    browser: Browser, page: Path, tmp_path: Path, width: int, scheme: Any
) -> None:
    alone = tmp_path / "mailed.html"
    alone.write_bytes((page / "index.html").read_bytes())
    opened = visit(browser, width, 900)
    shown = opened.page
    shown.emulate_media(color_scheme=scheme)
    shown.goto(alone.as_uri())
    shown.wait_for_function("views.length === 2")
    assert shown.evaluate("document.documentElement.scrollWidth") == width
    shown.locator("summary").click()
    drawn = shown.locator("img").evaluate_all(
        "(all) => Promise.all(all.map((one) => one.decode().then(() => one.naturalWidth)))"
    )
    assert drawn == [864, 864, 720]
    for image in shown.locator("img").all():
        assert "sgd" in (image.get_attribute("alt") or "")
    links = shown.locator("[href], [src]").evaluate_all(
        "(all) => all.map((one) => one.getAttribute('href') ?? one.getAttribute('src'))"
    )
    assert {link.partition(":")[0] for link in links} == {"data"}
    assert (shown.evaluate("getComputedStyle(document.body).backgroundColor")
            == "rgb(255, 255, 255)") == (scheme == "light")  # fmt: skip
    assert opened.said == []
    asked = {url for url in opened.asked if not url.startswith(("data:", "blob:"))}
    assert asked == {alone.as_uri()}
    shown.context.close()


def test_the_page_plays_and_names_the_run_under_the_pointer_and_asks_for_nothing(
    browser: Browser, made: Path, page: Path
) -> None:
    opened, address = visit(browser, 1024, 900), (page / "index.html").as_uri()
    plays(opened, made, address)
    opened.page.context.close()


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
    for word in ("epoch", "batches", "first direction", "second direction", "loss", "10"):
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
    run = ids(copy, optimizer="sgd", seed="0")
    store, settings = opened(copy)
    store.client.set_terminated(run, "FAILED")
    connect.cache_clear()
    with pytest.raises(BadInput, match=rf"^run={run}: it has no result \(its status is FAILED\)$"):
        ways.of_runs(store, settings | {"run": run})
