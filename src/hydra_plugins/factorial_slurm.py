"""Hydra's seat for a cluster: a sweep as arrays of Slurm's jobs, submitted by submitit."""

import shutil
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from factorial.runs.jobs import in_order
from factorial.settings.extras import needed
from factorial.settings.messages import BadInput
from factorial.settings.rules import FOLDER, NAME, Rule, is_text, many, one_of, or_null, whole

ARRAY = 1000  # jobs in one array: Slurm's own limit, where a cluster has set no other
RULES = {
    "cluster": one_of("slurm", "local"),
    "partition": or_null(NAME),
    "time": whole(1),
    "requeues": whole(0),
    "notice": whole(1),
    "cpus": whole(1, 1024),
    "gpus": whole(0, 1),
    "memory": or_null(whole(1)),
    "parallel": whole(1),
    "setup": many(Rule("text", is_text), "lines of shell"),
    "additional": Rule(
        "sbatch's options with their values: {account: vision, qos: low}",
        lambda given: isinstance(given, dict) and not any(map(is_nested, given.values())),
    ),
    "poll": whole(1),
    "folder": FOLDER,
}


def is_nested(value: Any) -> bool:
    return isinstance(value, dict | list)


class SlurmLauncher(Launcher):
    """Each run a job with `cpus` threads, which goes on wherever its cluster starts it again."""

    def __init__(self, **asked: Any) -> None:
        self.asked: dict[str, Any] = {
            key: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
            for key, value in asked.items()
        }

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Raises BadInput."""
        for key, rule in RULES.items():
            rule.check(f"hydra.launcher.{key}", self.asked[key])
        notice, seconds = self.asked["notice"], 60 * self.asked["time"]
        if notice >= seconds:  # a run would be told as soon as it begins
            raise BadInput(
                f"hydra.launcher.notice={notice}: allowed is less than hydra.launcher.time, "
                f"which is {seconds} seconds"
            )
        needed("submitit", "slurm", "hydra/launcher=slurm")
        if self.is_slurm and shutil.which("sbatch") is None:
            raise BadInput(
                "hydra.launcher.cluster=slurm: there is no sbatch on this machine: allowed is "
                "local, or this command on a machine of the cluster"
            )
        self.check_cards(config.device.kind)
        self.application = hydra_context, task_function, config

    def check_cards(self, device: str) -> None:
        """What a run is, its kind of device too, is decided here: jobs have to have the same."""
        import torch  # here: nobody else needs it so early

        gpus, here = self.asked["gpus"], torch.cuda.is_available()
        if gpus and not here:
            raise BadInput(
                f"hydra.launcher.gpus={gpus}: allowed is 0 where the command itself finds no card, "
                f"as in a job of its own: srun --gpus=1 python train.py ..."
            )
        if here and not gpus and device == "auto":
            raise BadInput(
                "device=auto: allowed with hydra.launcher.gpus=0 is cpu, for here is a card, and "
                "the jobs would have none"
            )

    @property
    def is_slurm(self) -> bool:
        return bool(self.asked["cluster"] == "slurm")

    @property
    def threads(self) -> int:
        """What a run gets that asks for no number of its own: it decides the low bits."""
        return int(self.asked["cpus"])

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        return in_order(self.stream(job_overrides, initial_job_idx))

    def stream(self, jobs: Sequence[Sequence[str]], first: int) -> Generator[tuple[int, JobReturn]]:
        """(index, what became of it) of each job as soon as it has ended, array after array.

        To close the iterator early is to cancel what was submitted. Raises BadInput.
        """
        from factorial.runs.jobs import packed
        from factorial.runs.slurm import Local, Slurm, bring
        from factorial.runs.task import Task

        payload = packed(self.application)
        tasks = [Task(payload, list(words), number) for number, words in enumerate(jobs, first)]
        Path(self.asked["folder"]).mkdir(parents=True, exist_ok=True)
        kind, at_once = (Slurm, ARRAY) if self.is_slurm else (Local, self.asked["parallel"])
        for begin in range(0, len(tasks), at_once):
            for index, done in bring(kind, self.asked, tasks[begin : begin + at_once]):
                yield begin + index, done
