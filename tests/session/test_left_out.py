"""The list of servers that a recovery left out: from a run's event to the next look, what leaves it, and odd files."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from runbook.cluster_events import LeftOutListed
from runbook.errors import AtWorkError, JournalError, NotStartedError
from runbook.events import RunCompleted
from runbook.files import RUNS, replace_file
from runbook.journal.store import Journal, read
from runbook.raft.diagnosis.diagnose import diagnose
from runbook.raft.diagnosis.health import ClusterHealth, cluster_health
from runbook.raft.left_out import NOBODY, LeftOutServer
from runbook.raft.model import ClusterView, Configuration, Peer, Reach
from runbook.recorded import fold_recorded
from runbook.session import left_out as lists
from runbook.session.left_out import acknowledge_left_out, left_out_of, look_for_left_out, write_list
from runbook.session.run_session import RunResult
from tests.engine.fake import FakeClock, FakeCluster
from tests.raft.worlds import Kind, peer, view_of
from tests.session.test_run_session import played

RUN = "20260101T000000000Z-recover-lost-quorum-ab12"
ROW = {"id": "id-9", "name": "s9.global", "address": "10.0.0.9:4647", "ground": "named"}
S9 = LeftOutServer("id-9", "s9.global", "10.0.0.9:4647", RUN)
VIEW = replace(view_of([Kind()] * 3), cluster="nomad:eu")


class Seen:
    """A cluster whose look is one view; ``ports`` are those that accept beside its peers'."""

    name = "nomad:eu"
    secrets: tuple[str, ...] = ()

    def __init__(self, view: ClusterView = VIEW, *ports: str) -> None:
        self.view, self.ports, self.tried = view, ports, list[str]()

    def look(self, **_within: float) -> ClusterView:
        return self.view

    def probe(self, addresses: Collection[str]) -> Mapping[str, Reach]:
        self.tried += addresses
        return {address: Reach.ACCEPTED if address in self.ports else Reach.REFUSED for address in addresses}


def listed(state: Path, *rows: Mapping[str, Any], run: str = RUN, cluster: str = "nomad:eu", view: Any = VIEW) -> Path:
    event = LeftOutListed("verify", tuple(sorted(view.identities)), rows or (ROW,))
    write_list(state, run, cluster, json.loads(json.dumps(event.record())))
    return state / "left-out" / f"{run}.json"


def found(state: Path, cluster: Seen) -> list[str]:
    view, left_out = look_for_left_out(cluster, {"RUNBOOK_STATE_DIR": str(state)})  # type: ignore[arg-type]
    return [finding.name for finding in diagnose(view, left_out=left_out)]


def acknowledge(state: Path, name: str, cluster: str = "") -> tuple[str, ...]:
    environment = {"RUNBOOK_STATE_DIR": str(state), "NOMAD_TOKEN": "hunter2-hunter2"}
    return acknowledge_left_out(name, cluster, "off, with hunter2-hunter2", "ann@bastion", environment, FakeClock())


def other_cluster() -> ClusterView:
    peers = tuple(replace(each, id=f"other-{each.id}") for each in VIEW.configuration.peers)  # type: ignore[union-attr]
    return replace(VIEW, configuration=Configuration(peers), vantages=(), opinions={}, leader_id=peers[0].id)


