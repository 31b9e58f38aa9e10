"""Hydra's seat for a search: Optuna asks for combinations, by what came of earlier ones."""

from typing import Any

from factorial import console
from factorial.settings.extras import needed
from hydra_plugins.factorial_sweeper import FactorialSweeper


class OptunaSweeper(FactorialSweeper):
    """Trials instead of a grid, through whichever launcher is set."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def sweep(self, arguments: list[str]) -> Any:
        """Raises BadInput before seconds of imports."""
        from factorial.runs import space
        from factorial.settings import search
        from factorial.settings.overrides import as_typed

        arguments = list(map(as_typed, arguments))
        assert self.config is not None and self.hydra_context is not None
        needed("optuna", "optuna", "hydra/sweeper=optuna")
        asked = search.read(self.settings)
        loader = self.hydra_context.config_loader
        spaces = space.read(arguments, asked.params, loader)
        space.check_sampler(asked, spaces)
        console.say(f"a search of {asked.trials} trials: {' '.join(arguments)}")

        from factorial.runs.search import run_search

        base, composer, launcher = self.config, self.composer(), self.elsewhere()
        return run_search(base, arguments, asked, spaces, composer, launcher)
