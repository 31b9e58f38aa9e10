"""Which report recorded runs get: that of a comparison, or that of a search."""

from factorial.comparison import report, search
from factorial.comparison.ranking import require_accuracy
from factorial.record.selection import Selection
from factorial.record.store import Store


def publish(store: Store, chosen: Selection, rank_by: str, place: str | None = None) -> None:
    """Raises BadInput."""
    if chosen.parent is not None and "search" in chosen.parent.tags:
        require_accuracy(rank_by)  # which the search went by
        search.publish(store, chosen, place)
    else:
        report.publish(store, chosen, rank_by, place)
