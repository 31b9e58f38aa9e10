"""Tags on a run that has ended: what is known of it only later."""

from factorial.record.entries import LONGEST_TAG
from factorial.record.refusals import writing
from factorial.record.store import Store


def put(store: Store, run: str, **tags: str) -> None:
    """Raises OSError."""
    if store.client is None or not run:
        return
    with writing():
        for key, value in tags.items():
            store.client.set_tag(run, key, value[:LONGEST_TAG])
