"""A member of a sweep on another machine, by its words alone: code and data are those there."""

import os
import socket

from hydra import initialize_config_dir

from factorial.results import Outcome
from factorial.runs.ending import run_in_worker
from factorial.settings.combination import Combination
from factorial.settings.messages import reason
from factorial.settings.places import CONF


def bring(words: list[str], folder: str) -> Outcome:
    """A member to its end, with what it writes below `folder`, which is made where it is not."""
    try:
        os.makedirs(folder, exist_ok=True)
        os.chdir(folder)
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return run_in_worker(Combination.compose(words))
    except Exception as error:  # before the run: a setting that is not known here, no room
        return Outcome(" ".join(words), reason=f"on {socket.gethostname()}: {reason(error)}")
