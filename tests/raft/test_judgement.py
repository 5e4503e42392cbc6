"""Worlds in a few letters through the verdict and the guard.

A world is one word a server: ``a`` its API answers, ``d`` proven dead, ``f`` frozen (accepts, never answers),
``g`` gone from here but alive in gossip. The first server leads.
"""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from runbook.raft.liveness import Liveness, Verdict, judge
from runbook.raft.model import AutopilotSettings, ClusterView, Configuration, Member, MemberStatus, Peer, Reach, Vantage
from runbook.raft.quorum import quorum
from runbook.raft.removal import Policy, refusal_to_remove
from tests.raft.worlds import with_gossip

GOSSIP = {"a": MemberStatus.ALIVE, "d": MemberStatus.FAILED, "f": MemberStatus.FAILED, "g": MemberStatus.ALIVE}
LOOKS = (0.0, 15.0, 30.0, 45.0)
PROBE = {"a": Reach.ACCEPTED, "d": Reach.REFUSED, "f": Reach.ACCEPTED, "g": Reach.SILENT}


def peer(number: int) -> Peer:
    return Peer(f"id-{number}", f"127.0.0.{10 + number}:4647", voter=True, name=f"s{number}.global", protocol=3)


def world(letters: str, at: float = 0.0) -> ClusterView:
    peers = tuple(peer(n) for n in range(1, len(letters) + 1))
    members = tuple(
        Member(f"s{n}", GOSSIP[c], p.id, p.address) for n, (p, c) in enumerate(zip(peers, letters, strict=True), 1)
    )
    vantages = tuple(
        Vantage(
            f"http://{p.address}",
            Reach.ANSWERED,
            p.id,
            p.name,
            p.address,
            members=members,
            state="Leader" if p is peers[0] else "Follower",
            term=2,
            last_contact=0.02,
        )
        for p, c in zip(peers, letters, strict=True)
        if c == "a"
    )
    probes = {p.address: PROBE[c] for p, c in zip(peers, letters, strict=True)}
    autopilot = AutopilotSettings(cleanup_dead_servers=False, min_quorum=0)
    view = ClusterView("nomad:x", at, Configuration(peers), peers[0].id, vantages, probes, autopilot=autopilot)
    return with_gossip(replace(view, leader_term=2))


def verdicts(letters: str, confirm_for: float = 30) -> dict[str, Verdict]:
    looks = [world(letters, at) for at in (0.0, 15.0, 30.0)]
    return {p.id: judge(looks, p, confirm_for=confirm_for) for p in looks[-1].configuration.peers}  # type: ignore[union-attr]


VERDICTS = [
    ("aaa", "AAA"),
    ("aad", "AAD"),
    ("aaadd", "AAADD"),
    ("aaf", "AAU"),  # kill -STOP: gossip says failed, the port still accepts
    ("aag", "AAU"),  # only this host cannot reach it
    ("daa", "UAA"),  # the leader's own gossip cannot be read, so nobody is called dead
]


@pytest.mark.parametrize(("letters", "expected"), VERDICTS)
def test_verdicts(letters: str, expected: str) -> None:
    found = verdicts(letters)
    assert "".join(found[f"id-{n}"].liveness.name[0] for n in range(1, len(letters) + 1)) == expected


def test_dead_needs_looks_spread_over_the_whole_time() -> None:
    looks = [world("aad", at) for at in (0.0, 10.0)]
    assert judge(looks, peer(3), confirm_for=30).liveness is Liveness.UNKNOWN
    assert judge(looks[:1], peer(3), confirm_for=0).liveness is Liveness.UNKNOWN
    assert judge([], peer(3), confirm_for=0).liveness is Liveness.UNKNOWN


def test_a_peer_that_lived_in_one_look_is_not_dead() -> None:
    looks = [world("aaa", 0), world("aad", 15), world("aad", 30)]
    assert judge(looks, peer(3), confirm_for=30).liveness is Liveness.UNKNOWN


def test_a_port_that_nobody_tried_is_no_evidence() -> None:
    view = replace(world("aad"), probes={})
    assert judge([replace(view, taken_at=at) for at in LOOKS], peer(3), confirm_for=30).liveness is Liveness.UNKNOWN


@pytest.mark.parametrize(
    ("status", "expected"), [(MemberStatus.ALIVE, Liveness.UNKNOWN), (MemberStatus.FAILED, Liveness.DEAD)]
)
def test_a_server_that_was_replaced_at_its_address_is_left_to_the_leader(
    status: MemberStatus, expected: Liveness
) -> None:
    """A wiped server at the same address carries another id, while it lives; once that id is gone too, both are."""
    view = world("aad")
    newcomer = Member("s3", status, "id-new", peer(3).address)
    vantages = tuple(replace(v, members=(*(v.members or ())[:2], newcomer)) for v in view.vantages)
    peers = Configuration((peer(1), peer(2), replace(peer(3), name=None)))
    looks = [with_gossip(replace(view, configuration=peers, vantages=vantages, taken_at=at)) for at in LOOKS]
    assert judge(looks, peers.peers[2], confirm_for=30).liveness is expected


