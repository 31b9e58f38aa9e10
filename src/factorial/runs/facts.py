"""Facts of the data that no setting states: the data themselves are asked, once by a process."""

from omegaconf import OmegaConf

from factorial.settings.combination import Combination
from factorial.training import data

FACTS = ("examples", "shape", "classes")


def stated(combination: Combination) -> Combination:
    """The same with how many examples its data have to train on, of which shape and classes.

    Raises Missing, and BadInput for what is wrong with the data.
    """
    settings, allow = combination.images()
    unknown = [name for name in FACTS if getattr(settings, name) is None]
    if not unknown:
        return combination
    data.require(settings, allow)
    facts = data.facts(settings)
    composed = combination.composed.copy()
    for name in unknown:
        OmegaConf.update(composed, f"data.{name}", getattr(facts, name))
    return combination._replace(composed=composed)
