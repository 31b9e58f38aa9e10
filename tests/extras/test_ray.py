"""Sweeps as tasks of Ray: on this machine, and on two that share nothing but a tracking server."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from conftest import ROOT
from processes import train
from running import children, table
from test_parallel import MORTAL
from world import HEAD, SERVER, World, wait_for

pytest.importorskip("ray")

RAY = "hydra/launcher=ray"
LINEAR = ["-m", "data=digits", "model=linear", "optimizer=sgd", "epochs=1"]
GRID = ["-m", "data=digits", "model=linear,mlp", "optimizer=adam", "epochs=1,2", "seed=0,1"]
CORES = len(os.sched_getaffinity(0))
LONG = ["-m", "data=digits", "model=mlp", "optimizer=adam", "epochs=80"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two nodes and a tracking server. The second has no MNIST, and an `own` module of its own."""
    world = World(tmp_path_factory.mktemp("w"))
    try:
        for name in ("one", "two"):
            (world.folder / name).mkdir()
            (world.folder / name / "own.py").write_text(f"# {name}\n{OWN}")
        world.serve()
        world.node("one", "127.0.0.1", "--head", "--include-dashboard=false",
                   f"--temp-dir={world.folder}/r", PYTHONPATH=f"{world.folder}/one")  # fmt: skip
        world.node("two", "127.0.0.2", f"--address={HEAD}", PYTHONPATH=f"{world.folder}/two",
                   FACTORIAL_DATA=f"{world.folder}/two/data")  # fmt: skip
        yield world
    finally:
        world.end()


OWN = """
import torch

class Own(torch.nn.Sequential):
    def __init__(self, shape, classes):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(64, classes))
"""


def elsewhere(world: World, *words: str) -> list[str]:
    """`python train.py ...` on the cluster, each machine with what it writes on its own disk."""
    places = f"outputs=${{oc.env:DISK,{world.folder}/command}}"
    return [sys.executable, "train.py", *words, RAY, f"hydra.launcher.address={HEAD}",
            "report=false", "tracking=server", f"tracking.uri={SERVER}", places]  # fmt: skip


def hosts(runs: list[Any]) -> dict[str, str]:
    """Where each run was trained, by its name."""
    return {run.info.run_name: run.data.tags["owner"].split('"')[1] for run in runs}


def swept(world: World, said: str) -> list[Any]:
    """The children of the sweep that a command has spoken of."""
    (sweep,) = re.findall(r"^sweep (\w{8}):", said, re.MULTILINE)
    known = children(world.folder / "server")
    return [run for run in known if run.data.tags["sweep"].startswith(sweep)]


def trains(disk: Path, epoch: int, before: Collection[Path] = ()) -> bool:
    """Whether a run is so far there that was not there before."""
    new = logs(disk) - set(before)
    return any(re.search(rf"epoch +{epoch}/", file.read_text()) for file in new)


def logs(disk: Path) -> set[Path]:
    return set(disk.glob("runs/*/artifacts/train.log"))


def here(folder: Path, *words: str, python: str = sys.executable, **env: str) -> Any:
    """`python train.py -m ...` through a Ray of its own on this machine, in a plain process."""
    command = [python, "train.py", *words, RAY, "report=false", f"outputs={folder}"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | env, **pipes)


def listening(process: psutil.Process) -> set[str]:
    """The addresses on which a process and all below it can be reached."""
    found = set()
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            sockets = one.net_connections("inet")
            found |= {each.laddr.ip for each in sockets if each.status == psutil.CONN_LISTEN}
    return found


def test_on_this_machine_it_is_the_sweep_without_a_launcher_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    """Nobody on another machine can reach it while it runs."""
    folders = set(Path(tempfile.gettempdir()).glob("ray-*"))
    begun = here(tmp_path / "ray", *GRID, f"ledger={tmp_path}/ray.json")
    command = psutil.Process(begun.pid)
    wait_for(lambda: begun.poll() is not None or trains(tmp_path / "ray", 1))
    addresses, processes = listening(command), command.children(recursive=True)
    said, complained = begun.communicate(timeout=120)
    assert (begun.returncode, complained) == (0, ""), said + complained
    assert addresses and addresses <= {"127.0.0.1", "::ffff:127.0.0.1"}
    assert len(processes) > 4
    wait_for(lambda: not any(process.is_running() for process in processes))
    assert set(Path(tempfile.gettempdir()).glob("ray-*")) <= folders
    assert train(tmp_path / "alone", *GRID, f"ledger={tmp_path}/alone.json").returncode == 0
    assert (tmp_path / "ray.json").read_bytes() == (tmp_path / "alone.json").read_bytes()
    assert {run.data.params["threads"] for run in children(tmp_path / "ray")} == {"1"}


