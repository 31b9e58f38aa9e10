"""A search in this process, or in one that is killed after so many writes to its record."""

import json
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

from composing import composer
from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from processes import SERVER, Started, body, doom
from running import parents

from factorial.runs import space
from factorial.runs.search import run_search
from factorial.runs.study import Study
from factorial.settings import search as settings
from factorial.settings.overrides import translated

LINEAR = ["data=digits", "model=linear", "optimizer=sgd", "epochs=1", "report=false"]
RATE = "optimizer.lr=tag(log,interval(0.001,1))"


def search(folder: Path, *words: str, params: dict[str, Any] | None = None, **asked: Any) -> None:
    """`python train.py -m hydra/sweeper=optuna ...` in this process; `asked` are its settings.

    Raises as the command does.
    """
    typed = [translated(word) for word in (*words, f"outputs={folder}")]
    single = [word for word in typed if "," not in word and "(" not in word]
    base = compose("config", [*single, "hydra/sweeper=optuna"], return_hydra_config=True)
    given = OmegaConf.to_container(base.hydra.sweeper) | asked | {"params": params or {}}
    given.pop("_target_")
    asked_for = settings.read(given)
    spaces = space.read(typed, asked_for.params, GlobalHydra.instance().config_loader())
    space.check_sampler(asked_for, spaces)
    run_search(base, typed, asked_for, spaces, composer())


def document(folder: Path) -> dict[str, Any]:
    """What a search left on record of its trials."""
    (parent,) = [run for run in parents(folder) if "search" in run.data.tags]
    file = folder / "runs" / parent.info.run_id / "artifacts" / "search.json"
    return dict(json.loads(file.read_text()))


def trials(folder: Path) -> list[dict[str, Any]]:
    return list(document(folder)["trials"])


def killed(folder: Path, *words: str, after: int) -> Started:
    """The command in a process of its own, ended like by a power cut after so many writes."""
    said = Path(tempfile.mkdtemp())
    process = SERVER.Process(target=doomed, args=(folder, words, said, after))
    process.start()
    return Started(process, said)


def doomed(folder: Path, words: tuple[str, ...], said: Path, after: int) -> None:
    doom(after)
    left = iter(range(after - 1, -1, -1))
    keep = Study.keep_one

    def fatal(study: Study, trial: Any) -> None:
        keep(study, trial)
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    Study.keep_one = fatal  # type: ignore[method-assign]
    body("train", [*words, f"outputs={folder}"], said, dict(os.environ), None)
