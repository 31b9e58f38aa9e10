"""MLflow's server on PostgreSQL, as one command starts it."""

import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from conftest import ROOT
from lost import EPOCHS, WORDS, require_whole, trained, wait_for_epoch
from processes import read, start, train
from sqlalchemy import create_engine, text

from factorial.record.store import mlflow_page
from factorial.settings.schema import Tracking

PASSWORD = "twelve signs or more"
SERVES = "MLflow's server answers at"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Command:
    """`factorial server`, in a folder that another account can reach."""

    def __init__(self, folder: Path, *words: str, **env: str) -> None:
        self.folder, self.words, self.env, self.port = folder, words, env, free_port()
        self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def begin(self) -> None:
        words = [f"port={self.port}", f"outputs={self.folder}", *self.words]
        with (self.folder / "said").open("a") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "factorial", "server", *words], cwd=ROOT,
                env=os.environ | self.env, stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip

    def start(self) -> None:
        starts = self.said.count(SERVES)
        self.begin()
        deadline = time.monotonic() + 120
        while self.said.count(SERVES) == starts:
            assert time.monotonic() < deadline and self.process.poll() is None, self.said
            time.sleep(0.1)

    @property
    def said(self) -> str:
        return read(self.folder / "said")

    def kill(self) -> None:
        """The command with MLflow's server, at once: PostgreSQL is left alone."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture(scope="module", autouse=True)
def hanging_up_counts() -> Iterator[None]:
    """As in a terminal. Whoever is behind nohup has it ignored, and so have all that he starts."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)  # PostgreSQL has another account where this process is root
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def command(folder: Path) -> Iterator[Command]:
    command = Command(folder)
    yield command
    command.stop()


@pytest.fixture
def server(command: Command) -> Command:
    """The one that all share, at work: a test that failed may have left it ended."""
    if command.process.poll() is not None:
        command.start()
    return command


def database(server: Command) -> Path:
    return server.folder / "server" / "postgres"


def postmaster(server: Command) -> psutil.Process:
    return psutil.Process(int((database(server) / "postmaster.pid").read_text().split()[0]))


def test_what_several_clients_write_at_once_is_all_in_postgresql(
    server: Command, tmp_path: Path
) -> None:
    words = ["-m", "data=digits", "model=linear", "epochs=3", "tracking=server"]
    address = f"tracking.uri={server.address}"
    issued = [
        start(tmp_path / str(seed), *words, f"seed={seed},{seed + 1}", address)
        for seed in (10, 20, 30)
    ]
    assert [one.ended() for one in issued] == [0, 0, 0]
    password = (server.folder / "server" / "password").read_text()
    port = (database(server) / "postmaster.pid").read_text().split("\n")[3]
    engine = create_engine(f"postgresql+psycopg2://factorial:{password}@127.0.0.1:{port}/postgres")
    with engine.connect() as connection:

        def count(query: str) -> int:
            return int(connection.execute(text(f"select count(*) from {query}")).scalar_one())

        below = "runs r join tags t using (run_uuid) where t.key = 'mlflow.parentRunId'"
        assert count(f"{below} and r.status = 'FINISHED'") == 6
        curves = "metrics where key in ('train/loss', 'validation/accuracy')"
        assert count(curves) == 6 * 3 * 2
        assert count("params where key = 'model' and value = 'linear'") == 6
    (kept,) = (server.folder / "server" / "artifacts").iterdir()
    assert len(list(kept.rglob("weights.safetensors"))) == 6