def test_a_worker_that_dies_costs_its_own_run_and_no_try_that_was_not_asked_for(
    tmp_path: Path,
) -> None:
    (tmp_path / "mortal.py").write_text(MORTAL)
    (tmp_path / "graves").mkdir()
    words = [*LINEAR, "model._target_=mortal.Mortal", f"+model.where={tmp_path}/graves",
             "+model.lives={forever:99,once:1}", "+model.name=a,forever,once",
             "retries=1"]  # fmt: skip
    begun = here(tmp_path / "outputs", *words, PYTHONPATH=str(tmp_path))
    said, complained = begun.communicate(timeout=120)
    assert (begun.returncode, complained) == (1, "")
    assert [row[-1] for row in table(said)] == ["FINISHED", "LOST", "FINISHED"]
    graves = sorted(file.name for file in (tmp_path / "graves").iterdir())
    assert graves == ["forever-0", "forever-1", "once-0"]
    runs = {run.data.params["model.name"]: run for run in children(tmp_path / "outputs")}
    assert len(children(tmp_path / "outputs")) == 3
    failure = runs["forever"].data.tags["failure"]
    assert failure.startswith("its process died (Died: WorkerCrashedError, The worker died")


NO_ROOM = "or less, which is the most that a node has"
WRONG = {
    "cpus=0": "allowed is a whole number, 1 to 1024",
    "cpus=1.5": "allowed is a whole number, 1 to 1024",
    "cpus=1024": f"allowed is {CORES} {NO_ROOM}",
    "gpus=-1": "allowed is 0, a part of a card such as 0.5, or a whole number of cards, or null",
    "gpus=1.5": "allowed is 0, a part of a card such as 0.5, or a whole number of cards, or null",
    "gpus=999": f"allowed is {torch.cuda.device_count()} {NO_ROOM}",
    "address=nowhere": "allowed is auto, or HOST:PORT of a Ray that runs, or null",
    "address=127.0.0.1:1": "allowed is null, or a Ray that runs and has a node on this machine "
    "([Errno 111] Connection refused)",
    "working_dir=conf": "allowed is a checkout, in which train.py lies, or null",
    "folder=here": "allowed is a folder's full name, or null",
}


@pytest.mark.parametrize(("word", "line"), WRONG.items())
def test_wrong_input_is_one_line_and_nothing_starts(word: str, line: str, tmp_path: Path) -> None:
    begun = here(tmp_path / "outputs", *GRID, f"hydra.launcher.{word}")
    said, complained = begun.communicate(timeout=60)
    assert begun.returncode == 1
    assert complained.strip() == f"error: hydra.launcher.{word}: {line}"
    assert "sweep" not in said and not (tmp_path / "outputs").exists()


def test_without_ray_it_says_what_to_install(tmp_path: Path) -> None:
    begun = here(tmp_path / "outputs", *GRID, python=str(ROOT / ".venv/bin/python"))
    _, complained = begun.communicate(timeout=60)
    assert begun.returncode == 1
    assert complained.strip() == (
        "error: hydra/launcher=ray: needs ray, which is not installed: allowed after "
        "`pip install --editable '.[ray]'`"
    )


def test_what_the_cluster_has_no_room_or_no_record_for_is_one_line(world: World) -> None:
    done = world.run(*elsewhere(world, *GRID), "hydra.launcher.cpus=2")
    line = f"error: hydra.launcher.cpus=2: allowed is 1 {NO_ROOM}"
    assert (done.returncode, done.stderr.strip()) == (1, line)
    command = [word for word in elsewhere(world, *GRID) if not word.startswith("tracking")]
    done = world.run(*command)
    line = "allowed is tracking=server, for this Ray has nodes on other machines ([127.0.0.2])"
    assert (done.returncode, done.stderr.strip()) == (1, f"error: tracking=local: {line}")


def test_two_machines_give_the_sweep_that_one_process_gives(world: World, tmp_path: Path) -> None:
    done = world.run(*elsewhere(world, *GRID, f"ledger={tmp_path}/two.json"))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert train(tmp_path / "alone", *GRID, f"ledger={tmp_path}/one.json").returncode == 0
    assert (tmp_path / "two.json").read_bytes() == (tmp_path / "one.json").read_bytes()
    runs = children(world.folder / "server")
    assert [run.info.status for run in runs] == ["FINISHED"] * 8
    assert {run.data.params["threads"] for run in runs} == {"1"}
    assert set(hosts(runs).values()) == {"one", "two"}
    for name in ("one", "two"):
        here = {folder.name for folder in (world.folder / name / "runs").iterdir()}
        assert here == {run.info.run_id for run in runs if hosts([run])[run.info.run_name] == name}


