"""Runs as Slurm's jobs: the same bits, whatever stops them; what a death costs; how it is said."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from processes import start, train
from running import children, parents, recorded, weights
from single_node import lacking, running
from underway import LONG, are_training, closing, resumed, states, straight, wait_for

pytestmark = pytest.mark.slow
pytest.importorskip("submitit")

SLURM = ["hydra/launcher=slurm", "hydra.launcher.cpus=1", "hydra.launcher.poll=1"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    if why := lacking():
        if "CI" in os.environ:
            pytest.fail(why)
        pytest.skip(f"no Slurm to test with: {why}")
    with running(tmp_path_factory.mktemp("slurm")) as env:
        yield env


def ask(env: dict[str, str], *words: str) -> list[str]:
    done = subprocess.run(words, env=env, check=True, capture_output=True, text=True)
    return done.stdout.split()


def queue(env: dict[str, str], *words: str) -> list[str]:
    return ask(env, "squeue", "--noheader", "--array", "--format=%i", *words)


def test_an_array_of_jobs_gives_what_the_sweep_alone_gives(
    cluster: dict[str, str], outputs: Path, tmp_path: Path
) -> None:
    words = ["-m", "data=digits", "model=linear", "optimizer=sgd", "epochs=1,3", "seed=0,1"]
    ledgers = [tmp_path / "slurm.json", tmp_path / "alone.json"]
    done = train(outputs, *words, *SLURM, f"ledger={ledgers[0]}", env=cluster)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert train(tmp_path / "alone", *words, f"ledger={ledgers[1]}").returncode == 0
    assert ledgers[0].read_bytes() == ledgers[1].read_bytes()
    assert sorted(weights(outputs).values()) == sorted(weights(tmp_path / "alone").values())
    assert {run.data.params["threads"] for run in children(outputs)} == {"1"}
    assert (len(parents(outputs)), states(outputs)) == (1, ["FINISHED"] * 4)
    (script,) = outputs.glob("slurm/*/*_submission.sh")
    assert "--array=0-3%4" in script.read_text()
    (step,) = re.findall("^srun .*", script.read_text(), re.MULTILINE)
    assert " --cpus-per-task=1 " in step
    assert "4 cached" in train(outputs, *words, *SLURM, env=cluster).stdout
    assert len(list(outputs.glob("slurm/*"))) == 1


def test_whatever_stops_a_job_it_goes_on_to_the_same_bits(
    cluster: dict[str, str], outputs: Path
) -> None:
    """The administrator's requeue; the signal before the time is over; a preemption with grace."""
    begun = start(outputs, *LONG, *SLURM, "hydra.launcher.partition=patient", env=cluster)
    wait_for(lambda: are_training(outputs))
    one, other = queue(cluster, "--state=RUNNING")
    ask(cluster, "scontrol", "requeue", one)
    ask(cluster, "scancel", "--signal=USR2", other)
    wait_for(lambda: 0 not in resumed(outputs))
    before = sum(resumed(outputs))
    wait_for(lambda: are_training(outputs, max(resumed(outputs))))
    ask(cluster, "sbatch", "--partition=urgent", "--cpus-per-task=2", "--output=none", "--wrap=:")
    assert begun.ended() == 0, begun.stdout + begun.stderr
    assert sum(resumed(outputs)) > before
    assert closing(begun.stdout) == {"2 resumed"}
    assert states(outputs) == ["FINISHED"] * 2
    assert weights(outputs) == straight()


def test_a_cancelled_job_costs_one_run_which_is_tried_again_where_that_is_asked_for(
    cluster: dict[str, str], outputs: Path
) -> None:
    begun = start(outputs, *LONG, *SLURM, "retries=1", env=cluster)
    wait_for(lambda: are_training(outputs))
    lost, _ = queue(cluster)
    ask(cluster, "scancel", lost)
    assert begun.ended() == 0, begun.stdout + begun.stderr
    assert f"Died: job {lost} ended CANCELLED: its log is {outputs}/slurm/" in begun.stdout
    assert begun.stdout.count(" LOST ") == 1
    assert len(list(outputs.glob("slurm/*"))) == 2
    assert closing(begun.stdout) == {"1 new", "1 resumed"}
    assert states(outputs) == ["FINISHED"] * 2
    assert weights(outputs) == straight()


