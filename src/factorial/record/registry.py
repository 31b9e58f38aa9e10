"""MLflow's model registry: a recorded run's model, ready to be served."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from factorial.record.reading import RecordedRun
from factorial.record.store import Store, asking

REQUIREMENTS = ("mlflow", "torch", "numpy")  # of what serves the model


def register(store: Store, uri: str, run: RecordedRun, model: Any, example: Any, name: str) -> str:
    """A new version of the registered model `name`, with a signature; its number.

    `model` is a torch module in evaluation mode, `example` a batch of what it takes. Raises
    BadInput for what MLflow refuses.
    """
    import mlflow
    import torch
    from mlflow.models import infer_signature

    mlflow.set_tracking_uri(uri)
    with torch.inference_mode():
        signature = infer_signature(example.numpy(), model(example).numpy())
    with asking(f"name={name}"), ended_as_before(store, run), mlflow.start_run(run_id=run.id):
        info = mlflow.pytorch.log_model(
            model,
            name="model",
            signature=signature,
            input_example=example.numpy(),
            pip_requirements=[f"{package}=={version(package)}" for package in REQUIREMENTS],
            registered_model_name=name,
        )
    return str(info.registered_model_version)


@contextmanager
def ended_as_before(store: Store, run: RecordedRun) -> Iterator[None]:
    """MLflow opens the run again to add the model: its status and its end stay what they were."""
    try:
        yield
    finally:
        store.client.set_terminated(run.id, run.status, run.touched)
