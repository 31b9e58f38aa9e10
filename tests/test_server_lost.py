"""A tracking server that goes away in the middle of a run or a sweep, and comes back."""

import os
import re
import signal
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from lost import EPOCHS, WORDS, last_epoch, require_whole, trained, wait_for_epoch
from processes import Server, start, train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


@pytest.fixture
def server(process: Server) -> Server:
    """One that runs."""
    if process.process.poll() is not None:
        process.start()
    return process


@pytest.fixture
def words(server: Server, request: pytest.FixtureRequest) -> list[str]:
    """A run that no other test has trained, in an experiment of this test's own."""
    name = request.node.name
    own = [f"tracking.experiment={name}", f"seed={zlib.crc32(name.encode()) % 10_000}"]
    return [*WORDS, *own, f"tracking.uri={server.address}"]


def test_a_run_is_trained_to_its_end_without_its_server_and_delivered_by_one_command(
    server: Server, words: list[str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    outputs = tmp_path / "outputs"
    issued = start(outputs, *words)
    wait_for_epoch(outputs, 3)
    server.kill()
    issued.ended()
    trained(issued)
    line = (
        r"WARNING: run \w{32}: \d+ of its writes wait in .*/spool, for the server does not take "
        rf"them \(API request to {server.address}/\S+ got no answer\); `factorial deliver` sends "
        r"them later"
    )
    assert re.fullmatch(line, issued.stderr.strip())
    assert last_epoch(outputs) == EPOCHS and "test" in issued.stdout
    place = f"tracking.uri={server.address}"
    refused = train(outputs, place, command="deliver")
    assert refused.returncode == 1 and "no server answers there" in refused.stderr
    server.start()
    delivered = train(outputs, place, command="deliver")
    assert delivered.returncode == 0, delivered.stderr
    assert delivered.stdout == "1 runs delivered, 0 files left\n"
    require_whole(server.address, request.node.name, outputs)
    again = train(outputs, place, command="deliver")
    assert (again.returncode, again.stdout) == (0, "0 runs delivered, 0 files left\n")
    require_whole(server.address, request.node.name, outputs)


def test_a_server_that_comes_back_in_mid_run_gets_all_of_it_by_its_end(
    server: Server, words: list[str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    outputs = tmp_path / "outputs"
    issued = start(outputs, *words)
    wait_for_epoch(outputs, 3)
    server.kill()
    wait_for_epoch(outputs, 10)
    os.kill(issued.process.pid or 0, signal.SIGSTOP)  # however long a server takes to start
    server.start()
    os.kill(issued.process.pid or 0, signal.SIGCONT)
    issued.ended()
    trained(issued)
    assert issued.stderr == ""
    require_whole(server.address, request.node.name, outputs)


def test_a_server_that_hangs_holds_a_run_up_for_ten_seconds_at_most(
    server: Server, words: list[str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    outputs = tmp_path / "outputs"
    issued = start(outputs, *words)
    wait_for_epoch(outputs, 3)
    server.signal(signal.SIGSTOP)
    wait_for_epoch(outputs, EPOCHS)
    began = time.monotonic()
    issued.ended()
    assert time.monotonic() - began < 10 + 5  # and what follows the last epoch on a busy machine
    trained(issued)
    server.signal(signal.SIGCONT)
    assert "answered by run" in train(outputs, *words).stdout  # delivers it first
    require_whole(server.address, request.node.name, outputs)


def test_what_a_killed_client_had_not_sent_is_sent_once_by_the_next(
    server: Server, words: list[str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    outputs = tmp_path / "outputs"
    issued = start(outputs, *words)
    wait_for_epoch(outputs, 3)
    server.kill()
    wait_for_epoch(outputs, 10)
    issued.kill(signal.SIGKILL)
    server.start()
    trained(train(outputs, *words))
    require_whole(server.address, request.node.name, outputs)


def test_a_sweep_ends_where_its_server_does_not_answer_and_goes_on_later(
    server: Server, words: list[str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    outputs = tmp_path / "outputs"
    words = ["-m", *words, "optimizer.lr=0.1,0.2"]
    issued = start(outputs, *words)
    wait_for_epoch(outputs, 5)
    server.kill()
    assert issued.ended() == 1
    assert "Traceback" not in issued.stdout + issued.stderr
    line = rf"error: tracking\.uri={server.address}: no server answers there \(.*\); start one .*"
    assert re.fullmatch(line, issued.stderr.strip().splitlines()[-1])
    server.start()
    done = train(outputs, *words)
    trained(done)
    assert "1 cached, 1 new" in done.stdout
    require_whole(server.address, request.node.name, outputs, 2)
