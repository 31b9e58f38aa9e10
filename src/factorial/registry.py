"""The winner of a sweep in MLflow's model registry, to be served by MLflow's own server."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from factorial import arguments, compare, console, evidence, findings, selection, store, trained
from factorial.config import BadInput
from factorial.history import Past
from factorial.store import Store

EXAMPLES = 2  # in the input example: one alone would freeze the size of the batch


def main(typed: Sequence[str]) -> None:
    """`python register.py ...`: the best seed of the best setting. Raises BadInput."""
    settings = arguments.read("register", typed)
    tracking = arguments.tracking(settings)
    where = store.look_into(tracking, settings["outputs"])
    if where.client is None:
        raise BadInput(f"outputs={where.outputs}: no runs are on record there")
    found = findings.find(compare.load(where, selection.of_sweep(where, settings["sweep"])))
    past = evidence.choose(where, found.best_run["id"])
    if set(settings["name"]) & set("/:"):
        raise BadInput(f"name={settings['name']}: allowed is a name without / and :")
    model, config = trained.restore(where, past, settings)

    import mlflow
    import torch
    from mlflow.models import infer_signature

    mlflow.set_tracking_uri(store.address(tracking, where.outputs))
    served = trained.Served(model, config.data.white).eval()
    example = torch.zeros(EXAMPLES, *config.data.shape)
    with torch.inference_mode():
        signature = infer_signature(example.numpy(), served(example).numpy())
    with (
        store.asking(f"name={settings['name']}"),
        ended_as_before(where, past),
        mlflow.start_run(run_id=past.id),
    ):
        info = mlflow.pytorch.log_model(
            served,
            name="model",
            signature=signature,
            input_example=example.numpy(),
            pip_requirements=[f"{name}=={version(name)}" for name in ("mlflow", "torch", "numpy")],
            registered_model_name=settings["name"],
        )
    model_uri = f"models:/{settings['name']}/{info.registered_model_version}"
    console.say(
        f"registered {model_uri}: {found.winner['label']}, run {past.id}",
        f"serve it: {environment()}MLFLOW_TRACKING_URI={store.address(tracking, where.outputs)} "
        f"mlflow models serve -m {model_uri} --env-manager local",
    )


@contextmanager
def ended_as_before(where: Store, past: Past) -> Iterator[None]:
    """MLflow opens the run again to add the model: its status and its end stay what they were."""
    try:
        yield
    finally:
        where.client.set_terminated(past.id, past.status, past.touched)


def environment() -> str:
    """What puts this environment's programs, MLflow's server among them, where the shell looks."""
    here = Path(sys.executable).parent
    return "" if str(here) in os.get_exec_path() else f"PATH={here}{os.pathsep}$PATH "
