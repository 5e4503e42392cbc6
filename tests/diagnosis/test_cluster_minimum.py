"""What a diagnosis says of a dead voter where the cluster's own minimum forbids its removal, or cannot be read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbook.raft.diagnosis.diagnose import diagnose
from runbook.raft.diagnosis.findings import Finding
from runbook.raft.model import AutopilotSettings
from tests.raft.worlds import Kind, view_of

ALIVE, DEAD = Kind(), Kind(sight="refused", gossip="failed")
MUTE_VOTER = replace(DEAD, voter=False)


def dead_of(kinds: list[Kind], minimum: int | None) -> Finding:
    settings = None if minimum is None else AutopilotSettings(cleanup_dead_servers=False, min_quorum=minimum)
    view = replace(view_of(kinds), autopilot=settings, autopilot_error=None if settings else "GET x answered 403")
    return next(found for found in diagnose(view) if found.name in ("DeadFollower", "NonVoterStuck"))


@pytest.mark.parametrize(
    ("minimum", "removable", "evidence"),
    [
        (0, True, ""),
        (3, True, "the cluster's own minimum, autopilot's MinQuorum, is 3"),
        (4, False, "the cluster's own minimum, autopilot's MinQuorum, is 4"),
        (None, False, "autopilot's MinQuorum could not be read: GET x answered 403"),
    ],
)
def test_the_playbook_is_named_where_it_would_not_refuse(minimum: int | None, removable: bool, evidence: str) -> None:
    """Four voters, one dead: what the guard would say, and why."""
    found = dead_of([ALIVE, ALIVE, ALIVE, DEAD], minimum)
    assert (found.playbook is not None) == removable
    assert evidence in "; ".join(found.evidence)
    assert ("run the playbook" in found.next_action) == removable
    assert ("cannot be read" in found.next_action) == (minimum is None)


def test_a_dead_non_voter_goes_whatever_the_minimum() -> None:
    """Its going leaves as many voters as before."""
    assert dead_of([ALIVE, ALIVE, ALIVE, MUTE_VOTER], None).playbook is not None
