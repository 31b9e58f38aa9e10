"""Start MLflow's server on PostgreSQL, for several machines to write one record."""

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import psutil
from filelock import FileLock, Timeout

from factorial import console
from factorial.record import postgres
from factorial.record.files import write_atomically
from factorial.runs.signals import Stop, stoppable
from factorial.settings import words
from factorial.settings.extras import needed
from factorial.settings.messages import BadInput

LOOPBACK = ("127.0.0.1", "::1", "localhost")
PASSWORD = "MLFLOW_AUTH_ADMIN_PASSWORD"
PROCESS = "process.json"  # of the folder: MLflow's server, by its number and when it began
# Whoever has a name and a password may write every experiment: that is what it is for
AUTHENTICATION = """[mlflow]
default_permission = EDIT
database_uri = sqlite:///{users}
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""


def main(typed: Sequence[str]) -> None:
    """Raises BadInput."""
    settings = words.read("server", typed)
    needed("psycopg2", "server", "factorial server")
    folder = Path(settings["outputs"]).resolve() / "server"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)  # names and passwords lie in it; PostgreSQL's account has to pass
    # SIGHUP: the terminal was closed, or the connection to this machine
    with stoppable("SIGHUP") as stop, ExitStack() as stack:
        lock = FileLock(folder / ".lock")
        try:
            stack.enter_context(lock.acquire(timeout=0))
        except Timeout:
            raise BadInput(f"outputs={settings['outputs']}: has a server already") from None
        end_left(folder)
        require_free(settings["host"], settings["port"])
        uri = stack.enter_context(postgres.running(folder / "postgres"))
        stop.now_if_wanted()
        serve(folder, uri, settings, stop)


def require_free(host: str, port: int) -> None:
    """Raises BadInput where the address can't be listened to."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise BadInput(
            f"host={host} port={port}: allowed is a free one of this machine ({error.strerror})"
        ) from error


def serve(folder: Path, uri: str, settings: dict[str, Any], stop: Stop) -> None:
    """MLflow's server, until it is stopped. Raises BadInput where it ends by itself."""
    host, port = settings["host"], settings["port"]
    options = ["--host", host, "--port", port, "--workers", settings["workers"],
               "--artifacts-destination", folder / "artifacts"]  # fmt: skip
    env = {"MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    if host not in LOOPBACK:
        options += ["--app-name", "basic-auth"]
        env |= authentication(folder)
    command = [sys.executable, "-m", "mlflow", "server", *map(str, options)]
    with (folder / "log").open("a") as log:
        server = subprocess.Popen(command, cwd=folder, env=os.environ | env, stdout=log, stderr=log)
        write_atomically(folder / PROCESS, json.dumps(identity(server.pid)).encode())
        try:
            address = address_of(host, port)
            is_up = False
            while server.poll() is None:
                if not is_up and (is_up := answers(address)):
                    console.say(
                        f"MLflow's server answers at {address}, with its record in {folder}"
                    )
                    console.say(f"python train.py tracking=server tracking.uri={address}")
                stop.now_if_wanted()
                time.sleep(0.2)
        finally:
            end(server.pid)
    stop.now_if_wanted()  # asked together with it
    raise BadInput(f"MLflow's server has ended by itself: {folder / 'log'} says why")


def address_of(host: str, port: int) -> str:
    """Where this machine reaches it."""
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def answers(address: str) -> bool:
    try:
        urlopen(f"{address}/health", timeout=1).close()
    except (URLError, OSError):
        return False
    return True


def identity(pid: int) -> list[float]:
    """Of a process: its number, which another may have some day, and when it began."""
    return [pid, psutil.Process(pid).create_time()]


def end_left(folder: Path) -> None:
    """What a killed command has left of this folder's server."""
    with contextlib.suppress(OSError, ValueError, TypeError, psutil.Error):
        pid, began = json.loads((folder / PROCESS).read_text())
        if identity(pid) == [pid, began]:
            end(pid)


def end(pid: int) -> None:
    """A process with those that it has started, as far as they are there."""
    processes: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        server = psutil.Process(pid)
        processes = [server, *server.children(recursive=True)]
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=10)
    for process in alive:
        process.kill()


def authentication(folder: Path) -> dict[str, str]:
    """What MLflow's own needs: a file of settings, a secret, and once the admin's password.

    Raises BadInput.
    """
    users, config, secret = folder / "users.db", folder / "auth.ini", folder / "secret"
    if not users.exists() and not os.environ.get(PASSWORD):
        raise BadInput(f"{PASSWORD}: allowed is a password of 12 signs or more, for the name admin")
    config.write_text(AUTHENTICATION.format(users=users))
    if not secret.exists():
        postgres.write_secret(secret, secrets.token_urlsafe(32))
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(config),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secret.read_text(),
    }
