"""A cluster of another region, asked through a server of this one: a way to it, and no observer of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from runbook.cluster.hashicorp.adapter import HashiCorpCluster
from runbook.cluster.hashicorp.client import PICKS
from runbook.cluster.hashicorp.dialects import NOMAD
from runbook.cluster.http import HttpSettings
from tests.cluster.stub import MEMBERS, RAFT, SELF, Answer, reply, stub

LOST = reply("rpc error: failed to get conn: dial tcp 127.0.31.11:4647: connect: connection refused", 500)


def member(name: str, region: str, number: int) -> dict[str, Any]:
    tags = {"role": "nomad", "region": region, "dc": "dc1", "id": f"id-{name}", "port": "1"}
    return {"Name": f"{name}.{region}", "Addr": f"127.0.0.{number}", "Status": "alive", "Tags": tags}


def door(losses: int) -> Any:
    """A leader of region east; each of its forwarded reads is handed to a dead server this often first."""
    asked: Counter[str] = Counter()
    listed = {"ID": "id-w1", "Address": "127.0.0.9:1", "Voter": True, "Leader": True, "Node": "w1.west"}
    stats = {"raft": {"state": "Leader", "term": "7"}, "nomad": {}}

    def answer(_method: str, path: str) -> Answer:
        if path.startswith(SELF):
            return reply({"member": member("e1", "east", 1), "stats": stats, "config": {}})
        if path.startswith(MEMBERS):
            return reply({"Members": [member("e1", "east", 1)]})
        asked[path] += 1
        if "region=west" in path and asked[path] <= losses:
            return LOST
        return reply({"Servers": [listed]}) if path.startswith(RAFT) else reply("no", 404)

    return answer


@pytest.mark.parametrize("losses", [0, PICKS - 1])
def test_another_regions_server_has_no_opinion_of_this_ones(losses: int) -> None:
    """Its list lacks them, which is no word on their life. A read that was handed to a dead server is asked again."""
    with stub(door(losses)) as server:
        view = HashiCorpCluster(NOMAD, (server.url,), HttpSettings(read_only=True), "west", patient=False).look()
    assert view.leader is not None
    assert view.leader.name == "w1.west"
    assert view.opinions == {}


def test_a_read_that_is_lost_each_time_is_told() -> None:
    with stub(door(100)) as server:
        view = HashiCorpCluster(NOMAD, (server.url,), HttpSettings(read_only=True), "west", patient=False).look()
    assert view.configuration is None
    assert "failed to get conn" in str(view.error_text)
