"""Images in one file, NumPy's npz or safetensors: x_train, y_train, x_test and y_test."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from factorial.settings.messages import BadInput, Missing
from factorial.training.examples import Examples, Images, tensors

KEYS = ("x_train", "y_train", "x_test", "y_test")
DAMAGED = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, SafetensorError)


def read(file: Path, kind: str) -> Images:
    """`kind` is npz or safetensors. Raises Missing, and BadInput."""
    if not file.exists():
        raise Missing(f"data.file={file}: there is no such file; allowed is one of {kind}")
    try:
        arrays = opened(file, kind)
    except DAMAGED as error:
        why = " ".join(str(error).split())[:200]
        raise BadInput(f"{file}: can't be read as {kind} ({why})") from error
    if set(arrays) != set(KEYS):
        raise BadInput(
            f"{file}: holds {', '.join(sorted(arrays)) or 'nothing'}; allowed are {', '.join(KEYS)}"
        )
    x_train, y_train, x_test, y_test = (arrays[key] for key in KEYS)
    train = Examples(*tensors(x_train, y_train, f"{file}: training"))
    return Images(train, Examples(*tensors(x_test, y_test, f"{file}: test")))


def opened(file: Path, kind: str) -> Mapping[str, np.ndarray[Any, Any]]:
    """What lies in the file; nothing of it is called. Raises any of DAMAGED."""
    if kind == "safetensors":
        return dict(safetensors.numpy.load(file.read_bytes()))
    if not zipfile.is_zipfile(file):  # of which NumPy would say how to load it unsafely
        raise ValueError("it is no zip archive of arrays")
    with np.load(file, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
