"""Machines on one: a network of their own with nothing but the loopback, and nodes of Ray in it."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from conftest import ROOT

BIN = Path(sys.executable).parent
HEAD = "127.0.0.1:6379"
SERVER = "http://127.0.0.1:5000"
# It adopts and buries what is left behind within; with its death all of that is killed
INIT = "import signal, time; signal.signal(signal.SIGCHLD, signal.SIG_IGN); time.sleep(1e6)"
READY = "Application startup complete"
SECONDS = 120


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class World:
    """Namespaces of networks, processes and host names: what starts within is not seen outside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = os.environ | {
            "HOME": str(folder), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }  # fmt: skip
        inside = f"ip link set lo up; hostname localhost; exec {sys.executable} -c '{INIT}'"
        apart = ["unshare", "--net", "--pid", "--uts", "--fork", "--mount-proc", "--kill-child"]
        self.process = subprocess.Popen([*apart, "sh", "-c", inside], stderr=subprocess.DEVNULL)
        wait_for(lambda: psutil.Process(self.process.pid).children())
        (self.init,) = psutil.Process(self.process.pid).children()
        wait_for(lambda: self.init.cmdline()[:1] == [sys.executable])

    def start(self, *command: object, **env: str) -> "subprocess.Popen[str]":
        """A command within, whose words go to pipes."""
        enter = ["nsenter", "-t", str(self.init.pid), "--net", "--pid", "--uts", "--mount"]
        return subprocess.Popen(
            [*enter, f"--wd={ROOT}", *map(str, command)], env=self.env | env, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *command: object, **env: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(*command, **env)
        said, complained = process.communicate(timeout=SECONDS)
        # of a network in which nothing answers
        lines = [line for line in complained.splitlines() if "network_util.cc" not in line]
        return subprocess.CompletedProcess([], process.returncode, said, "\n".join(lines))

    def serve(self) -> None:
        """A tracking server, with its record in the folder `server`."""
        folder = self.folder / "server"
        folder.mkdir()
        server = f"exec {sys.executable} -m mlflow server --port 5000 --workers 1"
        stores = f"--backend-store-uri sqlite:///{folder}/mlflow.db --artifacts-destination files"
        self.start("sh", "-c", f"cd {folder}; {server} {stores} >log 2>&1")
        wait_for(lambda: (folder / "log").is_file() and READY in (folder / "log").read_text())

    def node(self, name: str, address: str, *words: str, **env: str) -> None:
        """A machine of that name with one CPU and a disk of its own, whose place DISK says."""
        disk = self.folder / name
        disk.mkdir(exist_ok=True)
        ray = f"exec {BIN}/ray start --num-cpus=1 --node-ip-address={address} {' '.join(words)}"
        inside = f"hostname {name}; readlink /proc/self/ns/uts >{disk}/names; {ray}"
        done = self.run("unshare", "--uts", "sh", "-c", inside, DISK=str(disk), **env)
        assert done.returncode == 0, done.stdout + done.stderr

    def kill(self, name: str) -> None:
        """As a power cut would, all at once: every process under the node's host name."""
        names = (self.folder / name / "names").read_text().strip()
        there = [process for process in psutil.process_iter() if host_of(process.pid) == names]
        assert there
        for process in there:
            process.kill()

    def end(self) -> None:
        self.init.kill()
        self.process.wait()


def host_of(pid: int) -> str:
    """The namespace of host names that a process is in."""
    try:
        return os.readlink(f"/proc/{pid}/ns/uts")
    except OSError:
        return ""
