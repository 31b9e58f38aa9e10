"""Which report recorded runs get: that of a comparison, or that of a search."""

from factorial.comparison import report, search
from factorial.record.selection import Selection
from factorial.record.store import Store


def publish(store: Store, chosen: Selection, place: str | None = None) -> None:
    """Raises BadInput."""
    is_search = chosen.parent is not None and "search" in chosen.parent.tags
    (search if is_search else report).publish(store, chosen, place)
