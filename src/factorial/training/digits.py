"""The 1,797 handwritten digits that ship inside scikit-learn."""

from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import torch

from factorial.training.examples import Examples, Images, hold_out

FILE = "sklearn/datasets/data/digits.csv.gz"  # within what scikit-learn installs


def read() -> Images:
    """With a fixed, stratified fifth of them as the test set."""
    rows = torch.from_numpy(table())
    images = rows[:, :-1].reshape(-1, 1, 8, 8).to(torch.uint8)
    return Images(*hold_out(Examples(images, rows[:, -1].long()), size=360, seed=0))


def table() -> np.ndarray:
    """For each image its 64 pixels and its label: float64 [1797, 65]."""
    file = Path(str(distribution("scikit-learn").locate_file(FILE)))
    if file.is_file():  # what load_digits reads; to import scikit-learn takes a second
        return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.column_stack([digits.data, digits.target])
