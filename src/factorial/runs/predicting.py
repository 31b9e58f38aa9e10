"""What is kept of a trained model's predictions."""

from torch import Tensor, nn

from factorial.record import predictions
from factorial.settings.schema import Config
from factorial.training import trainer
from factorial.training.data import Data, Split


def files(model: nn.Module, splits: Data, logits: Tensor, config: Config) -> dict[str, bytes]:
    """By name: of the test set, whose `logits` float32 [n, classes] are there already, and of what
    is held out, where anything is."""
    made = {predictions.FILE: predictions.pack(*arrays(logits, splits.test))}
    if len(splits.validation):
        held_out = trainer.predict(model, splits.validation, config.device.precision)
        packed = predictions.pack_held_out(*arrays(held_out, splits.validation))
        made[predictions.HELD_OUT] = packed
    return made


def arrays(logits: Tensor, split: Split) -> tuple[predictions.Array, ...]:
    return tuple(tensor.cpu().numpy() for tensor in (logits, split.labels, split.images))
