"""What a server is told of a run: kept on disk, sent in order, once."""

import json
import random
import resource
import signal
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from mlflow.exceptions import BAD_REQUEST, MlflowException
from mlflow.protos.databricks_pb2 import ErrorCode
from running import client
from spooled import leave, line, point, points

from factorial.record import reading, spool, writing
from factorial.record.entries import Place, joined
from factorial.record.reading import owner
from factorial.record.refusals import may_pass
from factorial.record.spool import Spool
from factorial.record.store import Store, client_of, open_store
from factorial.settings.schema import Tracking

pytestmark = pytest.mark.slow

EPOCHS = 40


class Flaky:
    """A store's own client, some of whose calls fail: before they reach it, or on the way back."""

    tracking_uri = "http://127.0.0.1:1"

    def __init__(self, real: Any, failures: list[Any]) -> None:
        self.real, self.failures, self.calls = real, iter(failures), []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            failure = next(self.failures, "none")
            if isinstance(failure, Exception):
                raise failure
            if failure == "before":
                raise ConnectionError("refused")
            self.calls.append(name)
            answer = getattr(self.real, name)(*arguments, **named)
            if failure == "after":
                raise ConnectionError("reset")
            return answer

        return call


@pytest.fixture
def store(outputs: Path) -> Store:
    return open_store(Tracking("local", None, "digits", None, None), str(outputs))


@pytest.fixture
def place(store: Store) -> Place:
    run = writing.new(store, "one", {})
    return run.place


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "FIRST", 0.001)
    monkeypatch.setattr(spool, "LONGEST", 0.002)


def flaky(place: Place, failures: list[Any]) -> Place:
    return place._replace(client=Flaky(place.client, failures))


@pytest.mark.parametrize("seed", range(5))
def test_all_is_sent_once_and_in_order_whatever_calls_fail(
    seed: int, place: Place, outputs: Path
) -> None:
    draw = random.Random(seed)
    sending = Spool(flaky(place, draw.choices(["before", "after", "none"], k=3 * EPOCHS)))
    for epoch in range(1, EPOCHS + 1):
        sending.add(point(epoch))
        sending.add({"tag": "epoch", "value": str(epoch)})
    sending.add({"status": "FINISHED", "at": 7})
    sending.close()
    assert points(outputs, place.run) == [(n, 1 / n, n) for n in range(1, EPOCHS + 1)]
    written = client(outputs).get_run(place.run)
    assert written.data.tags["epoch"] == str(EPOCHS)
    assert (written.info.status, written.info.end_time) == ("FINISHED", 7)
    assert not (place.folder.parent / "spool").exists()


def test_rows_that_wait_together_go_as_one_and_nothing_else_changes_its_place() -> None:
    many = {"points": [["a", step, 0.0, 0] for step in range(999)]}
    tag = {"tag": "a", "value": "1"}
    entries = [many, point(1), point(2), point(3), tag, tag, point(4)]
    groups = []
    while entries:
        together, count = joined(entries)
        groups.append(together)
        del entries[:count]
    first = {"points": [*many["points"], *point(1)["points"]]}  # a thousand: no more in one write
    second = {"points": [*point(2)["points"], *point(3)["points"]]}
    assert groups == [first, second, tag, tag, point(4)]


def test_what_is_added_is_on_disk_before_it_is_sent(place: Place) -> None:
    sending = Spool(flaky(place, ["before"] * 1_000_000))
    entries = [{"tag": "a", "value": "1"}, point(1), {"params": {"b": "ä\n"}}]
    for entry in entries:
        sending.add(entry)
    assert spool.read(sending.file) == [owner(), *entries]
    assert Flaky.tracking_uri and sending.place.client.calls == []


