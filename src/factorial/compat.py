"""Private surfaces of libraries, each with its reason and a way round where it is gone."""

import atexit
import functools
import inspect
import math
import sys
from collections.abc import Callable, Sequence
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


@functools.cache
def spare_compiler() -> None:
    """Keep torch.optim from importing torch's compiler: a second that a step does without.

    Two decorators import torch._dynamo whenever an optimizer is made or steps, to keep a compiler
    away from it. Where none is loaded there is nothing to keep away, so what they decorate is
    called itself; as soon as one is, they are again. Where torch has others, they stay.
    """
    import torch
    from torch.optim import Optimizer

    classes = {kind for kind in vars(torch.optim).values() if inspect.isclass(kind)}
    for kind in (Optimizer, *(kind for kind in classes if issubclass(kind, Optimizer))):
        for name, function in list(vars(kind).items()):
            decorator = getattr(getattr(function, "__code__", None), "co_qualname", None)
            if decorator in DECORATORS:
                setattr(kind, name, DECORATORS[decorator](function))


def undecorated(function: Callable[..., Any]) -> Callable[..., Any]:
    """A method under torch._disable_dynamo, which decides nothing but what is compiled."""
    plain = function.__wrapped__  # type: ignore[attr-defined]

    @functools.wraps(plain)
    def method(*args: Any, **kwargs: Any) -> Any:
        return (function if "torch._dynamo" in sys.modules else plain)(*args, **kwargs)

    return method


def without_graph_breaks(function: Callable[..., Any]) -> Callable[..., Any]:
    """An optimizer's step, which sets whether gradients are recorded, and breaks graphs around."""
    import torch

    plain = function.__wrapped__  # type: ignore[attr-defined]

    @functools.wraps(plain)
    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        if "torch._dynamo" in sys.modules:
            return function(self, *args, **kwargs)
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return plain(self, *args, **kwargs)

    return step


# torch's own, by the names of their inner functions
DECORATORS = {
    "_disable_dynamo.<locals>.inner": undecorated,
    "_use_grad_for_differentiable.<locals>._use_grad": without_graph_breaks,
}


def metric_points(client: Any, runs: Sequence[str], name: str, most: int) -> list[Point]:
    """A metric of many MLflow runs in one query; with `most` points there may be more.

    MlflowClient asks run by run, a thousand times for a thousand runs: its store, and its server,
    answer for many at once.
    """
    store: Any = getattr(getattr(client, "_tracking_client", None), "store", None)
    if hasattr(store, "ManagedSessionMaker"):
        return points_of_database(store, runs, name, most)
    if hasattr(store, "get_host_creds"):
        return points_of_server(store.get_host_creds(), runs, name, most)
    return [point for run in runs for point in points_of_run(client, run, name)]


def points_of_database(store: Any, runs: Sequence[str], name: str, most: int) -> list[Point]:
    """As columns: MLflow makes three objects of each point, which takes ten times as long."""
    from mlflow.store.tracking.dbmodels.models import SqlMetric
    from sqlalchemy import select

    what = SqlMetric.run_uuid, SqlMetric.step, SqlMetric.value, SqlMetric.is_nan
    order = SqlMetric.run_uuid, SqlMetric.timestamp, SqlMetric.step, SqlMetric.value
    wanted: Any = select(*what).where(SqlMetric.key == name, SqlMetric.run_uuid.in_(runs))
    with store.ManagedSessionMaker() as session:
        points = session.execute(wanted.order_by(*order).limit(most)).all()
    return [(run, step, math.nan if is_nan else value) for run, step, value, is_nan in points]


def points_of_server(credentials: Any, runs: Sequence[str], name: str, most: int) -> list[Point]:
    from mlflow.utils.rest_utils import http_request, verify_rest_response

    query = {"run_id": list(runs), "metric_key": name, "max_results": most}
    response = http_request(credentials, BULK, "GET", params=query)
    points = verify_rest_response(response, BULK).json()["metrics"]
    return [(point["run_id"], point["step"], point["value"]) for point in points]


def points_of_run(client: Any, run: str, name: str) -> list[Point]:
    """By pages, the public way."""
    return [(run, point.step, point.value) for point in client.get_metric_history(run, name)]


def hush_ray(ray: Any) -> None:
    """Ray prints the last twenty lines of a dead node's log among a command's own, whatever
    `log_to_driver` says, and has no public switch for it."""
    ray._private.worker._worker_logs_enabled = False
