"""What comes home from a worker: bounded, held to its form, and nothing that leads out of the fleet's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runbook.errors import NotStartedError
from runbook.fleet import brought_home
from runbook.fleet.brought_home import keep_record, pack_record
from runbook.fleet.check_records import FarCheck, check_reply, read_check_reply
from runbook.raft.diagnosis.findings import Certainty, Finding, Server, Severity
from runbook.raft.diagnosis.health import ClusterHealth

RUN = "20261127T031502114Z-remove-dead-peers-9b1e"
FINDING = Finding("DeadPeer", Severity.WARNING, Certainty.CERTAIN, "s3", ("seen",), "do", (Server("i", "a", "n"),), "p")
CHECK = FarCheck("degraded", 0.5, ClusterHealth(1, "degraded", 5, 4, 1, 1, 0, True, (FINDING,), 3.5), ("a note",))


def test_a_record_is_kept_as_it_was(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    for name in ("journal.jsonl", "playbook.yaml"):
        (there / name).write_text(f"{name}\n", encoding="utf-8")
    texts, why = pack_record(there)
    folder = keep_record(tmp_path / "fleets", "fleet", RUN, texts)
    assert (why, folder) == ("", tmp_path / "fleets" / "fleet" / RUN)
    assert folder is not None
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in there.iterdir()
    }


def test_one_that_is_too_long_stays_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And that is said; so is one that cannot be read."""
    monkeypatch.setattr(brought_home, "FILES", {"journal.jsonl": 1024**2})
    assert pack_record(tmp_path)[1] == "its journal cannot be read there: No such file or directory"
    (tmp_path / "journal.jsonl").write_bytes(b"x" * (1024**2 + 1))
    assert pack_record(tmp_path) == ({}, "its journal has more than 1 MiB and stays there")


@pytest.mark.parametrize(
    ("run", "texts"),
    [
        ("../../x", {"journal.jsonl": "", "playbook.yaml": ""}),
        (RUN, {"journal.jsonl": "", "../x": ""}),
        (RUN, {"journal.jsonl": ""}),
        (RUN, {"journal.jsonl": 1, "playbook.yaml": ""}),
        (RUN, ["x"]),
    ],
)
def test_no_odd_record_is_kept(tmp_path: Path, run: str, texts: Any) -> None:
    with pytest.raises(NotStartedError):
        keep_record(tmp_path, "fleet", run, texts)
    assert not list(tmp_path.iterdir())


def test_a_check_comes_home_as_it_was() -> None:
    assert read_check_reply(check_reply(CHECK)) == CHECK
    assert read_check_reply(check_reply(FarCheck("no answer", 1.0))) == FarCheck("no answer", 1.0)


@pytest.mark.parametrize(
    "odd",
    [None, [], {}, "x", {"health": {"level": 9}}, {"health": {"level": True}}, {"health": {"findings": [1]}}],
)
def test_whatever_else_comes_is_no_check(odd: Any) -> None:
    sent = check_reply(CHECK)
    if isinstance(odd, dict) and odd:
        odd = {**sent, "health": {**sent["health"], **odd["health"]}}
    with pytest.raises(NotStartedError, match="no check of this version"):
        read_check_reply(odd)
