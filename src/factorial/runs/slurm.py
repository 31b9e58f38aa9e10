"""Where a launcher's jobs run: arrays of Slurm, or processes of this machine, both by submitit."""

import contextlib
import io
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from hydra.core.utils import JobReturn

from factorial import console
from factorial.runs.jobs import ended
from factorial.runs.pool import Died
from factorial.runs.task import Task
from factorial.settings.messages import BadInput

OWN = ("SLURM_CONF", "SUBMITIT_PREEMPT_SIGNAL")  # not a job's: of the user who issued it
LEAVING = 60  # seconds for cancelled jobs to write their states; Slurm gives them 30 by default
# States of jobs that neither run nor will; GONE is what the queue has forgotten
GONE = "gone from the queue"
OVER = ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY",
        "PREEMPTED", "REVOKED", "TIMEOUT", GONE)  # fmt: skip


class Slurm:
    """Arrays of Slurm's jobs. Its accounting need not be there: the queue and the results tell."""

    def __init__(self, asked: dict[str, Any], folder: str) -> None:
        import submitit

        cpus = asked["cpus"]
        self.executor = submitit.SlurmExecutor(folder, max_num_timeout=asked["requeues"])
        self.executor.update_parameters(
            job_name="factorial",
            partition=asked["partition"],
            time=asked["time"],
            signal_delay_s=asked["notice"],
            cpus_per_task=cpus,
            srun_args=[f"--cpus-per-task={cpus}"],  # since 22.05 a step does not inherit it
            gpus_per_node=asked["gpus"] or None,
            mem=asked["memory"] and f"{asked['memory']}GB",
            array_parallelism=asked["parallel"],
            setup=asked["setup"],
            stderr_to_stdout=True,
            additional_parameters=asked["additional"],
        )

    def over(self, jobs: Sequence[Any]) -> dict[str, str]:
        """The states of those that have ended or are no longer known; none where nobody answers."""
        ask = ["squeue", "--me", "--array", "--states=all", "--noheader", "--format=%i %T"]
        answer = subprocess.run(ask, capture_output=True, text=True)
        if answer.returncode:
            return {}
        states = dict(line.split() for line in answer.stdout.splitlines())
        known = {job.job_id: states.get(job.job_id, GONE) for job in jobs}
        return {job: state for job, state in known.items() if state in OVER}

    def cancel(self, jobs: Sequence[Any]) -> None:
        subprocess.run(["scancel", *(job.job_id for job in jobs)], check=False)


class Local:
    """Processes of this machine in place of a cluster: no queue, no limits but that of time."""

    def __init__(self, asked: dict[str, Any], folder: str) -> None:
        import submitit

        self.executor = submitit.LocalExecutor(folder, max_num_timeout=asked["requeues"])
        self.executor.update_parameters(
            timeout_min=asked["time"],
            signal_delay_s=asked["notice"],
            gpus_per_node=asked["gpus"],
            setup=asked["setup"],
            stderr_to_stdout=True,
        )

    def over(self, jobs: Sequence[Any]) -> dict[str, str]:
        return {job.job_id: job.state for job in jobs if job.done()}

    def cancel(self, jobs: Sequence[Any]) -> None:
        """Each one's controller hands it on; `job.cancel` would kill after a second."""
        for job in jobs:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(job.job_id), signal.SIGTERM)


def submit(cluster: Slurm | Local, tasks: Sequence[Task]) -> list[Any]:
    """All of them at once. Raises BadInput with what sbatch says where it refuses."""
    from submitit.core.utils import FailedJobError

    said = io.StringIO()  # submitit prints what it raises as well
    try:
        with contextlib.redirect_stderr(said), outside():
            return list(cluster.executor.submit_array(tasks))
    except FailedJobError as error:
        lines = [line.removeprefix("sbatch: error: ") for line in str(error).splitlines()]
        raise BadInput(f"hydra/launcher=slurm: sbatch refuses it: {'; '.join(lines)}") from error


@contextlib.contextmanager
def outside() -> Iterator[None]:
    """Where this command is a job itself, without what that job's options are to Slurm."""
    from submitit.core.utils import environment_variables
    from submitit.helpers import clean_env

    if "SLURM_JOB_ID" not in os.environ:
        yield
        return
    own = {name: os.environ[name] for name in OWN if name in os.environ}
    with clean_env(), environment_variables(**own):
        yield


def bring(
    kind: type[Slurm] | type[Local], asked: dict[str, Any], tasks: Sequence[Task]
) -> Generator[tuple[int, JobReturn]]:
    """(index, what became of it) of each job as soon as it has ended.

    To close the iterator early is to cancel the others. Raises BadInput.
    """
    # a folder of its own: numbers of jobs come again some day, and results are found by them
    folder = tempfile.mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), dir=asked["folder"])
    cluster = kind(asked, folder)
    jobs = submit(cluster, tasks)
    console.say(f"{len(jobs)} jobs submitted, from {jobs[0].job_id} on; their logs: {folder}")
    waiting = dict(enumerate(jobs))
    try:
        for index, done in follow(cluster, jobs, asked["poll"]):
            del waiting[index]
            yield index, done
    except BaseException:
        cancel(cluster, list(waiting.values()))
        raise


def follow(
    cluster: Slurm | Local, jobs: Sequence[Any], poll: int
) -> Generator[tuple[int, JobReturn]]:
    """(index, what became of it) of each job that has left a result or, asked twice, the queue.

    Once is not enough: a file may be seen late, and a job may be on its way into the queue again.
    """
    waiting, missing, asked = dict(enumerate(jobs)), dict[str, str](), time.monotonic()
    while waiting:
        time.sleep(1)
        missed: dict[str, str] = {}
        if time.monotonic() - asked > poll:
            now, asked = cluster.over(list(waiting.values())), time.monotonic()
            missed, missing = {job: now[job] for job in missing.keys() & now.keys()}, now
        there = set(os.listdir(jobs[0].paths.folder))  # one question to a file system far away
        for index, job in list(waiting.items()):
            if job.paths.result_pickle.name in there:
                yield index, result(job)
            elif job.job_id in missed:
                yield index, ended(Died(said(job, missed[job.job_id])))
            else:
                continue
            del waiting[index]


def result(job: Any) -> JobReturn:
    try:
        given: JobReturn = job.result()
    except Exception:
        return ended(Died(said(job, "with an error")))
    return given


def said(job: Any, state: str) -> str:
    return f"job {job.job_id} ended {state}: its log is {job.paths.stdout}"


def cancel(cluster: Slurm | Local, jobs: Sequence[Any]) -> None:
    """Those that run write their states first; waits until all have left."""
    console.say(f"cancelling {len(jobs)} jobs: those that run write their states first")
    cluster.cancel(jobs)
    deadline = time.monotonic() + LEAVING
    while len(cluster.over(jobs)) < len(jobs) and time.monotonic() < deadline:
        time.sleep(1)
