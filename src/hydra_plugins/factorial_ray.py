"""Hydra's seat for runs on several machines: each is a task of Ray's, which finds room for it."""

import functools
import os
from collections.abc import Generator, Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from factorial.runs.jobs import ended, in_order
from factorial.runs.ray import Cluster
from factorial.settings.messages import BadInput, shown
from factorial.settings.rules import Rule, is_number, or_null, spelled, whole

RULES = {
    "address": or_null(Rule("auto, or HOST:PORT of a Ray that runs", spelled(r"auto|[\w.-]+:\d+"))),
    "cpus": whole(1, 1024),
    "gpus": or_null(
        Rule(
            "0, a part of a card such as 0.5, or a whole number of cards",
            lambda n: is_number(n) and (0 <= n <= 1 or (type(n) is int and n > 1)),
        )
    ),
    "folder": or_null(Rule("a folder's full name", spelled("/.*"))),
    "working_dir": or_null(
        Rule("a checkout, in which train.py lies", lambda d: os.path.isfile(f"{d}/train.py"))
    ),
}


class RayLauncher(Launcher):
    """Runs as tasks of a Ray cluster, each with `cpus` CPUs, as many threads, and `gpus` cards."""

    def __init__(self, **asked: Any) -> None:
        self.asked = asked

    def setup(
        self,
        *,
        hydra_context: HydraContext,  # noqa: ARG002
        task_function: TaskFunction,  # noqa: ARG002
        config: DictConfig,
    ) -> None:
        """Raises BadInput: also for a cluster that is not there, or has no node for such a run."""
        for key, rule in RULES.items():
            rule.check(f"hydra.launcher.{key}", self.asked[key])
        self.cluster = Cluster(self.asked["address"], self.asked["working_dir"])
        others = self.cluster.others()
        if others and config.tracking.kind == "local":
            raise BadInput(
                f"tracking=local: allowed is tracking=server, for this Ray has nodes on other "
                f"machines ({shown(others)})"
            )
        for key, most in self.cluster.most(cards=bool(self.asked["gpus"])).items():
            if (self.asked[key] or 0) > most:
                raise BadInput(
                    f"hydra.launcher.{key}={self.asked[key]}: allowed is {most:g} or less, which "
                    f"is the most that a node has"
                )

    @property
    def threads(self) -> int:
        """What a run gets that asks for no number of its own: it decides the low bits."""
        return int(self.asked["cpus"])

    @functools.cached_property
    def cards(self) -> float:
        import torch

        asked = self.asked["gpus"]
        return float(torch.cuda.is_available()) if asked is None else asked

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        return in_order(self.stream(job_overrides, initial_job_idx))

    def stream(self, jobs: Sequence[Sequence[str]], first: int) -> Generator[tuple[int, JobReturn]]:  # noqa: ARG002
        """(index, what became of it) of each job as soon as it has ended."""
        from factorial.runs.elsewhere import bring

        folder = self.asked["folder"] or os.getcwd()
        tasks = [(list(words), folder) for words in jobs]
        needs = {"num_cpus": self.threads, "num_gpus": self.cards}
        with self.cluster.run(bring, tasks, needs) as results:
            for index, given in results:
                yield index, ended(given)