def test_a_machine_with_other_code_refuses_and_trains_nothing(world: World) -> None:
    words = ["-m", "data=digits", "model=linear", "model._target_=own.Own", "optimizer=sgd",
             "epochs=1", "seed=range(6)"]  # fmt: skip
    done = world.run(*elsewhere(world, *words), PYTHONPATH=f"{world.folder}/one")
    assert done.returncode == 1, done.stdout + done.stderr
    runs = swept(world, done.stdout)
    failed = [run for run in runs if run.info.status == "FAILED"]
    assert {run.data.tags["failure"] for run in failed} == {
        "recipe on two: other code than the command has; allowed is the same"
    }
    assert set(hosts([run for run in runs if run not in failed]).values()) == {"one"}
    assert not any("train/loss" in run.data.metrics for run in failed)


@pytest.mark.mnist
def test_a_machine_without_the_data_does_not_train_on_others(world: World) -> None:
    words = ["-m", "model=linear", "optimizer=sgd", "epochs=1", "seed=range(4)"]
    done = world.run(*elsewhere(world, *words))
    runs = swept(world, done.stdout)
    reasons = {run.data.tags["failure"] for run in runs if run.info.status == "FAILED"}
    (reason,) = reasons
    line = "recipe on two: other config, data, validation than the command has; allowed is the same"
    assert reason.startswith(f"{line} (")
    assert {run.data.params["data"] for run in runs} == {"mnist"}


def test_a_checkout_that_is_sent_is_what_runs(world: World, tmp_path: Path) -> None:
    """Other code than is installed there, its commit on record though nothing is installed."""
    copy = tmp_path / "copy"
    subprocess.run(["git", "clone", "--quiet", ROOT, copy], check=True)
    with (copy / "src/factorial/training/trainer.py").open("a") as file:
        file.write("# another\n")
    command = [*elsewhere(world, *LINEAR, "seed=0,1"), f"hydra.launcher.working_dir={copy}"]
    command[1] = str(copy / "train.py")
    done = world.run(*command, PYTHONPATH=f"{copy}/src")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    runs = swept(world, done.stdout)
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=copy, text=True).strip()
    assert {run.data.tags["git.commit"] for run in runs} == {commit}
    patches = list(world.folder.glob(f"*/runs/{runs[0].info.run_id}/artifacts/git.patch"))
    assert [file.read_text().count("+# another") for file in patches] == [1]
    unsent = world.run(*command[:-1], "seed=5,6", PYTHONPATH=f"{copy}/src")
    assert unsent.stdout.count("other code than the command has") == 4


@pytest.mark.parametrize(("number", "seeds"), [(signal.SIGINT, "0,1,2"), (signal.SIGTERM, "6,7,8")])
def test_a_command_that_is_stopped_stops_its_runs_wherever_they_are(
    number: signal.Signals, seeds: str, world: World
) -> None:
    before = {disk: logs(disk) for disk in (world.folder / "one", world.folder / "two")}
    begun = world.start(*elsewhere(world, *LONG, f"seed={seeds}"))
    wait_for(lambda: all(trains(disk, 5, old) for disk, old in before.items()))
    (process,) = psutil.Process(begun.pid).children()
    process.send_signal(number)
    said, complained = begun.communicate(timeout=120)
    assert begun.returncode == 130
    assert "stopped after 0 of 3 combinations" in said
    lines = [line for line in complained.splitlines() if "network_util.cc" not in line]
    assert lines == ["stopped: the same command goes on from here"]
    assert [run.info.status for run in swept(world, said)] == ["KILLED", "KILLED"]
    for disk in before:
        assert list(disk.glob("checkpoints/*/*/partial-*.safetensors"))


def test_a_node_that_dies_costs_a_try_and_the_sweep_is_the_same(
    world: World, tmp_path: Path
) -> None:
    """The last one on this cluster: only its first node is left."""
    before = logs(world.folder / "two")
    words = [*LONG, "seed=3,4,5"]
    begun = world.start(*elsewhere(world, *words, "retries=1", f"ledger={tmp_path}/two.json"))
    wait_for(lambda: trains(world.folder / "two", 5, before))
    world.kill("two")
    said, complained = begun.communicate(timeout=120)
    assert begun.returncode == 0, said + complained
    assert len(re.findall(r"^\d/3  LOST ", said, re.MULTILINE)) == 1
    assert "raylet" not in said
    runs = swept(world, said)
    assert [run.info.status for run in runs] == ["FINISHED"] * 3
    assert set(hosts(runs).values()) == {"one"}
    assert train(tmp_path / "alone", *words, f"ledger={tmp_path}/one.json").returncode == 0
    assert (tmp_path / "two.json").read_bytes() == (tmp_path / "one.json").read_bytes()
