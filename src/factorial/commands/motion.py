"""How the optimizers move: their steps on classic surfaces, as a page, animations and tables."""

from collections.abc import Sequence

from factorial.motion import page
from factorial.motion.asked import understood
from factorial.settings import words


def main(typed: Sequence[str]) -> None:
    """Raises BadInput."""
    settings = words.read("motion", typed)
    page.publish(understood(settings), settings["folder"], settings["outputs"])
