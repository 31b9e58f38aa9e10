"""Train one image classifier, or a sweep of them with -m. `python train.py --help` says how."""

import gc

gc.set_threshold(100_000, 20, 100)  # imports make a million objects that stay: don't search them

import hydra
from omegaconf import DictConfig

from factorial import cli


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def train(composed: DictConfig) -> object:
    return cli.train(composed)


if __name__ == "__main__":
    cli.main(train)