def test_it_listens_on_this_machine_alone_and_its_password_is_nobody_elses(
    server: Command,
) -> None:
    mine = [process for process in psutil.process_iter() if is_of(process, server)]
    listening = {
        connection.laddr.ip
        for process in mine
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
    assert (server.folder / "server" / "password").stat().st_mode & 0o077 == 0


def is_of(process: psutil.Process, server: Command) -> bool:
    """Of the command, of MLflow's server below it, or of its PostgreSQL."""
    above = {server.process.pid, postmaster(server).pid}
    try:
        return process.pid in above or bool(above & {one.pid for one in process.parents()})
    except psutil.NoSuchProcess:
        return False


def test_what_a_killed_command_has_left_is_ended_by_the_next(server: Command) -> None:
    left = [process for process in psutil.process_iter() if is_of(process, server)]
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    server.start()  # at the same port
    _, alive = psutil.wait_procs(left, timeout=10)
    assert not alive


@pytest.mark.parametrize("seed", range(10))
def test_nothing_is_lost_or_doubled_wherever_the_server_is_killed(
    seed: int, server: Command, tmp_path: Path
) -> None:
    """At an epoch of the run; every other time its client is killed as well, soon after."""
    outputs, draw = tmp_path / "outputs", random.Random(seed)
    name = f"lost-{seed}"
    words = [*WORDS, f"seed={100 + seed}", f"tracking.experiment={name}"]
    words.append(f"tracking.uri={server.address}")
    issued = start(outputs, *words)
    wait_for_epoch(outputs, draw.randint(1, EPOCHS // 2))
    server.kill()
    if seed % 2:
        time.sleep(draw.uniform(0, 0.5))
        issued.kill(signal.SIGKILL)
    server.start()
    issued.ended()
    trained(train(outputs, *words))
    require_whole(server.address, name, outputs)


def test_a_database_that_dies_is_a_server_that_does_not_answer(
    server: Command, tmp_path: Path
) -> None:
    outputs = tmp_path / "outputs"
    words = [*WORDS, "seed=200", "tracking.experiment=died", f"tracking.uri={server.address}"]
    issued = start(outputs, *words)
    wait_for_epoch(outputs, 5)
    postmaster(server).kill()
    assert issued.ended() == 0, issued.stderr
    server.stop()
    server.start()
    trained(train(outputs, *words))
    require_whole(server.address, "died", outputs)


def test_once_stopped_nothing_of_it_is_left(server: Command) -> None:
    mine = [process for process in psutil.process_iter() if is_of(process, server)]
    assert len(mine) > 5
    assert server.stop() == 128 + signal.SIGTERM
    _, alive = psutil.wait_procs(mine, timeout=10)
    assert not alive
    server.start()


def test_a_folder_has_one_server_and_a_port_too(server: Command) -> None:
    def refused(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "factorial", "server", *words],
            cwd=ROOT, text=True, capture_output=True, timeout=60,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (1, "")
        return done.stderr.strip()

    outputs = f"outputs={server.folder}"
    assert refused(outputs, f"port={free_port()}") == f"error: {outputs}: has a server already"
    assert refused(f"outputs={server.folder / 'another'}", f"port={server.port}") == (
        f"error: host=127.0.0.1 port={server.port}: allowed is a free one of this machine "
        f"(Address already in use)"
    )
    elsewhere = refused(f"outputs={server.folder / 'other'}", "host=0.0.0.0")
    assert elsewhere == (
        "error: MLFLOW_AUTH_ADMIN_PASSWORD: allowed is a password of 12 signs or more, for the "
        "name admin"
    )


def is_running(folder: Path) -> bool:
    """Whether PostgreSQL works in that server's folder."""
    place = folder / "server" / "postgres"
    return any(one.info["cwd"] == str(place) for one in psutil.process_iter(["cwd"]))


def test_one_whose_terminal_is_closed_leaves_nothing_behind(server: Command) -> None:
    assert is_running(server.folder)
    server.process.send_signal(signal.SIGHUP)
    assert server.process.wait(30) == 128 + signal.SIGHUP
    assert not is_running(server.folder)
    server.start()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_nor_does_one_that_is_stopped_before_it_serves(
    number: signal.Signals, server: Command
) -> None:
    server.stop()
    server.begin()
    while not is_running(server.folder):
        assert server.process.poll() is None, server.said
        time.sleep(0.01)
    server.process.send_signal(number)
    assert server.process.wait(60) == (130 if number == signal.SIGINT else 128 + number)
    assert not is_running(server.folder)
    server.start()


def test_another_address_than_loopback_asks_for_a_password(folder: Path, tmp_path: Path) -> None:
    (folder / "open").mkdir()
    server = Command(folder / "open", "host=0.0.0.0", MLFLOW_AUTH_ADMIN_PASSWORD=PASSWORD)
    words = ["data=digits", "model=linear", "epochs=1", "tracking=server"]
    words.append(f"tracking.uri={server.address}")
    try:
        for password in ("", "wrong"):
            env = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": password}
            done = train(tmp_path, *words, env=env if password else None)
            assert done.returncode == 1
            assert done.stderr.strip() == (
                f"error: tracking.uri={server.address}: the server does not take the name and "
                f"password (MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD are where MLflow "
                f"looks for them)"
            )
        env["MLFLOW_TRACKING_PASSWORD"] = PASSWORD
        trained(train(tmp_path, *words, env=env))
    finally:
        server.stop()


def test_the_command_that_opens_mlflows_page_is_one_that_is_here(tmp_path: Path) -> None:
    """Of an environment on top of another the programs of that one are not its own."""
    typed = mlflow_page(Tracking("local", None, "any", None, None), str(tmp_path))
    program = [*shlex.split(typed.partition(" ui ")[0]), "--version"]
    assert subprocess.run(program, capture_output=True, check=True, text=True).stdout
