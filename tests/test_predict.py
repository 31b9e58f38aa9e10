"""Images of any size, colour and polarity, read by a recorded run; the winner served by MLflow."""

import json
import math
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import numpy as np
import pytest
import torch
from conftest import ROOT
from PIL import Image, ImageOps
from processes import train
from running import client, recorded

from factorial.record import predictions
from factorial.reuse import images, weights
from factorial.settings.messages import BadInput
from factorial.training import data
from factorial.training.sources import Source

TEST = data.read(Source("digits")).test


def picture(index: int) -> Image.Image:
    """A test image of the digits, light on dark, 8 x 8."""
    return Image.fromarray((TEST.images[index, 0].numpy() * 15.9).astype(np.uint8))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    words = ["-m", "data=digits", "model=mlp", "epochs=40", "seed=0,1"]
    assert train(folder, *words).returncode == 0
    return folder


def test_an_image_of_the_models_size_is_taken_as_it_is(tmp_path: Path) -> None:
    picture(0).save(tmp_path / "one.png")
    read = images.read(tmp_path / "one.png", [8, 8], "digits")
    assert read == pytest.approx(np.asarray(picture(0)) / 255)


@pytest.mark.parametrize("kind", ["inverted.png", "colour.png", "16 bit.png", "transparent.png"])
def test_the_same_drawing_is_the_same_image_however_it_is_stored(tmp_path: Path, kind: str) -> None:
    drawn, file = picture(3), tmp_path / kind
    if kind.startswith("transparent"):  # black ink on nothing
        ink = Image.new("RGBA", drawn.size, "black")
        ink.putalpha(drawn)
        ink.save(file)
    elif kind.startswith("16"):
        Image.fromarray(np.asarray(drawn).astype(np.uint16) * 257).save(file)
    else:
        (ImageOps.invert(drawn) if "inverted" in kind else drawn.convert("RGB")).save(file)
    assert images.read(file, [8, 8], "digits") == pytest.approx(np.asarray(drawn) / 255, abs=1e-6)


def test_a_drawing_is_cut_out_scaled_and_centred_by_its_mass(tmp_path: Path) -> None:
    """A square of 30 pixels, dark on light, in a corner of 200 x 100: 20 pixels in the middle."""
    page = np.full((100, 200), 255, dtype=np.uint8)
    page[5:35, 10:40] = 0
    Image.fromarray(page).save(tmp_path / "square.jpg", quality=95)
    read = images.read(tmp_path / "square.jpg", [28, 28], "mnist")
    expected = np.zeros((28, 28))
    expected[4:24, 4:24] = 1
    assert np.abs(read - expected).mean() < 0.02
    assert images.centre(read) == pytest.approx([14, 14], abs=0.1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no image", "no image that can be read; allowed are PNG and JPEG"),
        (b"", "no image that can be read"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "no image that can be read"),
        (b"GIF89a" + bytes(50), "no image that can be read"),
    ],
)
def test_a_file_that_is_no_image_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "image.png"
    file.write_bytes(content)
    with pytest.raises(BadInput, match=message):
        images.read(file, [8, 8], "digits")


def test_a_blank_page_is_one_line(tmp_path: Path) -> None:
    Image.new("L", (50, 50), "white").save(tmp_path / "blank.png")
    with pytest.raises(BadInput, match="nothing is drawn on it"):
        images.read(tmp_path / "blank.png", [8, 8], "digits")


def predict(folder: Path, *words: str) -> tuple[int, str, str]:
    done = train(folder, *words, command="predict")
    return done.returncode or 0, done.stdout, done.stderr


@pytest.mark.slow
def test_predictions_are_the_runs_own(made: Path, tmp_path: Path) -> None:
    """The classes that the run recorded for its test set, image by image."""
    run = next(run for run in client(made).search_runs(["1"]) if "recipe" in run.data.tags)
    artifacts = made / "runs" / run.info.run_id / "artifacts"
    seen = predictions.unpack(artifacts / predictions.FILE)
    assert seen is not None
    for index in range(20):
        picture(index).save(tmp_path / f"{index:02}.png")
    code, said, _ = predict(made, f"run={run.info.run_id}", str(tmp_path))
    assert code == 0
    lines = [line for line in said.splitlines() if ".png" in line]
    assert [int(line.split()[1]) for line in lines] == seen.predicted[:20].tolist()
    for line in lines:
        shares = [float(word.strip(",)")) for word in line.split() if word.startswith(("0.", "1."))]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 1.0002


@pytest.mark.slow
def test_what_can_not_be_read_is_said_and_the_others_are_read(made: Path, tmp_path: Path) -> None:
    picture(0).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no image")
    picture(1).save(tmp_path / "c.png")
    code, said, wrong = predict(made, str(tmp_path))
    assert code == 1
    assert said.count(".png") == 2
    assert wrong == (
        f"error: {tmp_path / 'b.png'}: no image that can be read; allowed are PNG and JPEG\n"
    )


