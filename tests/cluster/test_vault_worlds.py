"""Every small cluster of Vault, as this host may see it: who is removed is dead, and enough of the living are left."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations_with_replacement

import pytest

from runbook.raft.diagnosis.diagnose import diagnose
from runbook.raft.liveness import Liveness, judge
from runbook.raft.model import ClusterView
from runbook.raft.quorum import quorum
from runbook.raft.removal import Policy, refusal_to_remove
from tests.cluster.vault_world import VaultWorld, url

KINDS = "sxedfo"  # standby, sealed, without data, dead, frozen, off with its machine
MOST = 3  # servers beside the active one
LOOKS, APART = 14, 15.0  # long enough for a machine that is off
ECHO = 5.5  # seconds in which each standby sends one: then the last look shows who follows
DOORS = {"every API": None, "the active server's API": frozenset({1})}


def looks_at(letters: str, apis: frozenset[int] | None) -> list[ClusterView]:
    """From the moment in which everybody who is not well fell ill."""
    world = VaultWorld(letters, apis=apis, silence=0.0)
    cluster, views = world.cluster(), []
    for pause in (*[APART] * LOOKS, ECHO, 0.0):
        views.append(cluster.look())
        world.sleep(pause)
    return views


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("confirmed", [False, True], ids=["no word", "a word on each"])
def test_no_removal_of_the_living_or_without_quorum(
    door: str, confirmed: bool, summarize: Callable[[str], None]
) -> None:
    """A sealed server is dead by nobody's word where its API can be asked; where not, by a person's alone."""
    worlds = removed = 0
    dead_kinds: set[str] = set()
    for size in range(1, MOST + 1):
        for letters in map("".join, combinations_with_replacement(KINDS, size)):
            views = looks_at("a" + letters, DOORS[door])
            verdicts = {
                peer.id: judge(views, peer, confirm_for=30.0, confirmed_off=confirmed)
                for peer in (views[-1].configuration.peers if views[-1].configuration else ())
            }
            worlds += 1
            for peer in views[-1].configuration.peers if views[-1].configuration else ():
                kind = ("a" + letters)[int(peer.id[1:]) - 1]
                if verdicts[peer.id].liveness is Liveness.DEAD:
                    dead_kinds.add(kind)
                if refusal_to_remove(views[-1], verdicts, peer, Policy(min_voters=1)) is None:
                    removed += 1
                    living = 1 + letters.count("s")
                    assert living >= quorum(len(letters) + 1), letters
    expected = {"every API": "do", "the active server's API": "xedo" if confirmed else "o"}[door]
    assert dead_kinds == set(expected)
    assert removed
    summarize(f"worlds of Vault through {door}: {worlds}, let go {removed}, dead are {''.join(sorted(dead_kinds))}")


def test_where_no_standby_shows_the_configuration_without_an_active_server_they_still_answer() -> None:
    """Vault passes that on to the active server, and OpenBao does in the moments after it went."""
    world = VaultWorld("sxxxs", passes_all_on=True)
    view = world.cluster(url(1), url(5)).look()
    assert (view.error_kind, view.configuration) == ("no_leader", None)
    (finding,) = diagnose(view)
    assert finding.name == "QuorumLostTransient"
    assert (
        finding.sentence == "there is no leader: 2 servers answer, and none of them shows the configuration without one"
    )
    assert "active cluster node not found" in finding.evidence[0]
    assert "start or unseal" in finding.next_action
    led = VaultWorld("asxxs", passes_all_on=True).cluster().look()
    assert led.leader_id == "s1"
