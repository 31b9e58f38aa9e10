"""A Slurm of one machine, from the system's packages: no file of the system's is touched."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "srun")

# Two cores, whatever the machine has; nothing listens but on the loopback. A requeued job may
# start again when its credential has expired, which would take two minutes.
CONF = """
ClusterName=test
SlurmctldHost=localhost
SlurmctldPort={0}
SlurmdPort={1}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SlurmdParameters=config_overrides
NodeName=localhost CPUs=2 RealMemory=1000
PartitionName=main Nodes=ALL Default=YES
PartitionName=patient Nodes=ALL GraceTime=60
PartitionName=urgent Nodes=ALL PriorityTier=10
"""


def lacking() -> str:
    """What keeps it from running here."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=search_path()) is None]
    return f"no {', '.join(missing)} here" if missing else "needs root" if os.getuid() else ""


def search_path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


def free_ports() -> list[int]:
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return [one.getsockname()[1], other.getsockname()[1]]


@contextlib.contextmanager
def running(folder: Path) -> Iterator[dict[str, str]]:
    """The environment in which Slurm's commands speak to it."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "key").write_bytes(secrets.token_bytes(128))
    (folder / "key").chmod(0o600)
    conf = folder / "slurm.conf"
    conf.write_text(CONF.format(*free_ports(), folder=folder))
    env = os.environ | {"SLURM_CONF": str(conf), "PATH": search_path()}
    munge = [f"--{name}={folder}/{name}" for name in ("log-file", "pid-file", "seed-file")]
    munge += [f"--key-file={folder}/key", f"--socket={folder}/munge.socket"]
    # --force: the folder may be one that others can't enter; nobody else has to
    commands = [
        ["munged", "--foreground", "--force", *munge],
        ["slurmctld", "-D"],
        ["slurmd", "-D", "-N", "localhost"],
    ]
    with contextlib.ExitStack() as daemons:
        for command in commands:
            daemons.enter_context(daemon(command, folder, env))
        wait_until_idle(folder, env)
        yield env
        subprocess.run(["scancel", "--user=root", "--signal=KILL"], env=env)
        subprocess.run(["scancel", "--user=root"], env=env)
        wait_until_idle(folder, env)


@contextlib.contextmanager
def daemon(command: list[str], folder: Path, env: dict[str, str]) -> Iterator[None]:
    with (folder / f"{command[0]}.log").open("w") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def wait_until_idle(folder: Path, env: dict[str, str]) -> None:
    deadline = time.monotonic() + 60
    ask = ["sinfo", "--noheader", "--partition=main", "--format=%T"]
    while subprocess.run(ask, env=env, capture_output=True, text=True).stdout.strip() != "idle":
        said = [file.read_text() for file in folder.glob("*.log")]
        assert time.monotonic() < deadline, "\n".join(said)
        time.sleep(0.2)
