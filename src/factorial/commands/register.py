"""Put the winner of a sweep into MLflow's model registry, to be served: sweep=ID name=NAME."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from factorial import console
from factorial.comparison import findings
from factorial.comparison.table import load
from factorial.record import registry, selection
from factorial.record.store import address, look_into
from factorial.reuse import evidence, weights
from factorial.settings import words
from factorial.settings.messages import BadInput

EXAMPLES = 2  # in the input example: one alone would freeze the size of the batch


def main(typed: Sequence[str]) -> None:
    """The best seed of the best setting. Raises BadInput."""
    settings = words.read("register", typed)
    tracking = words.tracking(settings)
    store = look_into(tracking, settings["outputs"])
    if store.client is None:
        raise BadInput(f"outputs={store.outputs}: no runs are on record there")
    if set(settings["name"]) & set("/:"):
        raise BadInput(f"name={settings['name']}: allowed is a name without / and :")
    compared = findings.find(load(store, selection.of_sweep(store, settings["sweep"])))
    run = evidence.choose(store, compared.best_run["id"])
    model, config = weights.restore(store, run, settings)
    served = weights.Served(model, config.data.white).eval()
    example = torch.zeros(EXAMPLES, *config.data.shape)
    uri = address(tracking, store.outputs)
    version = registry.register(store, uri, run, served, example, settings["name"])
    model_uri = f"models:/{settings['name']}/{version}"
    console.say(
        f"registered {model_uri}: {compared.winner['label']}, run {run.id}",
        # pickles, which the archive of an exported model may hold, are refused when it is read
        f"serve it: {environment()}MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false "
        f"MLFLOW_TRACKING_URI={uri} mlflow models serve -m {model_uri} --env-manager local",
    )


def environment() -> str:
    """What puts this environment's programs, MLflow's server among them, where the shell looks."""
    here = Path(sys.executable).parent
    return "" if str(here) in os.get_exec_path() else f"PATH={here}{os.pathsep}$PATH "
