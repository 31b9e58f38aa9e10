"""MLflow's model registry: a recorded run's model, ready to be served."""

import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from factorial.record import remote
from factorial.record.reading import RecordedRun
from factorial.record.refusals import asking
from factorial.record.store import Store
from factorial.settings.messages import BadInput

REQUIREMENTS = ("mlflow", "torch", "numpy")  # of what serves the model


def register(store: Store, uri: str, run: RecordedRun, model: Any, example: Any, name: str) -> str:
    """A new version of the registered model `name`, with a signature; its number.

    `model` is a torch module in evaluation mode, `example` a batch of what it takes. Raises
    BadInput for what MLflow refuses, and OSError.
    """
    import mlflow
    from mlflow.entities import LoggedModelOutput

    mlflow.set_tracking_uri(uri)  # MLflow's registry asks there, whatever its client was made for
    client = store.client
    with asking(f"name={name}"), tempfile.TemporaryDirectory() as temporary:
        entry = client.create_logged_model(run.experiment, name="model", source_run_id=run.id)
        folder = Path(temporary) / "model"
        save(folder, entry, model, example)
        put(store, folder, entry.artifact_location)
        client.finalize_logged_model(entry.model_id, "READY")
        client.log_outputs(run.id, [LoggedModelOutput(entry.model_id, step=0)])
        return number(client, name, entry.model_id, run.id)


def put(store: Store, folder: Path, location: str) -> None:
    """Copy a folder to where MLflow will look for a model's files. Raises BadInput.

    `location` is the word of a server, or of a database that may come from elsewhere.
    """
    if store.is_remote:
        remote.upload(store.client.tracking_uri, location, folder)
        return
    place = Path(url2pathname(urlsplit(location).path)).resolve()
    models = store.outputs / "runs" / "models"
    if models not in place.parents:
        raise BadInput(
            f"outputs={store.outputs}: its database keeps models at {location}; allowed is a place "
            f"below {models}"
        )
    shutil.copytree(folder, place)


def save(folder: Path, entry: Any, model: Any, example: Any) -> None:
    """As MLflow serves it."""
    import mlflow.pytorch
    import torch
    from mlflow.models import Model, infer_signature

    with torch.inference_mode():
        signature = infer_signature(example.numpy(), model(example).numpy())
    mlflow.pytorch.save_model(
        model,
        folder,
        mlflow_model=Model(
            artifact_path=entry.artifact_location,
            model_uuid=entry.model_id,
            run_id=entry.source_run_id,
            model_id=entry.model_id,
        ),
        signature=signature,
        input_example=example.numpy(),
        pip_requirements=[f"{package}=={version(package)}" for package in REQUIREMENTS],
    )


def number(client: Any, name: str, model: str, run: str) -> str:
    """Of a new version of the registered model, which is made where it is not there yet."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    made = client.create_model_version(name, f"models:/{model}", run_id=run, model_id=model)
    return str(made.version)