def test_ctrl_c_cancels_the_jobs_which_leave_states(cluster: dict[str, str], outputs: Path) -> None:
    words = [*LONG[:-1], "seed=0,1,2,3"]
    begun = start(outputs, *words, *SLURM, env=cluster)
    wait_for(lambda: are_training(outputs))
    begun.kill(signal.SIGINT)
    assert begun.returncode == 130
    assert "cancelling 4 jobs: those that run write their states first" in begun.stdout
    assert queue(cluster) == []
    assert states(outputs) == ["KILLED", "KILLED"]
    kept = [file.name for file in (outputs / "checkpoints").rglob("*.safetensors")]
    assert len(kept) == 2 and all(name.startswith("partial-") for name in kept)
    done = train(outputs, *LONG, *SLURM, env=cluster)
    assert closing(done.stdout) == {"2 continued"}
    assert straight().items() <= weights(outputs).items()


def test_jobs_outlive_their_command_and_answer_the_next(
    cluster: dict[str, str], outputs: Path
) -> None:
    begun = start(outputs, *LONG, *SLURM, env=cluster)
    wait_for(lambda: are_training(outputs))
    begun.kill(signal.SIGKILL)
    again = train(outputs, *LONG, *SLURM, env=cluster)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "2 cached" in again.stdout
    assert states(outputs) == ["FINISHED"] * 2 and len(recorded(outputs)) == 3
    assert weights(outputs) == straight()


@pytest.mark.parametrize(
    ("word", "line"),
    [
        (
            "hydra.launcher.partition=nowhere",
            "hydra/launcher=slurm: sbatch refuses it: invalid partition specified: nowhere; "
            "Batch job submission failed: Invalid partition name specified",
        ),
        (
            "+hydra.launcher.additional.colour=red",
            "hydra/launcher=slurm: sbatch refuses it: sbatch: unrecognized option '--colour=red'; "
            'Try "sbatch --help" for more information',
        ),
        (
            "hydra.launcher.time=0",
            "hydra.launcher.time=0: allowed is a whole number, 1 or more",
        ),
        (
            "hydra.launcher.time=1",
            "hydra.launcher.notice=90: allowed is less than hydra.launcher.time, which is 60 "
            "seconds",
        ),
        (
            "hydra.launcher.cluster=cloud",
            "hydra.launcher.cluster=cloud: allowed is one of slurm, local",
        ),
    ],
)
def test_what_is_refused_is_said_in_one_line(
    word: str, line: str, cluster: dict[str, str], outputs: Path
) -> None:
    done = train(outputs, *LONG, *SLURM, word, env=cluster)
    assert (done.returncode, done.stderr.strip()) == (1, f"error: {line}")
    assert queue(cluster) == [] and children(outputs) == []


def test_where_there_is_no_slurm_it_is_said_before_anything_starts(tmp_path: Path) -> None:
    done = train(tmp_path / "outputs", *LONG, *SLURM, env={"PATH": "/nowhere"})
    assert done.returncode == 1
    line = (
        "hydra.launcher.cluster=slurm: there is no sbatch on this machine: allowed is local, or "
        "this command on a machine of the cluster"
    )
    assert done.stderr.strip() == f"error: {line}"
    assert not (tmp_path / "outputs").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a card")
def test_jobs_have_the_kind_of_device_by_which_a_run_is_known(outputs: Path) -> None:
    """Or else it would be another run, and found on record by nobody."""
    done = train(outputs, *LONG, *SLURM, "hydra.launcher.gpus=1", "hydra.launcher.cluster=local")
    line = (
        "hydra.launcher.gpus=1: allowed is 0 where the command itself finds no card, as in a job "
        "of its own: srun --gpus=1 python train.py ..."
    )
    assert (done.returncode, done.stderr.strip()) == (1, f"error: {line}")
