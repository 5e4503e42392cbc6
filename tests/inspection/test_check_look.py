"""What lies on the machine that looks, and how a check reaches those whom it tells."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from unittest.mock import patch

import pytest

from runbook.cluster.choice import ClusterChoice
from runbook.errors import RunbookError
from runbook.inspection.check_look import SnapshotRule, identity_of, unread_in, upkeep_of
from runbook.inspection.telling import send
from runbook.raft.model import AutopilotSettings, ClusterView, Configuration, Peer, Reach, Vantage
from tests.cluster.stub import Answer, reply, silence, stub


def view_at(url: str, data_dir: Path) -> ClusterView:
    return ClusterView(
        "nomad:x", 0.0, None, None, (Vantage(url, Reach.ANSWERED, server_id="a", data_dir=str(data_dir)),)
    )


@pytest.mark.parametrize(
    ("url", "folder", "found"),
    [
        ("http://127.0.0.1:4646", "server/raft", True),
        ("http://127.0.0.1:8500", "raft", True),
        ("unix:///run/consul.sock", "raft", True),
        ("http://localhost:8500", "raft", True),
        ("http://127.0.0.1:8500", "elsewhere", False),
        ("http://192.0.2.1:8500", "raft", False),
        ("http://consul.example:8500", "raft", False),
    ],
)
def test_a_peers_json_of_a_server_on_this_host_is_found(tmp_path: Path, url: str, folder: str, found: bool) -> None:
    """Whose folder another host has, this one cannot tell."""
    place = tmp_path / folder
    place.mkdir(parents=True)
    (place / "peers.json").write_text("[]")
    upkeep, remarks = upkeep_of(view_at(url, tmp_path), None)
    assert upkeep.peers_json == ((str(place / "peers.json"),) if found else ())
    assert remarks == ()


def test_a_folder_that_this_user_may_not_read_is_said_and_fails_nothing(tmp_path: Path) -> None:
    with patch.object(Path, "lstat", side_effect=PermissionError(13, "Permission denied")):
        upkeep, remarks = upkeep_of(view_at("http://127.0.0.1:4646", tmp_path), None)
    assert upkeep.peers_json == ()
    assert remarks[0] == f"{tmp_path}/server/raft: this user may not look for a peers.json there"


def test_the_newest_whole_snapshot_counts(tmp_path: Path) -> None:
    """No empty file, no link, and nothing that is called otherwise."""
    hour = time.time() - 3600
    for name, content, at in (("a.snap", "x", hour - 9000), ("b.snap", "x", hour), ("c.snap", "", hour + 60)):
        (tmp_path / name).write_text(content)
        os.utime(tmp_path / name, (at, at))
    (tmp_path / "d.txt").write_text("x")
    (tmp_path / "e.snap").symlink_to(tmp_path / "d.txt")
    upkeep, remarks = upkeep_of(view_at("http://b", tmp_path), SnapshotRule(7200.0, tmp_path))
    assert upkeep.snapshot_age == pytest.approx(3600, abs=5)
    assert (upkeep.snapshot_limit, upkeep.snapshots, remarks) == (7200.0, str(tmp_path), ())
    empty, _ = upkeep_of(view_at("http://b", tmp_path), SnapshotRule(7200.0, tmp_path.parent / "none-yet"))
    assert (empty.snapshots, empty.snapshot_age) == ("", None), "a folder that is not there was not looked at"


def test_settings_that_the_token_may_not_read_are_said() -> None:
    """With what would suffice; without a leader there are none to be read."""
    listed = Configuration((Peer("a", "127.0.0.1:8300", voter=True),))
    view = ClusterView("consul:x", 0.0, listed, "a", (), autopilot_error="GET … answered 403: Permission denied")
    assert list(unread_in(view)) == ["autopilot's settings were not read: GET … answered 403: Permission denied"]
    assert list(unread_in(ClusterView("consul:x", 0.0, None, None, (), autopilot_error="no leader"))) == []
    read = ClusterView("consul:x", 0.0, listed, "a", (), autopilot=AutopilotSettings(False, 0))
    assert list(unread_in(read)) == []


def test_a_cluster_is_called_the_same_whether_it_answers_or_not(tmp_path: Path) -> None:
    several = {"CONSUL_HTTP_ADDR": "http://a:8500,http://b:8500"}
    assert identity_of(ClusterChoice(), several).name == "consul:http://a:8500"
    assert identity_of(ClusterChoice(), {}).instance == "http://127.0.0.1:4646"
    inventory = tmp_path / "clusters.yaml"
    inventory.write_text("inventory: 1\nclusters: { prod: { kind: etcd, addresses: ['http://a:2379', 'http://b'] } }\n")
    named = identity_of(ClusterChoice("prod", str(inventory)), {})
    assert (named.cluster, named.kind, named.instance) == ("prod", "etcd", "http://a:2379")
    with pytest.raises(RunbookError):
        identity_of(ClusterChoice(), {**several, "NOMAD_ADDR": "http://a"})


# -- telling others


def test_what_is_sent_arrives_once_and_an_answer_that_is_no_success_is_said() -> None:
    body = json.dumps({"event": "problem"}).encode()
    answers: dict[str, Answer] = {"/hooks/T0K3N": reply("ok"), "/gone": reply("", 404), "/mute": silence}
    with stub(lambda _method, path: answers[path]) as server:
        assert send(f"{server.url}/hooks/T0K3N", body, 2.0) == ""
        assert send(f"{server.url}/gone", body, 2.0) == "it answered 404"
        mute = send(f"{server.url}/mute", b"text", 0.3)
        assert server.asked("POST") == ["/hooks/T0K3N", "/gone", "/mute"]
    assert mute.startswith(f"POST {server.url}: ")
    assert "/mute" not in mute, "what follows the host is as good as a password"
    assert "nothing listens there" in send(f"{server.url}/hooks/T0K3N", body, 2.0)
    assert send("https://user@[", body, 1.0)
