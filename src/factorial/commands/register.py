"""Put the winner of a sweep into MLflow's model registry, to be served: sweep=ID name=NAME."""

import os
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import distribution

import torch

from factorial import console
from factorial.comparison import findings
from factorial.comparison.table import load
from factorial.record import registry, selection
from factorial.record.store import address, look_into, mlflow_program
from factorial.reuse import evidence, looks, weights
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
    chosen = selection.of_sweep(store, settings["sweep"])
    compared = findings.find(load(store, chosen, settings["rank_by"]))
    run = evidence.choose(store, compared.best_run["id"])
    model, config = weights.restore(store, run, settings)
    scale = looks.of(store, run, config.data).scale
    served = weights.Served(model, config.data.white, scale).eval()
    example = torch.zeros(EXAMPLES, *config.data.shape)
    uri = address(tracking, store.outputs)
    version = registry.register(store, uri, run, served, example, settings["name"])
    model_uri = f"models:/{settings['name']}/{version}"
    console.say(
        f"registered {model_uri}: {compared.winner['label']}, run {run.id}",
        # pickles, which the archive of an exported model may hold, are refused when it is read
        f"serve it: {environment()}MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false "
        f"MLFLOW_TRACKING_URI={shlex.quote(uri)} {mlflow_program()} models serve "
        f"-m {shlex.quote(model_uri)} --env-manager local",
    )


def environment() -> str:
    """What puts the server that MLflow starts, by its name alone, where the shell looks.

    It may have been installed into an environment below this one.
    """
    scripts = [file for file in distribution("uvicorn").files or () if file.stem == "uvicorn"]
    script = os.path.normpath(scripts[0].locate()) if scripts else sys.executable
    folder = os.path.dirname(script)
    known = folder in os.get_exec_path()
    return "" if known else f'PATH={shlex.quote(folder)}{os.pathsep}"$PATH" '