@pytest.mark.parametrize(("letter", "expected"), [("g", Liveness.UNKNOWN), ("d", Liveness.DEAD)])
def test_on_protocol_2_gossip_is_found_by_address(letter: str, expected: Liveness) -> None:
    """The peer's id is its address there, and the member's tag ``id`` still a UUID."""
    view = world("aa" + letter)
    peers = tuple(replace(peer(n), id=peer(n).address, protocol=2) for n in (1, 2, 3))
    old = with_gossip(replace(view, configuration=Configuration(peers), leader_id=peers[0].id))
    looks = [replace(old, taken_at=at) for at in LOOKS]
    verdict = judge(looks, peers[2], confirm_for=30)
    assert verdict.liveness is expected
    assert GOSSIP[letter].value in " ".join(verdict.evidence)


REASONS = [
    ("aaadd", 5, {}, None),
    ("aaadd", 1, {}, "TargetIsLeader"),
    ("aaadd", 2, {}, "TargetAlive"),
    ("aaafd", 4, {}, "TargetUnknown"),
    ("aaddd", 5, {}, "QuorumLost"),
    ("aagdd", 5, {}, "QuorumLost"),  # unknown is not counted as alive
    ("aad", 3, {}, "BelowMinimumVoters"),
    ("aad", 3, {"min_voters": 2}, None),
    ("aaadd", 5, {"max_changes": 0}, "TooManyChanges"),
]


@pytest.mark.parametrize(("letters", "target", "policy", "code"), REASONS)
def test_reasons(letters: str, target: int, policy: dict[str, Any], code: str | None) -> None:
    reason = refusal_to_remove(world(letters), verdicts(letters), peer(target), Policy(**policy))
    assert (reason.code if reason else None) == code
    assert reason is None or (reason.next_action and str(reason).endswith(reason.next_action))


def test_the_cluster_s_own_min_quorum_is_a_floor() -> None:
    view = replace(world("aaaad"), autopilot=AutopilotSettings(cleanup_dead_servers=False, min_quorum=5))
    reason = refusal_to_remove(view, verdicts("aaaad"), peer(5), Policy())
    assert reason is not None
    assert reason.code == "BelowMinimumVoters"


@pytest.mark.parametrize(
    ("policy", "own", "sentence", "advice"),
    [
        (Policy(min_voters=5), 0, "4 voters would be left and the playbook's min_voters is 5",
         "Add a replacement first, or set min_voters: 4 in its guards"),
        (Policy(5, min_voters_param="least"), 4, "the playbook's min_voters is 5", "run again with --param least=4"),
        (Policy(5, min_voters_param="least", min_voters_lowest=5), 0, "is 5", "set min_voters: 4 in its guards"),
        (Policy(3, min_voters_param="least"), 5, "the cluster's own minimum, autopilot's MinQuorum, is 5",
         "or lower it on the cluster: nomad operator autopilot set-config -min-quorum=4"),
        (Policy(5, min_voters_param="least"), 5, "MinQuorum, is 5, and the playbook's min_voters is 5",
         "-min-quorum=4 (and min_voters)"),
    ],
    ids=["written", "a param", "a param that cannot be so low", "the cluster's", "both"],
)  # fmt: skip
def test_below_a_minimum_only_what_helps_is_advised(policy: Policy, own: int, sentence: str, advice: str) -> None:
    """``--param`` where the playbook's floor binds and is such a param; the cluster's is lowered on the cluster."""
    view = replace(world("aaaad"), autopilot=AutopilotSettings(cleanup_dead_servers=False, min_quorum=own))
    reason = refusal_to_remove(view, verdicts("aaaad"), peer(5), policy)
    assert reason is not None
    assert (reason.code, sentence in reason.sentence, advice in reason.next_action) == (
        "BelowMinimumVoters",
        True,
        True,
    )
    assert ("--param" in str(reason)) == ("--param" in advice)


def test_a_minimum_that_could_not_be_read_is_a_refusal_and_not_zero() -> None:
    """I2, with what was asked, what came back, and the override by name. A non-voter's going lowers no minimum."""
    unread = replace(world("aaaad"), autopilot=None, autopilot_error="GET http://x answered 404: Invalid method")
    reason = refusal_to_remove(unread, verdicts("aaaad"), peer(5), Policy())
    assert reason is not None
    assert reason.code == "MinimumUnread"
    assert "GET http://x answered 404: Invalid method" in reason.sentence
    assert "4 voters are surely enough" in reason.next_action
    assert "--override cluster-minimum --reason TEXT" in reason.next_action
    silent = replace(peer(5), voter=False)
    peers = Configuration((*(peer(n) for n in range(1, 5)), silent))
    assert refusal_to_remove(replace(unread, configuration=peers), verdicts("aaaad"), silent, Policy()) is None


def test_no_leader_no_change() -> None:
    view = replace(world("aad"), configuration=None, leader_id=None)
    reason = refusal_to_remove(view, verdicts("aad"), peer(3), Policy(min_voters=1))
    assert reason is not None
    assert reason.code == "NoLeader"


def test_every_world_of_up_to_six_servers() -> None:
    """I1, I2, I3 recomputed by counting letters: who is removed is dead, and a quorum of living voters stays."""
    worlds = allowed = 0
    for size in range(1, 7):
        for letters in map("".join, product("adfg", repeat=size)):
            worlds += 1
            view, judged = world(letters), verdicts(letters)
            for number in range(1, size + 1):
                if refusal_to_remove(view, judged, peer(number), Policy(min_voters=1)) is not None:
                    continue
                allowed += 1
                assert letters[number - 1] == "d"
                assert number != 1
                assert letters.count("a") >= quorum(size) >= quorum(size - 1)
    assert worlds == sum(4**size for size in range(1, 7))
    assert allowed > 100