def test_a_silent_server_is_waited_for_at_the_end_and_then_left(
    place: Place, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(spool, "PATIENCE", 0.3)
    sending = Spool(flaky(place, ["before"] * 1_000_000))
    sending.add(point(1))
    began = time.monotonic()
    sending.close()
    assert 0.3 < time.monotonic() - began < 3
    said = capsys.readouterr().err
    assert f"run {place.run}: 1 of its writes wait in {sending.file.parent}" in said
    assert "(refused)" in said
    taken, left = spool.deliver(store, wait=5)  # until the thread has seen that it is given up
    assert (taken, left) == ([sending.file], {})
    assert points(store.outputs, place.run) == [(1, 1.0, 1)]
    assert spool.deliver(store) == ([], {})


def test_one_that_answers_is_waited_for_however_long_all_takes(
    place: Place, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "PATIENCE", 0.4)
    slow = flaky(place, [])

    def set_tag(*arguments: Any) -> None:
        time.sleep(0.1)
        place.client.set_tag(*arguments)

    slow.client.set_tag = set_tag
    sending = Spool(slow)
    for number in range(10):
        sending.add({"tag": f"tag{number}", "value": "1"})
    sending.close()
    tags = client(outputs).get_run(place.run).data.tags
    assert {f"tag{number}" for number in range(10)} <= tags.keys()


def test_a_refusal_for_good_is_raised_and_nothing_more_is_sent(place: Place, outputs: Path) -> None:
    sending = Spool(flaky(place, []))
    sending.add({"params": {"a": "1"}})
    sending.add({"params": {"a": "2"}})  # which MLflow does not change
    sending.add(point(2))
    with sending.changed:
        assert sending.changed.wait_for(lambda: sending.refusal, 30)
    with pytest.raises(OSError, match=r"the record can't be written: .*Changing param values"):
        sending.add(point(1))
    with pytest.raises(OSError, match=r"the record can't be written: .*Changing param values"):
        sending.close()
    time.sleep(0.05)
    assert sending.place.client.calls == ["log_batch", "log_batch"]
    assert points(outputs, place.run) == []
    assert sending.file.exists()


@pytest.mark.parametrize("at", ["run", "deliver"])
def test_a_file_that_a_proxy_takes_for_too_large_is_asked_for_once(
    at: str, place: Place, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends as with a full disk; what other runs have left is sent all the same."""
    asked = []

    class Proxy(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.path)
            self.send_error(413)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    location = f"http://127.0.0.1:{server.server_port}/api/2.0/mlflow-artifacts/artifacts/1"
    (place.folder / "weights.safetensors").write_bytes(b"0" * 100)
    entries = [{"file": "weights.safetensors"}, {"tag": "later", "value": "1"}]
    if at == "run":
        sending = Spool(place._replace(location=location))
        for entry in entries[:1]:
            sending.add(entry)
        with pytest.raises(OSError, match=r"the record can't be written: 413 Client Error: "):
            sending.close()
        assert sending.file.exists()
    else:
        others = iter(lambda: writing.new(store, "other", {}).place, None)
        other = next(one for one in others if one.run > place.run)  # sent behind it
        file = leave(place, *map(line, entries))
        taken = leave(other, line(point(1)), name="2")
        real = place.send.__func__
        monkeypatch.setattr(Place, "send", lambda self, entry: real(
            self._replace(location=location), entry))  # fmt: skip
        delivery = spool.deliver(store)
        assert delivery.taken == [taken]
        assert delivery.left[file].startswith("413 Client Error: ")
    server.shutdown()
    assert len(asked) == 1


def test_a_tag_is_as_long_as_any_server_takes(
    place: Place, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRUNCATE_LONG_VALUES", "false")
    place.send({"tag": "long", "value": "x" * 9000})
    assert client(outputs).get_run(place.run).data.tags["long"] == "x" * 8000


def test_a_data_set_that_another_run_adds_at_the_same_moment_is_asked_for_again(
    place: Place, outputs: Path
) -> None:
    first = MlflowException("UNIQUE constraint failed", error_code=BAD_REQUEST)
    asked = flaky(place, [first])
    asked.send({"data": {"name": "digits", "digest": "0" * 64, "sizes": {"train": 1}}})
    (entry,) = client(outputs).get_run(place.run).inputs.dataset_inputs
    assert (entry.dataset.name, json.loads(entry.dataset.profile)) == ("digits", {"train": 1})


def test_a_line_for_which_there_is_no_room_leaves_no_part(tmp_path: Path) -> None:
    file = tmp_path / "file"
    spool.append(file, "whole")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            spool.append(file, "x" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    spool.append(file, "next")
    assert file.read_text() == "whole\nnext\n"


def test_a_run_that_nobody_waits_for_any_longer_stays_as_it_ended(
    place: Place, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C, while a server is waited for, is no end of the run."""
    monkeypatch.setattr(Store, "is_remote", True)
    monkeypatch.setattr("factorial.record.remote.check", lambda *_: None)
    monkeypatch.setattr(Place, "send", lambda *_: stop(ConnectionError("refused")))
    monkeypatch.setattr(Spool, "wait", lambda _: stop(KeyboardInterrupt()))
    (known,) = reading.find(store)
    run = writing.Run(store, store.client.get_run(known.id).info, known)
    with pytest.raises(KeyboardInterrupt), writing.recording(run):
        pass
    (file,) = place.folder.parent.glob("spool/*.jsonl")
    told = [entry["status"] for entry in spool.read(file) if "status" in entry]
    assert told == ["FINISHED"]


def stop(error: BaseException) -> None:
    raise error


def failed(code: str) -> MlflowException:
    return MlflowException("no", error_code=ErrorCode.Value(code))


def answered(status: int) -> requests.HTTPError:
    """What comes of a file that is answered so."""
    answer = requests.Response()
    answer.status_code = status
    return requests.HTTPError(f"{status} Client Error", response=answer)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (ConnectionResetError("reset"), True),
        (failed("INTERNAL_ERROR"), True),
        (failed("TEMPORARILY_UNAVAILABLE"), True),
        (failed("UNAUTHENTICATED"), True),  # a password may be given yet
        (failed("PERMISSION_DENIED"), True),
        (failed("BAD_REQUEST"), True),  # MLflow's word for most of what a database says
        (failed("ENDPOINT_NOT_FOUND"), True),  # a proxy's, while what is behind it starts
        (answered(502), True),
        (answered(401), True),
        (answered(413), False),
        (MlflowException("API request to / failed with error code 502 != 200"), True),
        (MlflowException("API request to / failed with error code 413 != 200"), False),
        (failed("INVALID_PARAMETER_VALUE"), False),
        (failed("RESOURCE_DOES_NOT_EXIST"), False),
        (failed("INVALID_STATE"), False),
        (TypeError("a bug"), False),
    ],
    ids=str,
)
def test_only_what_a_server_will_never_take_is_refused_for_good(
    error: Exception, passes: bool
) -> None:
    assert may_pass(error) == passes


def test_a_run_whose_answer_was_lost_is_asked_for_once(outputs: Path) -> None:
    """Asked for again, it would be there twice."""
    asked = []

    class Silent(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.connection.close()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    remote = Store(client_of(f"http://127.0.0.1:{server.server_port}"), "1", outputs)
    with pytest.raises(OSError, match=r"can't be written: API request to .* got no answer"):
        writing.new(remote, "one", {})
    server.shutdown()
    assert asked == ["/api/2.0/mlflow/runs/create"]
