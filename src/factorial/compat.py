"""Private surfaces of libraries, each with its reason and a way round where it is gone."""

import atexit
from collections.abc import Sequence
from typing import Any

Point = tuple[str, int, float]  # run, step, value
BULK = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"


def run_exit_functions() -> bool:
    """Whether the functions that atexit keeps were run, before `os._exit` leaves without them.

    CPython has no public call for it; without it the interpreter has to be torn down.
    """
    run = getattr(atexit, "_run_exitfuncs", None)
    if run is not None:
        run()
    return run is not None


def metric_points(client: Any, runs: Sequence[str], name: str, most: int) -> list[Point]:
    """A metric of many MLflow runs in one query; with `most` points there may be more.

    MlflowClient asks run by run, a thousand times for a thousand runs: its store, and its server,
    answer for many at once.
    """
    store: Any = getattr(getattr(client, "_tracking_client", None), "store", None)
    if hasattr(store, "get_metric_history_bulk"):
        answer = store.get_metric_history_bulk(runs, name, most)
        return [(point.run_id, point.step, point.value) for point in answer]
    if hasattr(store, "get_host_creds"):
        return points_of_server(store.get_host_creds(), runs, name, most)
    return [point for run in runs for point in points_of_run(client, run, name)]


def points_of_server(credentials: Any, runs: Sequence[str], name: str, most: int) -> list[Point]:
    from mlflow.utils.rest_utils import http_request, verify_rest_response

    query = {"run_id": list(runs), "metric_key": name, "max_results": most}
    response = http_request(credentials, BULK, "GET", params=query)
    points = verify_rest_response(response, BULK).json()["metrics"]
    return [(point["run_id"], point["step"], point["value"]) for point in points]


def points_of_run(client: Any, run: str, name: str) -> list[Point]:
    """By pages, the public way."""
    return [(run, point.step, point.value) for point in client.get_metric_history(run, name)]
