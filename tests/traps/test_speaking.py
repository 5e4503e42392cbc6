"""Traps of docs/servers/traps.md about the servers' API, each named by its number and the right behaviour."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runbook.cluster import http
from runbook.cluster.hashicorp import adapter, replies
from runbook.cluster.hashicorp.adapter import HashiCorpCluster
from runbook.cluster.hashicorp.dialects import NOMAD, error_of
from runbook.cluster.http import HttpSettings, Reply
from runbook.cluster.port import Cluster
from runbook.decode import decode
from runbook.errors import ClusterError, ErrorKind
from runbook.raft.lost_quorum import RecoveryEvidence, plan_recovery
from runbook.raft.model import Configuration, Peer, Reach, Vantage
from runbook.raft.quorum import reason_not_leading
from runbook.raft.removal import Refusal
from tests.cluster.stub import RAFT, SELF, Server, reply, stub
from tests.diagnosis.test_cases import CASES, findings_of, view_of

ROOT = Path(__file__).parents[2]


def meaning(text: str, status: int = 500, method: str = "DELETE") -> ErrorKind:
    return error_of("x", method, Reply(status, {}, text.encode()), NOMAD).kind


def leading(*vantages: tuple[str, str, int]) -> str | None:
    """(name, state, term) of each; the first is named leader."""
    peers = Configuration(tuple(Peer(name, f"{name}:1", voter=True) for name, _, _ in vantages))
    seen = [Vantage(name, Reach.ANSWERED, name, name, state=state, term=term) for name, state, term in vantages]
    return reason_not_leading(peers, vantages[0][0], seen)


def test_trap_17_an_ex_leader_is_not_believed() -> None:
    """A frozen leader that wakes up answers a default read with itself; its own state and the others' terms tell."""
    assert leading(("a", "Leader", 4), ("b", "Follower", 4), ("c", "Follower", 4)) is None
    assert leading(("a", "Follower", 5), ("b", "Leader", 5), ("c", "Follower", 5))
    assert leading(("a", "Leader", 4), ("b", "Follower", 5), ("c", "Follower", 5))


def test_trap_21_autopilots_settings_are_read_and_never_written() -> None:
    """A partial PUT zeroes what it leaves out: there is no way in the adapter to write them, and zeros are noticed."""
    assert {name for name in vars(Cluster) if name[0] != "_"} == {
        "look",
        "probe",
        "remove_peer",
        "save_state",
        "secrets",
    }
    assert replies.autopilot_settings({"CleanupDeadServers": True, "ServerStabilizationTime": "0s"}, "url").zeroed


def test_trap_22_nobody_is_made_to_leave_by_a_name_that_may_be_wrong() -> None:
    """force-leave answers 200 to any name and does nothing: peers are removed by id (docs/decisions/0007)."""
    asked: list[str] = []

    def table(method: str, path: str) -> bytes:
        asked.append(f"{method} {path}")
        return reply()

    with stub(table) as server:
        HashiCorpCluster(NOMAD, (server.url,), HttpSettings(), None).remove_peer(Peer("i d", "10.0.0.1:1", voter=True))
    assert asked == ["DELETE /v1/operator/raft/peer?id=i%20d"]


def test_trap_23_other_regions_and_clients_are_not_ours() -> None:
    """``agent/members`` lists all federated regions, and client agents on Consul."""

    def entry(name: str, **tags: str) -> dict[str, Any]:
        return {"Name": name, "Addr": "10.0.0.1", "Status": "alive", "Tags": {"port": "4647", "id": name, **tags}}

    told = {"Members": [entry("ours", role="nomad", region="eu"), entry("theirs", role="nomad", region="us"),
                        entry("client", role="node", region="eu")]}  # fmt: skip
    assert [member.name for member in replies.members(told, "nomad", "eu", "x")] == ["ours"]


def test_trap_26_a_429_is_read_by_its_body() -> None:
    """With a list it is autopilot's opinion, whatever its type says; without one it is a limit: back off."""
    body = json.dumps({"Healthy": False, "Servers": [{"ID": "a", "Healthy": False}]}).encode()
    assert replies.unhealthy(decode(body, "x")) == frozenset({"a"})
    assert meaning("Your IP is issuing too many concurrent connections", 429) is ErrorKind.UNAVAILABLE


