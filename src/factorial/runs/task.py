"""A run as a cluster's job: stopped by Slurm, it is started again and goes on from its state."""

import os
import signal
import subprocess
from typing import Any, NoReturn

from hydra.core.utils import JobReturn

from factorial.runs.jobs import ended, execute


class Task:
    """A run as submitit takes it: started again by its cluster, it goes on from its state."""

    def __init__(self, payload: bytes, words: list[str], number: int) -> None:
        self.payload, self.words, self.number = payload, words, number

    def __call__(self) -> JobReturn:
        """Asked to stop, it leaves as the run does, behind a batch; or queues itself again."""
        signal.signal(signal.SIGTERM, leave)  # submitit's own would go on
        if environment().cluster == "local":
            os.setpgrp()  # Ctrl-C is for the command, which asks its jobs to stop
        try:
            return execute(self.payload, self.words, self.number)
        except SystemExit as stop:
            if not is_dropped(stop.code):
                raise
            return queue_again()

    def checkpoint(self) -> Any:
        """What submitit runs next time: the same, for the state lies with the record."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def leave(number: int, frame: Any) -> NoReturn:  # noqa: ARG001
    raise SystemExit(128 + number)


def environment() -> Any:
    """What submitit knows of the job that this process is."""
    import submitit

    return submitit.JobEnvironment()


def preempting() -> int:
    """The signal at which submitit queues a job again."""
    return int(getattr(signal, f"SIG{environment().USR_SIG}"))


def is_dropped(code: object) -> bool:
    """Whether a job that was stopped would not be started again, although nobody cancelled it.

    Slurm counts it as running still where its time is nearly over, or within the grace time of a
    preemption: if it left now that would be its end. What is being cancelled or requeued is not.
    """
    here = environment()
    if here.cluster == "local":
        return code == 128 + preempting()
    ask = ["squeue", "--noheader", f"--jobs={here.job_id}", "--format=%T"]
    return subprocess.run(ask, capture_output=True, text=True).stdout.strip() == "RUNNING"


def queue_again() -> JobReturn:
    """By submitit's own handler, which ends this process; what keeps it from that is returned."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # Slurm sends it to what is queued again
    try:
        signal.raise_signal(preempting())
    except Exception as error:
        return ended(error)
    raise AssertionError("submitit's handler leaves")
