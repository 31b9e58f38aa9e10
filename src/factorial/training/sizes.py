"""How many examples and batches a run has, by its settings."""

from omegaconf import DictConfig, OmegaConf

from factorial.settings.messages import BadInput
from factorial.settings.parsing import build
from factorial.settings.schema import Config, Data


def validation_examples(data: Data) -> int:
    return round(data.validation_share * data.examples)


def training_examples(data: Data) -> int:
    return data.examples - validation_examples(data)


def steps_per_epoch(data: Data) -> int:
    whole, rest = divmod(training_examples(data), data.batch_size)
    return whole + (rest > 0 and not data.drop_last)


def check(config: Config) -> None:
    """Raises BadInput where nothing is left to train on, or to stop by, or the batches or steps
    don't fit.

    Where the number of examples is not known yet, nothing is said.
    """
    if config.data.examples is None:
        return
    data, examples = config.data, training_examples(config.data)
    if examples < 1:
        raise BadInput(
            f"data.validation_share={data.validation_share}: allowed is what leaves an example "
            f"of {data.examples} to train on"
        )
    if config.stopping.metric is not None and not validation_examples(data):
        raise BadInput(
            f"data.validation_share={data.validation_share}: allowed with "
            f"stopping.metric={config.stopping.metric} is what holds an example out"
        )
    if data.batch_size > examples:
        raise BadInput(
            f"data.batch_size={data.batch_size}: allowed is 1 to {examples}, "
            f"the number of training examples"
        )
    if config.steps != (steps := config.epochs.count * steps_per_epoch(data)):
        raise BadInput(f"steps={config.steps}: allowed is {steps}, which epochs and data make it")


def optimizer_steps(epochs: int, data: DictConfig) -> int | None:
    """The resolver of `steps` in conf/config.yaml; null while the number of examples is."""
    settings: Data = build(Data, data, "data.")
    return None if settings.examples is None else epochs * steps_per_epoch(settings)


OmegaConf.register_new_resolver("optimizer_steps", optimizer_steps, replace=True)