def test_who_is_listed_is_tried_in_each_look_and_found_when_it_is_back(tmp_path: Path) -> None:
    path = listed(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    away, back = Seen(), Seen(VIEW, "10.0.0.9:4647")
    assert found(tmp_path, away) == ["Healthy"]
    assert away.tried == ["10.0.0.9:4647"]
    assert found(tmp_path, back) == ["LeftOutReturned"]
    assert left_out_of(tmp_path, VIEW.identities).servers == (S9,)


def test_two_clusters_share_no_list(tmp_path: Path) -> None:
    listed(tmp_path)
    other = Seen(other_cluster(), "10.0.0.9:4647")
    assert "LeftOutReturned" not in found(tmp_path, other)
    assert other.tried == []


def test_who_was_replaced_leaves_the_list_and_that_is_said_once(tmp_path: Path) -> None:
    path = listed(tmp_path, ROW, {**ROW, "id": "id-old", "name": "s3.global", "address": peer(3).address})
    assert found(tmp_path, Seen()) == ["LeftOutReplaced", "Healthy"]
    assert found(tmp_path, Seen()) == ["Healthy"]
    assert left_out_of(tmp_path, VIEW.identities).servers == (S9,)
    listed(tmp_path, {**ROW, "address": peer(3).address})
    assert found(tmp_path, Seen()) == ["LeftOutReplaced", "Healthy"]
    assert not path.exists()


def test_a_cluster_is_known_when_all_peers_of_its_recovery_were_replaced(tmp_path: Path) -> None:
    """One after the other: each look notes who they are."""
    listed(tmp_path)
    kinds = [Kind()] * 6
    for gone in range(1, 4):
        view = view_of(kinds[: 3 + gone])
        left = tuple(each for each in view.configuration.peers if int(each.id[3:]) > gone)  # type: ignore[union-attr]
        found(tmp_path, Seen(replace(view, configuration=Configuration(left), leader_id=left[0].id)))
    assert left_out_of(tmp_path, frozenset({"id-6"})).servers == (S9,)
    assert left_out_of(tmp_path, frozenset({"id-1"})) == NOBODY


def test_a_look_without_a_leader_takes_nobody_off(tmp_path: Path) -> None:
    """Whose configuration it is, nobody knows for sure then."""
    path = listed(tmp_path, {**ROW, "address": peer(3).address})
    before = path.read_bytes()
    found(tmp_path, Seen(view_of([Kind()] * 3, leader=None)))
    assert path.read_bytes() == before


def _of(**more: object) -> bytes:
    return json.dumps({"cluster": "c", "peers": ["id-1"], "servers": [{**ROW, **more}]}).encode()


ODD = {
    "empty": b"",
    "no JSON": b"\x00\xff",
    "deep": b"[" * 100_000,
    "another shape": b"[1]",
    "nobody": b'{"cluster": "nomad:eu", "peers": [], "servers": []}',
    "a text of peers": json.dumps({"cluster": "c", "peers": "id-1", "servers": [ROW]}).encode(),
    "a number": _of(id=9),
    "a terminal's words": _of(name="\x1b[2J"),
    "a long word": _of(name="x" * 301),
    "a huge number": b'{"cluster": ' + b"9" * 10_000 + b"}",
    "huge": b" " * (lists.MOST_BYTES + 1),
}


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_list_ends_nothing_and_is_a_warning_with_its_path(tmp_path: Path, odd: str) -> None:
    """I17; and the good one beside it still counts."""
    listed(tmp_path)
    path = tmp_path / "left-out" / "odd.json"
    path.write_bytes(ODD[odd])
    _, left_out = look_for_left_out(Seen(), {"RUNBOOK_STATE_DIR": str(tmp_path)})  # type: ignore[arg-type]
    assert left_out.unread == (f"{path}: it is not what a recovery writes",)
    assert left_out.servers == (S9,)
    assert found(tmp_path, Seen(VIEW, "10.0.0.9:4647")) == ["LeftOutReturned", "LeftOutUnread"]


def test_what_is_no_file_is_a_warning_too(tmp_path: Path) -> None:
    (folder := tmp_path / "left-out").mkdir()
    os.mkfifo(folder / "pipe.json")
    (folder / "loop.json").symlink_to("loop.json")
    (folder / "folder.json").mkdir()
    (folder / ".x.json.partial").write_bytes(b"of a write that was given up")
    unread = left_out_of(tmp_path, VIEW.identities).unread
    assert [Path(each.partition(":")[0]).name for each in unread] == ["folder.json", "loop.json", "pipe.json"]
    (tmp_path / "file").write_bytes(b"")
    assert left_out_of(tmp_path / "file", VIEW.identities) == NOBODY


def test_a_folder_of_thousands_costs_no_more(tmp_path: Path) -> None:
    (folder := tmp_path / "left-out").mkdir()
    for number in range(lists.MOST_FILES + 5):
        (folder / f"{number}.json").touch()
    unread = left_out_of(tmp_path, VIEW.identities).unread
    assert unread[0] == f"{folder}: more than {lists.MOST_FILES} files"
    assert len(unread) <= lists.MOST_FILES + 1


def test_a_person_takes_one_off_and_the_record_of_its_run_says_so(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    listed(tmp_path, ROW, {**ROW, "id": "id-8", "name": "s8.global", "address": "10.0.0.8:4647"})
    with pytest.raises(AtWorkError):
        acknowledge(tmp_path, "s9")
    journal.append({"at": FakeClock().now(), "kind": "run.completed", "message": "done"})
    journal.close()
    (told,) = acknowledge(tmp_path, "s9")
    assert told == f"s9.global is not watched for any more, by ann@bastion's word; on record in {RUN}"
    assert [server.name for server in left_out_of(tmp_path, VIEW.identities).servers] == ["s8.global"]
    events = read(tmp_path / RUNS / RUN / "journal.jsonl").events
    assert (events[-1]["kind"], events[-1]["id"]) == ("left_out.acknowledged", "id-9")
    assert "hunter2" not in str(events[-1])
    assert fold_recorded(events).state == "completed"
    with pytest.raises(NotStartedError, match=r"no server s9 is on the list .* has s8.global of nomad:eu"):
        acknowledge(tmp_path, "s9")


def begun(state: Path) -> Journal:
    started = {"kind": "run.started", "run": RUN, "playbook": "p", "digest": "d", "cluster": "nomad:eu", "who": "ann",
               "dry_run": False, "params": {}}  # fmt: skip
    (state / RUNS / RUN).mkdir(parents=True)
    journal = Journal.begin(state / RUNS / RUN / "journal.jsonl")
    journal.append({"at": FakeClock().now(), **started})
    return journal


def test_one_whose_record_is_gone_is_taken_off_all_the_same(tmp_path: Path) -> None:
    path = listed(tmp_path)
    (told,) = acknowledge(tmp_path, "10.0.0.9:4647")
    assert told.endswith(f"not on record, as that of {RUN} cannot be written")
    assert not path.exists()


def test_a_name_in_two_clusters_is_nobodys_until_one_is_named(tmp_path: Path) -> None:
    listed(tmp_path)
    other = f"{RUN[:-1]}3"
    listed(tmp_path, {**ROW, "id": "other-id-9"}, run=other, cluster="nomad:us", view=other_cluster())
    with pytest.raises(NotStartedError, match=r"several clusters: nomad:eu \(id-9\), nomad:us \(other-id-9\)"):
        acknowledge(tmp_path, "s9")
    acknowledge(tmp_path, "s9", "us")
    assert left_out_of(tmp_path, other_cluster().identities) == NOBODY
    assert left_out_of(tmp_path, VIEW.identities).servers == (S9,)
    acknowledge(tmp_path, "s9", "nomad:eu")


def test_a_list_that_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    """It is not to end well: nobody would watch."""
    replace_file(tmp_path / "left-out", b"in the way")
    with pytest.raises(JournalError, match="the list of the servers left out cannot be written: .* resume this run"):
        listed(tmp_path)


def test_a_peer_at_the_port_is_no_sign_by_itself(tmp_path: Path) -> None:
    """Of a newcomer that gossip knows already and the configuration not yet."""
    listed(tmp_path)
    new = Peer("id-4", "10.0.0.9:4647", voter=True, name="s9.global")
    member = replace(VIEW.vantages[0].members[0], id=new.id, name="s9.global", raft_address=new.address)  # type: ignore[index]
    joins = tuple(replace(each, members=(*(each.members or ()), member)) for each in VIEW.vantages)
    assert "LeftOutReturned" not in found(tmp_path, Seen(replace(VIEW, vantages=joins), new.address))


VERIFY = """
runbook: 1
name: recovered
steps:
  - id: verify
    uses: raft.verify_recovery
    with:
      successes: 1
      plan: {plan}
"""


@dataclass
class Survivors(FakeCluster):
    """Three, and whether the port of s9 accepts."""

    back: bool = False

    def probe(self, addresses: Collection[str]) -> Mapping[str, Reach]:
        return dict.fromkeys(addresses, Reach.ACCEPTED if self.back else Reach.REFUSED)


def recovered(state: Path, folder: Path) -> RunResult:
    """A run that has done the rest, and verifies it."""
    host = {"local": True, "data_folder": str(folder), "service": {"unit": "nomad"}}
    plan = {
        "starts": [{"id": f"id-{n}", "host": {"server": f"s{n}", **host}} for n in (1, 2, 3)],
        "left_out": [{**ROW, "may_return": True}, {**ROW, "id": "id-8", "name": "s8.global", "may_return": False}],
        "raft_folder": "raft",
        "path": "recovery-plan.txt",
    }
    (playbook := folder / "recovered.yaml").write_text(VERIFY.format(plan=json.dumps(plan)), encoding="utf-8")
    return played(state, Survivors(FakeClock(), servers=3), playbook=playbook)[0]


def test_from_a_recovery_to_the_refusal_of_the_next_run_and_back(tmp_path: Path) -> None:
    """Without a process: the run's event, the list, check, diagnose and execute on it, and a person's word."""
    state = tmp_path / "state"
    result = recovered(state, tmp_path)
    assert isinstance(result.ending, RunCompleted), result.ending
    events = read(result.folder / "journal.jsonl").events
    (event,) = [event for event in events if event["kind"] == "left_out.listed"]
    assert (event["peers"], event["servers"]) == (["id-1", "id-2", "id-3"], [ROW])
    told = next(event["message"] for event in events if event["kind"] == "step.completed")
    assert "KEEP OUT, until its Raft folder was moved aside as recovery-plan.txt says: s9.global" in told
    (server,) = left_out_of(state, frozenset({"id-2"})).servers
    assert (server.id, server.run) == ("id-9", result.folder.name)

    def executed(*, back: bool, **options: Any) -> tuple[str, int]:
        cluster = Survivors(FakeClock(), servers=3, back=back)
        ending = played(state, cluster, **options)[0].ending
        return getattr(ending, "code", ""), cluster_health_of(cluster, state).level

    assert executed(back=False) == ("", 0)
    assert executed(back=True) == ("LeftOutReturned", 2)
    assert executed(back=True, dry_run=True) == ("LeftOutReturned", 2)
    acknowledge(state, "s9")
    assert executed(back=True) == ("", 0)


def cluster_health_of(cluster: FakeCluster, state: Path) -> ClusterHealth:
    view, left_out = look_for_left_out(cluster, {"RUNBOOK_STATE_DIR": str(state)})
    return cluster_health(view, left_out=left_out)
