"""All that a store holds, what MLflow has in its trash included: it may be restored."""

from collections.abc import Iterator

from factorial.record.reading import RecordedRun, recorded
from factorial.record.refusals import asking
from factorial.record.store import Store

AT_ONCE = 5000  # runs in one page


def everything(store: Store) -> Iterator[RecordedRun]:
    """Every run of every experiment. Raises BadInput where MLflow does not answer."""
    from mlflow.entities import ViewType

    with asking(store.place):
        experiments = store.client.search_experiments(view_type=ViewType.ALL)
        ids, token = [entry.experiment_id for entry in experiments], None
        while ids:
            page = store.client.search_runs(ids, "", ViewType.ALL, AT_ONCE, page_token=token)
            yield from map(recorded, page)
            token = page.token
            if not token:
                return
