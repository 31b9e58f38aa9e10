"""The metrics: each a function of logits, float32 [n, classes], and labels, int64 [n], on the CPU.

Plain torch, a few lines each, held against scikit-learn: torchmetrics would be one more library
that decides which torch is installed.
"""

import torch
from torch import Tensor

from factorial.settings.rules import whole


def balanced_accuracy(logits: Tensor, labels: Tensor) -> float:
    """The mean of the recalls of those classes that are among the labels.

    Brodersen et al., The balanced accuracy and its posterior distribution, 2010.
    """
    correct, classes = logits.argmax(1) == labels, logits.shape[1]
    size = labels.bincount(minlength=classes)
    recall = labels[correct].bincount(minlength=classes)[size > 0] / size[size > 0].double()
    return float(recall.mean())


def macro_f1(logits: Tensor, labels: Tensor) -> float:
    """The mean of F1 = 2 hits / (labelled + predicted), over classes that are among either.

    Sokolova and Lapalme, A systematic analysis of performance measures, 2009.
    """
    predicted, classes = logits.argmax(1), logits.shape[1]
    hits = labels[predicted == labels].bincount(minlength=classes)
    both = labels.bincount(minlength=classes) + predicted.bincount(minlength=classes)
    return float((2 * hits[both > 0] / both[both > 0].double()).mean())


def top_k_accuracy(logits: Tensor, labels: Tensor, k: int) -> float:
    """The share whose class is among the k with the highest logits; of equals the first classes.

    With k = 1 it is accuracy. Raises BadInput.
    """
    whole(1, logits.shape[1]).check("metrics.top_k_accuracy.k", k)
    ranked = logits.argsort(dim=1, descending=True, stable=True)[:, :k]
    return float((ranked == labels[:, None]).any(dim=1).double().mean())


def calibration_error(logits: Tensor, labels: Tensor, bins: int) -> float:
    """The expected calibration error, over bins (i / bins, (i + 1) / bins] of the confidence:
    the sum of (size of bin / n) |accuracy - mean confidence|. Raises BadInput.

    Guo et al., On calibration of modern neural networks, 2017, equation 3.
    """
    whole(1).check("metrics.calibration_error.bins", bins)
    confidence, predicted = logits.double().softmax(1).max(1)
    excess = (predicted == labels).double() - confidence
    if not torch.isfinite(confidence).all():
        return float("nan")  # of logits that are none
    place = (confidence * bins).ceil().long() - 1
    return float(place.bincount(weights=excess, minlength=bins).abs().sum() / len(labels))
