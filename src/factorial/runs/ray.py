"""A Ray cluster, that runs or is started for this command alone: its nodes, and tasks on them."""

import atexit
import contextlib
import functools
import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from factorial.compat import hush_ray
from factorial.runs.pool import Died
from factorial.settings.extras import needed
from factorial.settings.messages import BadInput, one_line, shown

ANSWER = 5  # seconds that a cluster has to answer in before anything starts
LOOK = 10  # seconds without news, after which the nodes are counted
RESOURCES = {"cpus": "CPU", "gpus": "GPU"}
# What Ray reads when it is first imported, where the user has not set it
SWITCHES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a run without a card sees none
    "RAY_OVERRIDE_RUNTIME_ENV_DEFAULT_EXCLUDES": ".venv,venv,__pycache__",  # .git names the commit
}
# Of a Ray of the command's own: it listens on the loopback alone, and to this command alone
ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token"}

QUIET = {"logging_level": "ERROR", "log_to_driver": False}  # what a run says is in its outcome


class Cluster:
    """`address` is auto or HOST:PORT; None starts a Ray when the first task is to run.

    `checkout` is sent to every node; None takes what is installed there.
    """

    def __init__(self, address: str | None, checkout: str | None) -> None:
        """Raises BadInput where no cluster answers, or Ray is not installed."""
        self.address, self.options = address, QUIET | {"runtime_env": sent(checkout)}
        for name, value in SWITCHES.items():
            os.environ.setdefault(name, value)
        if address is None:
            os.environ.update(ALONE, RAY_AUTH_TOKEN=secrets.token_hex(32))
        self.ray = needed("ray", "ray", "hydra/launcher=ray")
        if address is not None:
            connect(self.ray, address, self.options)

    @functools.cached_property
    def started(self) -> Any:
        """Ray's module with a cluster to speak to, until the command ends."""
        if self.address is None:
            start(self.ray, self.options)
        return self.ray

    def nodes(self) -> list[dict[str, Any]]:
        return [node for node in self.ray.nodes() if node["Alive"]]

    def others(self) -> list[str]:
        """The addresses of nodes on other machines."""
        if self.address is None:
            return []
        here = self.ray.util.get_node_ip_address()
        return sorted({node["NodeManagerAddress"] for node in self.nodes()} - {here})

    def most(self, cards: bool) -> dict[str, float]:
        """The most that one node has of what a run may ask for; of cards where that is asked."""
        if self.address is None:
            return {"cpus": cores(), "gpus": count_cards() if cards else 0}
        return {
            key: max((node["Resources"].get(name, 0) for node in self.nodes()), default=0)
            for key, name in RESOURCES.items()
        }

    @contextlib.contextmanager
    def run(
        self,
        function: Callable[..., Any],
        tasks: Sequence[Sequence[Any]],
        needs: Mapping[str, float],
    ) -> Generator[Generator[tuple[int, Any]]]:
        """(index of the task, what it gave or the error that ended it), each when it has ended.

        To leave early is to ask those that run to stop, and to wait until they have.
        """
        # the sweep decides what is tried again: Ray may not run a task twice
        remote = self.started.remote(max_retries=0, **needs)(function)
        waiting = {remote.remote(*task): index for index, task in enumerate(tasks)}
        try:
            yield self.ended(waiting, needs)
        finally:
            for task in waiting:
                self.ray.cancel(task)  # in its process it is a Ctrl-C
            if waiting:
                self.ray.wait(list(waiting), num_returns=len(waiting))

    def ended(
        self, waiting: dict[Any, int], needs: Mapping[str, float]
    ) -> Generator[tuple[int, Any]]:
        """Takes each out of `waiting` that has ended, or that no node is left for."""
        while waiting:
            ready, _ = self.ray.wait(list(waiting), num_returns=1, timeout=LOOK)
            for task in ready:
                yield waiting.pop(task), result(self.ray, task)
            if not ready and not self.has_room(needs):
                for task in list(waiting):
                    self.ray.cancel(task)
                    yield waiting.pop(task), Died("no node is left that has what a run needs")

    def has_room(self, needs: Mapping[str, float]) -> bool:
        """Whether a node is there that could take a task, now or when others have ended."""
        asked = {"CPU": needs["num_cpus"], "GPU": needs["num_gpus"]}
        return any(
            all(node["Resources"].get(name, 0) >= count for name, count in asked.items())
            for node in self.nodes()
        )


def start(ray: Any, options: Mapping[str, Any]) -> None:
    """A Ray on this machine, with its files in a folder of its own, until the command ends."""
    place = tempfile.mkdtemp(prefix="ray-")
    atexit.register(stop, ray, place)
    alone = {"_node_ip_address": "127.0.0.1", "_temp_dir": place, "include_dashboard": False}
    init(ray, "local", num_cpus=cores(), **alone, **options)


def init(ray: Any, address: str, **options: Any) -> None:
    ray.init(address, **options)
    hush_ray(ray)
    # as Ctrl-C, which stops the runs: Ray's own handler prints a trace and aborts
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def stop(ray: Any, place: str) -> None:
    ray.shutdown()
    shutil.rmtree(place, ignore_errors=True)


def connect(ray: Any, address: str, options: Mapping[str, Any]) -> None:
    """Raises BadInput where no cluster answers, or this machine is none of its nodes."""
    host, colon, port = address.rpartition(":")
    try:
        if colon:  # Ray itself would try for a minute
            socket.create_connection((host, int(port)), ANSWER).close()
        init(ray, address, **options)
    except Exception as error:
        raise BadInput(
            f"hydra.launcher.address={shown(address)}: allowed is null, or a Ray that runs and has "
            f"a node on this machine ({one_line(str(error))})"
        ) from error


def cores() -> int:
    """Of this machine, as far as this process may use them."""
    usable = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(usable(0)) if usable else os.cpu_count() or 1


def count_cards() -> int:
    # here: seconds, that only a run on a card needs
    import torch

    return torch.cuda.device_count()


def sent(checkout: str | None) -> dict[str, Any]:
    """Ray's runtime environment: a checkout that it copies to each node, or what is there."""
    if checkout is None:
        return {}
    return {"working_dir": os.path.abspath(checkout), "env_vars": {"PYTHONPATH": "src"}}


def result(ray: Any, task: Any) -> Any:
    """What a task gave, or the exception that ended it."""
    try:
        return ray.get(task)
    except ray.exceptions.RayTaskError as error:
        return error.cause if isinstance(error.cause, Exception) else Died(one_line(str(error)))
    except ray.exceptions.RayError as error:
        return Died(f"{type(error).__name__}, {one_line(str(error)).partition('. ')[0]}")
