"""Images that a function or a class of the user's gives: tensors, or torch's Datasets."""

import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from factorial.settings.messages import BadInput
from factorial.settings.sources import locate
from factorial.training.examples import Examples, Images, hold_out, tensors
from factorial.training.instantiate import check, said, signature

FORMS = (
    "allowed are x_train, y_train, x_test, y_test, a pair of Datasets to train and to test on, or "
    "one Dataset"
)


def read(
    target: str, root: Path | None, test_share: float, test_seed: int, settings: Mapping[str, Any]
) -> Images:
    """What `target` gives, called with `settings`, and with `root` if that is set.

    One that has an argument `train` is called with true and false, as torchvision's are. Of one
    Dataset a share is held out as the test set. It has been vetted. Raises BadInput.
    """
    where = f"data._target_={target}"
    given = {**settings} | ({} if root is None else {"root": str(root)})
    takes = signature("data", {"_target_": target})
    twice = "train" in takes.parameters and "train" not in given
    calls = [given | {"train": train} for train in (True, False)] if twice else [given]
    left = [one for name, one in takes.parameters.items() if not (twice and name == "train")]
    check("data", takes.replace(parameters=left), given, given=0)
    made = [called(where, target, call) for call in calls]
    parts: Any = made if twice else made[0]
    if isinstance(parts, list | tuple) and len(parts) == 4:
        train = Examples(*tensors(parts[0], parts[1], f"{where}: training"))
        return Images(train, Examples(*tensors(parts[2], parts[3], f"{where}: test")))
    if isinstance(parts, list | tuple) and len(parts) == 2:
        train, test = (examples(where, part) for part in parts)
        return Images(train, test, names(parts[0], train))
    everything = examples(where, parts)
    size = round(test_share * len(everything.labels))
    return Images(*hold_out(everything, size, test_seed), names(parts, everything))


def called(where: str, target: str, settings: Mapping[str, Any]) -> Any:
    try:
        return locate(target)(**settings)
    except BadInput:
        raise
    except Exception as error:  # a class may raise anything
        raise BadInput(f"{where}: called with {dict(settings)} it fails ({said(error)})") from error


def examples(where: str, dataset: Any) -> Examples:
    """All of a Dataset, item by item. Raises BadInput, which names the first item that is wrong."""
    if not (isinstance(dataset, Dataset) and hasattr(dataset, "__len__")):
        raise BadInput(f"{where}: gives a {type(dataset).__name__}; {FORMS}")
    images, labels = [], []
    for index in range(len(dataset)):
        try:
            image, label = dataset[index]
            images.append(pixels(image))
            labels.append(operator.index(label))  # int would make 1 of 1.7
        except Exception as error:
            raise BadInput(
                f"{where}: item {index} is no pair of image and label ({said(error)})"
            ) from error
        if images[-1].shape != images[0].shape:
            raise BadInput(
                f"{where}: item {index} is {list(images[-1].shape)}, others "
                f"{list(images[0].shape)}; allowed is one shape"
            )
    stacked = torch.stack(images) if images else torch.empty(0, 1, 1, 1, dtype=torch.uint8)
    return Examples(*tensors(stacked, torch.tensor(labels, dtype=torch.int64), where))


def pixels(image: Any) -> Tensor:
    """uint8 [channels, height, width], or [height, width]. Raises ValueError."""
    if isinstance(image, Image.Image):
        if image.mode not in ("L", "RGB"):
            raise ValueError(f"the image's mode is {image.mode}; allowed are L and RGB")
        array = torch.from_numpy(np.array(image))
        return array if array.ndim == 2 else array.permute(2, 0, 1)
    if not (isinstance(image, Tensor) and image.dtype == torch.uint8 and image.ndim in (2, 3)):
        kind = image.dtype if isinstance(image, Tensor) else type(image).__name__
        raise ValueError(f"the image is {kind}; allowed are PIL's, and uint8 [channels, h, w]")
    return image


def names(dataset: Any, train: Examples) -> tuple[str, ...]:
    """The classes' names, where a Dataset has them as torchvision's do."""
    found = getattr(dataset, "classes", None)
    count = int(train.labels.max()) + 1 if len(train.labels) else 0
    return tuple(map(str, found)) if isinstance(found, Sequence) and len(found) == count else ()
