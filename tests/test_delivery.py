"""What a process left on disk for a server: sent by another, once, or left with the reason."""

from pathlib import Path

import pytest
from filelock import FileLock
from running import client
from spooled import leave, line, point, points

from factorial.record import reading, spool, writing
from factorial.record.entries import Place
from factorial.record.store import Store, open_store
from factorial.settings.schema import Tracking


@pytest.fixture
def store(outputs: Path) -> Store:
    return open_store(Tracking("local", None, "digits", None, None), str(outputs))


@pytest.fixture
def place(store: Store) -> Place:
    run = writing.new(store, "one", {})
    return run.place


def test_what_a_living_process_sends_is_left_to_it(place: Place, store: Store) -> None:
    file = leave(place, line(point(1)))
    with FileLock(file.with_suffix(".lock")):
        assert spool.deliver(store) == ([], {})
        assert spool.deliver(store, wait=0.1) == ([], {file: "another process is sending it"})
    assert points(store.outputs, place.run) == []
    assert spool.deliver(store).taken == [file]
    assert not file.parent.exists()


def test_what_a_living_process_sends_does_not_wait(place: Place, store: Store) -> None:
    file = leave(place, line(point(1)))
    other = leave(writing.new(store, "two", {}).place, line(point(1)))
    assert spool.waiting(store) == 2
    with FileLock(file.with_suffix(".lock")):
        assert spool.waiting(store) == 1
        with FileLock(other.with_suffix(".lock")):
            assert spool.waiting(store) == 0
    assert spool.waiting(store) == 2
    spool.deliver(store)
    assert spool.waiting(store) == 0


def test_half_a_line_of_a_killed_process_was_never_written(place: Place, store: Store) -> None:
    leave(place, line(point(1)), line(point(2))[:-5])
    assert spool.deliver(store).left == {}
    assert points(store.outputs, place.run) == [(1, 1.0, 1)]


def test_of_a_process_that_was_killed_before_its_first_line_nothing_waits(
    place: Place, store: Store
) -> None:
    leave(place).write_text('{"own')
    assert spool.deliver(store).left == {}
    assert not (place.folder.parent / "spool").exists()


def test_the_older_is_sent_before_the_newer(place: Place, store: Store) -> None:
    for name in ("1700000000000000002", "1700000000000000010", "1700000000000000001"):
        said = [line({"tag": tag, "value": name}) for tag in ("first", "second", "last")]
        leave(place, *said, name=name)
    spool.deliver(store)
    tags = client(store.outputs).get_run(place.run).data.tags
    assert tags["first"] == tags["second"] == tags["last"]
    assert tags["last"] == "1700000000000000010"


def test_what_another_process_has_gone_on_with_since_is_set_aside(
    place: Place, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its end would be told in place of the other's."""
    other = {"owner": '["elsewhere", 1, 1.0]'}
    file = leave(place, line(point(1)), line({"status": "KILLED", "at": 1}), whose=other)
    assert spool.deliver(store) == ([], {})
    assert points(store.outputs, place.run) == []
    assert client(store.outputs).get_run(place.run).info.status == "RUNNING"
    assert file.with_suffix(".superseded").exists() and not file.exists()
    assert f"run {place.run}: another process went on with it" in capsys.readouterr().err


HOSTILE = {
    "no JSON\n": "allowed is a JSON object in each line",
    "[" * 100_000 + "\n": "allowed is a JSON object in each line",
    "7\n": "allowed is a JSON object in each line",
    '{"points": 1}\n': "not iterable",
    '{"points": [["a", 1]]}\n': "not enough values",
    '{"delete": true}\n': "allowed is what a run tells MLflow",
    '{"file": "../../../secret"}\n': "allowed is one that is in ",
    '{"file": "/etc/hostname"}\n': "allowed is one that is in ",
    '{"file": "link"}\n': "allowed is one that is in ",
    '{"file": "gone"}\n': "allowed is one that is in ",
}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_file_that_says_anything_else_is_left_with_the_reason(
    text: str, place: Place, store: Store
) -> None:
    (store.outputs / "secret").write_text("secret")
    (place.folder / "link").symlink_to(store.outputs / "secret")
    file = leave(place, text)
    ((left, why),) = spool.deliver(store).left.items()
    assert left == file and HOSTILE[text] in why
    assert file.read_text().endswith(text)


def test_nor_is_a_folder_that_leads_elsewhere_sent(place: Place, store: Store) -> None:
    (store.outputs / "elsewhere").mkdir()
    (store.outputs / "elsewhere" / "key").write_text("secret")
    place.folder.rmdir()
    place.folder.symlink_to(store.outputs / "elsewhere")
    file = leave(place, line({"file": "key"}))
    assert "allowed is one that is in" in spool.deliver(store).left[file]


def test_a_run_is_not_gone_on_with_before_all_of_it_was_sent(
    place: Place, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told later, its old end would undo the new one."""
    leave(place, "no JSON\n")
    monkeypatch.setattr(Store, "is_remote", True)
    (known,) = reading.find(store)
    with pytest.raises(OSError, match=rf"run {place.run}: the server has to take .*1\.jsonl first"):
        writing.again(store, known)
