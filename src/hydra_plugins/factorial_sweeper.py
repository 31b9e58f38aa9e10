"""Hydra's seat for the sweep: it knows every combination before the first starts."""

from collections.abc import Generator, Sequence
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from factorial import console


class FactorialSweeper(Sweeper):
    """All combinations of all levels, and a preset's systems, through whichever launcher is set."""

    def __init__(self, params: DictConfig, systems: Sequence[Sequence[str]]) -> None:
        self.params, self.systems = params, systems

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.config = config
        self.hydra_context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        from factorial.runs.grid import combinations
        from factorial.settings.overrides import as_typed

        arguments = list(map(as_typed, arguments))
        assert self.config is not None and self.hydra_context is not None
        loader = self.hydra_context.config_loader
        grid = combinations(arguments, self.params, self.systems, loader)
        console.say(f"a grid of {len(grid)} combinations: {' '.join(arguments)}")

        # here: seconds of imports, and what is wrong with a grid and what is to come are said first
        from factorial.runs.sweep import run_sweep

        return run_sweep(self.config, arguments, grid, self.composer(), self.elsewhere())

    def composer(self) -> Any:
        """What composes combinations as Hydra does."""
        from factorial.settings.combination import Composer

        assert self.config is not None and self.hydra_context is not None
        base, loader = self.config, self.hydra_context.config_loader
        return Composer(lambda words: loader.load_sweep_config(base, words))

    def elsewhere(self) -> Any:
        """What runs combinations in other processes; None where they run in this one."""
        from factorial.runs.jobs import Launcher

        assert self.config is not None
        launcher: Any = self.launcher

        def launch(jobs: list[list[str]]) -> Generator[tuple[int, JobReturn]]:
            """(index, what became of it): at once where a launcher can say so, else at the end."""
            if hasattr(launcher, "stream"):
                yield from launcher.stream(jobs, 0)
            else:
                yield from enumerate(launcher.launch(jobs, initial_job_idx=0))

        if self.config.hydra.runtime.choices["hydra/launcher"] == "basic":
            return None
        return Launcher(launch, getattr(launcher, "threads", None))