@pytest.mark.parametrize("prefix", ["", "rpc error: ", "rpc error: rpc error: ", "RPC Error: "])
def test_trap_27_error_texts_are_recognised_in_any_wrapping_and_unknown_ones_are_ambiguous(prefix: str) -> None:
    assert meaning(f"{prefix}No cluster leader") is ErrorKind.NO_LEADER
    assert meaning(f'{prefix}id "x" was not found in the Raft configuration') is ErrorKind.NOT_A_PEER
    assert meaning(f"{prefix}Need at least one voter in configuration: {{[]}}") is ErrorKind.REJECTED
    assert meaning(f"{prefix}leadership lost while committing log") is ErrorKind.AMBIGUOUS
    assert meaning(f"{prefix}words of tomorrow") is ErrorKind.AMBIGUOUS


def test_trap_29_null_unsorted_and_unknown_fields_are_tolerated() -> None:
    entries: list[dict[str, Any]] = [
        {"ID": name, "Address": f"10.0.0.{n}:4647", "Voter": True, "Leader": n == 2, "Shoe": 43}
        for n, name in ((2, "b"), (1, "a"))
    ]
    one, leader = replies.configuration({"Servers": entries, "More": 1}, "x")
    other, _ = replies.configuration({"Servers": entries[::-1]}, "x")
    assert (one.fingerprint == other.fingerprint, [p.id for p in one.peers], leader) == (True, ["a", "b"], "b")
    assert replies.configuration({"Servers": None}, "x") == (Configuration(()), None)


def test_trap_30_no_time_out_is_shorter_than_what_a_leaderless_server_holds() -> None:
    """Nomad holds a request for 5 s and Consul for 7 s; what is answered from memory and by ports is quick."""
    assert adapter.READ_TIMEOUT >= 8
    assert adapter.CHANGE_TIMEOUT >= 15
    assert 2 <= adapter.STALE_TIMEOUT <= 3
    assert 2 <= http.CONNECT_TIMEOUT <= 3


def test_trap_32_a_missing_permission_is_found_before_anything_is_changed() -> None:
    """The first read needs what a removal needs (management on Nomad), and the endpoint is named."""
    own = Server("s1", {"s1": "127.0.0.1:1"}).answers[SELF]
    table: Callable[[str, str], Any] = lambda _, path: own if path == SELF else reply("Permission denied", 403)  # noqa: E731
    with stub(table) as server:
        view = HashiCorpCluster(NOMAD, (server.url,), HttpSettings(), None).look()
    assert (view.error_kind, view.configuration) == ("forbidden", None)
    assert RAFT in str(view.error_text)
    assert "a management token in NOMAD_TOKEN" in str(view.error_text)


def test_trap_33_a_token_is_in_no_view_and_no_error() -> None:
    """Not even when the server echoes it."""
    token = "11111111-2222-3333-4444-555555555555"
    settings = HttpSettings(headers={"X-Nomad-Token": token})
    with stub(lambda *_: reply(f"bad token {token}", 403)) as server:
        view = HashiCorpCluster(NOMAD, (server.url,), settings, None).look()
    assert token not in repr(view) + repr(settings)


def test_trap_37_two_leaders_in_one_region_are_none() -> None:
    """A mix-up of two clusters, or a moment: nobody is believed, and the finding says so."""
    assert "both call themselves leader" in str(leading(("a", "Leader", 4), ("b", "Follower", 4), ("c", "Leader", 4)))
    assert findings_of("two_servers_call_themselves_leader")[0].name == "ObserversDisagree"


def test_trap_39_peers_json_is_named_only_where_quorum_is_lost_and_silence_allows_no_plan() -> None:
    """While there is a leader nobody should even think of it; and from a minority, a cut looks like dead machines."""
    told = {found.name for case in CASES for found in findings_of(case) if "peers.json" in found.next_action}
    assert told
    assert told <= {"QuorumLostTransient", "QuorumLostPermanent", "MinorityPartition"}
    plans = {case: plan_of(case) for case in CASES}
    assert {case: plan for case, plan in plans.items() if not isinstance(plan, Refusal)} == {}
    assert plan_of("three_of_five_are_dead").code == "SilenceProvesNothing"
    assert plan_of("we_are_on_the_minority_side_of_a_cut").code == "SilenceProvesNothing"


def plan_of(case: str) -> Any:
    """Where the same is seen for a minute, and nobody says anything of those who are missing."""
    return plan_recovery(RecoveryEvidence([replace(view_of(case), taken_at=15.0 * number) for number in range(5)]))


def test_trap_40_a_snapshot_that_is_not_whole_is_not_kept(tmp_path: Path) -> None:
    """The status came before the body, so only the digest and the archive itself can tell."""
    answer = reply(b"\x1f\x8b half an archive", 200, "Digest: sha-256=AAAA")
    with stub(lambda *_: answer) as server, pytest.raises(ClusterError):
        HashiCorpCluster(NOMAD, (server.url,), HttpSettings(), None).save_state(tmp_path / "state.snap")
    assert list(tmp_path.iterdir()) == []
