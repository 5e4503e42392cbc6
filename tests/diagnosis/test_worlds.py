"""Every unordered world of a few voters: a diagnosis is always made, and lost is told from out of sight.

Up to four; as many as ``WORLD_SERVERS`` says where it is set, as each night does.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations_with_replacement, product

import pytest

from runbook.raft.diagnosis.diagnose import diagnose
from runbook.raft.diagnosis.findings import Finding
from runbook.raft.model import ClusterView
from runbook.report.diagnosis import WIDTH, format_diagnosis
from tests.raft.worlds import Kind, view_of

SIGHTS = ("answers", "accepts", "refused", "silent", "untried")
KINDS = [Kind(True, sight, said) for sight, said in product(SIGHTS, ("alive", "failed", "absent"))]
World = Sequence[Kind]
SIZES = range(1, int(os.environ.get("WORLD_SERVERS", "4")) + 1)


def leaderless(world: World) -> ClusterView:
    return replace(view_of(world, leader=None), error_kind="no_leader", error_text="No cluster leader")


def quorum_by_counting(world: World) -> str:
    """What the cluster as a whole suffers from, without a leader, by counting who is where."""
    sight = Counter(kind.sight for kind in world)
    if not sight["answers"]:
        return "Unreachable"
    if 2 * sight["answers"] > len(world):
        return "DeadLeader" if sight["answers"] < len(world) else "QuorumLostTransient"
    hidden = len(world) - sight["answers"] - sight["refused"]
    return "MinorityPartition" if 2 * hidden > len(world) else "QuorumLostTransient"


def told(view: ClusterView) -> tuple[Finding, ...]:
    """The findings, which must be whole whatever the world."""
    found = diagnose(view)
    assert found
    assert all(finding.evidence and finding.next_action for finding in found)
    assert [line for line in format_diagnosis(view, found) if len(line) > WIDTH] == []
    return found


@pytest.mark.parametrize("size", SIZES)
def test_without_a_leader(size: int) -> None:
    """Never a playbook; and where a majority may live out of sight, that is named and nobody is sent to peers.json."""
    reached: Counter[str] = Counter()  # which of the asserts that only some worlds come to
    for world in combinations_with_replacement(KINDS, size):
        found = told(leaderless(world))
        assert quorum_by_counting(world) in {finding.name for finding in found}, world
        assert {finding.playbook for finding in found} == {None}
        sure = {finding.name: finding.certainty.value for finding in found}
        missing = [kind.sight for kind in world if kind.sight != "answers"]
        if "MinorityPartition" in sure:  # likely where one cut explains all that is missing
            likely = set(missing).issubset({"silent", "untried"})
            assert (sure["MinorityPartition"] == "likely") == likely, world
            assert [finding for finding in found if "recover with peers.json" in finding.next_action] == [], world
            reached[f"MinorityPartition {likely}"] += 1
        if "quorum is lost" in found[-1].sentence:  # likely where machines enough for a quorum were reached
            here = len(world) - sum(sight in ("silent", "untried") for sight in missing)
            assert (sure["QuorumLostTransient"] == "likely") == (2 * here > len(world)), world
            reached[f"quorum is lost {2 * here > len(world)}"] += 1
    assert len(reached) == {1: 0, 2: 2}.get(size, 4), reached  # one voter lost is unreachable; of two, none is a part


@pytest.mark.parametrize("size", SIZES)
def test_with_a_leader(size: int, summarize: Callable[[str], None]) -> None:
    """A playbook is named only where this host itself meets a quorum of living voters and somebody looks dead."""
    worlds = named = 0
    for rest in combinations_with_replacement(KINDS, size - 1):
        world = (Kind(), *rest)
        worlds += 1
        found = told(view_of(world))
        living = sum(kind.sight == "answers" for kind in world)
        dead = [k for k in world if k.sight in ("refused", "silent") and k.gossip != "alive"]
        if any(finding.playbook for finding in found):
            named += 1
            assert dead, world
            assert 2 * living > len(world), world
        assert ("Healthy" in {f.name for f in found}) == (
            not any(f.severity.value in ("critical", "warning") for f in found)
        )
    assert (named > 0) == (size > 3), "a playbook needs a quorum of the living beside one dead, and three are too few"
    summarize(f"diagnosed worlds of {size} voters with a leader: {worlds}")