@pytest.mark.slow
def test_bad_words_are_one_line(made: Path, tmp_path: Path) -> None:
    (parent,) = [run for run in recorded(made) if "command" in run.data.tags]
    sweep = parent.data.tags["sweep"][:10]
    for words, message in (
        ([], "error: no image is named: allowed are PNG and JPEG files, or folders of them\n"),
        ([str(tmp_path)], f"error: {tmp_path}: no PNG or JPEG file is in this folder\n"),
        (["none.png"], "error: none.png: there is no such file or folder\n"),
        (["run=zz", str(ROOT / "docs" / "mlflow.png")], "error: run=zz: no run begins so"),
        (["images=none.png"], "error: none.png: there is no such file or folder\n"),
        ([f"run={sweep}", "none.png"], "error: none.png: there is no such file or folder\n"),
        (
            [f"run={sweep}", str(ROOT / "docs" / "mlflow.png")],
            f"error: run={sweep}: that is a sweep",
        ),
    ):
        code, _, wrong = predict(made, *words)
        assert code == 1
        assert wrong.startswith(message)
        assert wrong.count("\n") == 1


@pytest.mark.slow
def test_damaged_weights_are_one_line(made: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(made, tmp_path / "copy"))
    for file in copy.rglob("weights.safetensors"):
        file.write_bytes(file.read_bytes()[:1000])
    picture(0).save(tmp_path / "a.png")
    code, _, wrong = predict(copy, str(tmp_path / "a.png"))
    assert code == 1
    assert "weights.safetensors is not of its model" in wrong


@pytest.mark.slow
@pytest.mark.parametrize("pixel", [math.nan, math.inf, -1.0, 16.1])
def test_a_served_model_refuses_what_is_no_pixel(pixel: float) -> None:
    """In the exported graph, which MLflow serves, as well."""
    served = weights.Served(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3)), 16)
    batch = torch.full((2, 2, 2), 16.0)
    free = ({0: torch.export.Dim.AUTO},)
    exported = torch.export.export(served.eval(), (batch,), dynamic_shapes=free).module()
    wrong = torch.zeros(5, 2, 2)
    wrong[3, 1, 0] = pixel
    for model in (served, exported):
        assert model(torch.zeros(5, 2, 2)).shape == (5, 3)
        assert model(batch).sum(1).tolist() == pytest.approx([1, 1])
        with pytest.raises(RuntimeError, match="pixels: allowed are 0 to 16"):
            model(wrong)


@pytest.mark.slow
def test_the_winner_is_registered_and_served_by_mlflow(made: Path) -> None:
    done = train(made, "name=digits", command="register")
    assert done.returncode == 0, done.stderr
    (version,) = client(made).search_model_versions("name = 'digits'")
    runs = [run for run in client(made).search_runs(["1"]) if "recipe" in run.data.tags]
    best = max(runs, key=lambda run: run.data.metrics["validation/accuracy"])
    assert version.run_id == best.info.run_id
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = next(line for line in done.stdout.splitlines() if line.startswith("serve it: "))
    command = said.removeprefix("serve it: ")  # as it stands, in a shell that knows no more
    assert "MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false " in command
    server = subprocess.Popen(f"{command} -p {port}", shell=True, cwd=ROOT, start_new_session=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        pixels = TEST.images[:5].float().tolist()
        address = f"http://127.0.0.1:{port}/invocations"
        answer = ask(address, {"inputs": pixels})
        for pixel in (math.nan, -1.0):
            with pytest.raises(HTTPError, match="400"):
                ask(address, {"inputs": [[[[pixel] * 8] * 8]]})
    finally:
        os.killpg(server.pid, 15)
        server.wait()
    probabilities = torch.tensor(answer["predictions"])
    assert probabilities.shape == (5, 10)
    assert probabilities.sum(1).tolist() == pytest.approx([1] * 5)
    assert probabilities.argmax(1).tolist() == TEST.labels[:5].tolist()


def ask(address: str, document: object) -> dict[str, list[list[float]]]:
    request = Request(address, json.dumps(document).encode(), {"Content-Type": "application/json"})
    deadline = time.monotonic() + 60
    while True:
        try:
            with urlopen(request, timeout=10) as response:
                return dict(json.load(response))
        except HTTPError:
            raise
        except (URLError, OSError):
            assert time.monotonic() < deadline
            time.sleep(0.3)


@pytest.mark.parametrize(("paper", "ink"), [(100, 20), (150, 255), (250, 0), (0, 255), (60, 200)])
def test_any_background_is_one(tmp_path: Path, paper: int, ink: int) -> None:
    """Paper grey or white, ink darker or lighter, and more of it than of paper."""
    page = np.full((100, 100), paper, dtype=np.uint8)
    page[10:90, 10:90] = ink
    Image.fromarray(page).save(tmp_path / "page.png")
    read = images.read(tmp_path / "page.png", [28, 28], "mnist")
    assert read[4:24, 4:24].min() == pytest.approx(1)
    assert read.sum() == pytest.approx(400)


@pytest.mark.slow
def test_weights_of_another_training_are_refused(made: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(made, tmp_path / "copy"))
    one, other = sorted(copy.rglob("weights.safetensors"))
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    picture(0).save(tmp_path / "a.png")
    code, _, wrong = predict(copy, str(tmp_path / "a.png"))
    assert code == 1
    assert "weights.safetensors is not what it was when the run ended" in wrong
