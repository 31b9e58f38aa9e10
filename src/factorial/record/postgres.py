"""A PostgreSQL of our own: a folder of data, and a port that this machine alone reaches."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from factorial.settings.messages import BadInput

DEBIAN = Path("/usr/lib/postgresql")  # a folder of programs for each version
ACCOUNT = "postgres"  # whose files they are where this process is root, which PostgreSQL refuses
ROLE = "factorial"


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """The database in a folder, made where there is none; its address as SQLAlchemy takes it.

    Raises BadInput. In the end every write that was answered is on disk.
    """
    programs = find_programs(folder)
    if not folder.exists():
        create(programs, folder)
    if is_running(folder):  # a killed command has left it
        stop(programs, folder)
    port = free_port()
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
    start = ("start", "-w", "-D", folder, "-l", folder / "log", "-o", options)
    try:
        require(programs / "pg_ctl", *start)
        password = secret_of(folder).read_text()
        uri = f"postgresql+psycopg2://{ROLE}:{password}@127.0.0.1:{port}/postgres"
        set_up(uri)
        yield uri
    finally:
        if is_running(folder):
            stop(programs, folder)


def set_up(uri: str) -> None:
    """MLflow's tables, by one process: several at once crash in each other's migrations."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(uri, "mlflow-artifacts:/")  # where files go that the server itself takes


def find_programs(folder: Path) -> Path:
    """Where PostgreSQL's programs are: of the data's version, or the newest. Raises BadInput."""
    file = folder / "PG_VERSION"
    version = file.read_text().strip() if file.is_file() else "*"
    numbered = [place for place in DEBIAN.glob(f"{version}/bin") if place.parent.name.isdigit()]
    found = sorted(numbered, key=lambda place: int(place.parent.name))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        needed = "" if version == "*" else f" {version}, whose data is in {folder}"
        raise BadInput(f"PostgreSQL{needed}: not installed here; Debian has it as `postgresql`")
    return found[-1] if found else Path(str(on_path)).parent


def create(programs: Path, folder: Path) -> None:
    """A new database, made beside its folder, so that no half of one is ever there.

    Raises BadInput.
    """
    new, secret = Path(tempfile.mkdtemp(dir=folder.parent)), secret_of(folder)
    write_secret(secret, secrets.token_urlsafe(24))
    give_away(new, secret)
    require(programs / "initdb", "-D", new, "-U", ROLE, "-E", "UTF8", "--locale=C",
            "--auth=scram-sha-256", f"--pwfile={secret}")  # fmt: skip
    new.rename(folder)


def is_running(folder: Path) -> bool:
    """Whether the process that the folder names is its PostgreSQL: a number comes again some day,
    and `pg_ctl stop` would ask whoever has it now."""
    try:
        process = psutil.Process(int((folder / "postmaster.pid").read_text().split()[0]))
        return process.name() == "postgres" and Path(process.cwd()) == folder
    except (OSError, ValueError, IndexError, psutil.Error):
        return False


def stop(programs: Path, folder: Path) -> None:
    run(programs / "pg_ctl", "stop", "-w", "-m", "fast", "-D", folder)


def require(program: Path, *arguments: Any) -> None:
    """Raises BadInput with what the program says."""
    done = run(program, *arguments)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[-300:]
        raise BadInput(f"PostgreSQL: {program.name} failed: {said}")


def run(program: Path, *arguments: Any) -> "subprocess.CompletedProcess[str]":
    account: dict[str, Any] = {}
    if os.geteuid() == 0:
        account = {"user": ACCOUNT, "group": ACCOUNT, "extra_groups": []}
    command = [str(program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", **account)


def give_away(*places: Path) -> None:
    """To the account that PostgreSQL runs as."""
    if os.geteuid() == 0:
        for place in places:
            shutil.chown(place, ACCOUNT, ACCOUNT)


def secret_of(folder: Path) -> Path:
    return folder.with_name("password")


def write_secret(file: Path, text: str) -> None:
    """For nobody else to read; whole, or not at all."""
    descriptor, temporary = tempfile.mkstemp(dir=file.parent)  # readable by its owner alone
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    os.replace(temporary, file)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
