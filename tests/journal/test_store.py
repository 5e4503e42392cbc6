"""What a journal promises: what was appended comes back, a torn end is told, a changed line is refused."""

import resource
from pathlib import Path

import pytest

from runbook.errors import JournalError
from runbook.events import StepStarted, Waiting
from runbook.journal.store import Journal, read
from runbook.removals import RemovalRequested

EVENTS = [{"kind": "run_started"}, {"kind": "removal_requested", "peer": "id-5"}, {"kind": "removal_confirmed"}]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "run" / "journal.jsonl"
    journal = Journal.begin(path)
    for event in EVENTS:
        journal.append(event)
    journal.close()
    return path


def test_what_was_appended_comes_back_in_order(path: Path) -> None:
    record = read(path)
    assert [dict(event) for event in record.events] == [{"index": n, **event} for n, event in enumerate(EVENTS)]
    assert not record.torn


def test_nobody_else_may_read_it(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_every_prefix_is_read_as_far_as_it_is_whole(path: Path) -> None:
    """I8: whatever a crash leaves, the whole lines before it count."""
    data = path.read_bytes()
    ends = [place + 1 for place, byte in enumerate(data) if byte == ord("\n")]
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        record = read(path)
        assert len(record.events) == sum(end <= length for end in ends)
        assert record.torn == (length not in (0, *ends))


@pytest.mark.parametrize("line", range(len(EVENTS)))
def test_a_changed_line_is_named(path: Path, line: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line].replace(b"r", b"R", 1)
    path.write_bytes(b"".join(lines))
    with pytest.raises(JournalError, match=rf"journal.jsonl:{line + 1}: "):
        read(path)


@pytest.mark.parametrize("line", [0, 1])
def test_a_line_that_was_taken_out_is_noticed(path: Path, line: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[line]
    path.write_bytes(b"".join(lines))
    with pytest.raises(JournalError):
        read(path)


def test_a_journal_is_never_written_over(path: Path) -> None:
    with pytest.raises(JournalError, match="Nothing was started"):
        Journal.begin(path)


def test_a_line_that_the_disk_took_in_part_is_taken_back(tmp_path: Path) -> None:
    """Once there is room again, the ending follows the last whole line and nothing torn stands in the middle."""
    path = tmp_path / "journal.jsonl"
    journal = Journal.begin(path)
    journal.append({"kind": "first"})
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, most[1]))
    try:
        with pytest.raises(JournalError, match="No further change will be made"):
            journal.append({"kind": "second"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
    journal.append({"kind": "third"})
    record = read(path)
    assert ([event["kind"] for event in record.events], record.torn) == (["first", "third"], False)


def test_what_is_not_durable_costs_no_wait_and_reaches_the_disk_with_what_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look may be lost with the power of the machine, and nothing after it; the death of the process loses none."""
    synced: list[int] = []
    monkeypatch.setattr("runbook.journal.store.os.fsync", synced.append)
    journal = Journal.begin(tmp_path / "journal.jsonl")
    synced.clear()
    journal.append({"kind": "cluster.looked"}, durable=False)
    assert synced == []
    assert len(read(tmp_path / "journal.jsonl").events) == 1
    journal.append({"kind": "removal.requested"})
    assert len(synced) == 1
    journal.close()


def test_an_intent_is_durable_and_a_look_is_not() -> None:
    """What a change or a resumed run rests on; a step that only reads is simply begun again."""
    assert RemovalRequested("remove", "id", "a:1", "s1", 2).durable
    assert StepStarted("change", "command.run", "unknown").durable
    assert not StepStarted("look", "wait.until", "read").durable
    assert not Waiting("look", 1.0, "to see").durable


def test_a_line_that_could_not_be_read_back_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a step returned may be large; a journal that cannot be read any more would be worse."""
    monkeypatch.setattr("runbook.journal.store.LINE_LIMIT", 1000)
    journal = Journal.begin(tmp_path / "journal.jsonl")
    journal.append({"kind": "run.started"})
    with pytest.raises(JournalError, match="step.completed has 0 MiB, more than 0"):
        journal.append({"kind": "step.completed", "output": "x" * 1000})
    journal.append({"kind": "run.failed"})
    assert [event["kind"] for event in read(tmp_path / "journal.jsonl").events] == ["run.started", "run.failed"]
    journal.close()
