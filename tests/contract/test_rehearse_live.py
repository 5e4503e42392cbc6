"""`runbook rehearse --from-live` on real servers: it only looks, and tells what the recovery would come to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import PLAYBOOK, runbook
from tests.contract import test_etcd, test_recovery
from tests.contract.test_recovery import VARIABLE, labs

ETCD = pytest.param(("etcd", 5), marks=pytest.mark.etcd, id="etcd")
lab = test_recovery.lab


@pytest.mark.parametrize("lab", [*labs(5), ETCD], indirect=True)
def test_what_would_come_of_a_death_now(lab: Any, tmp_path: Path) -> None:
    """A follower, the leader, and as many as lose the quorum; the servers get no request for a change."""
    kind = lab.layout.kind
    changes = test_etcd.changes_received if kind == "etcd" else test_recovery.changes_received
    leader, (one, two, *_) = lab.wait_for_leader(60), test_recovery.followers(lab)
    own = {VARIABLE[kind]: lab.addresses[0], "HOME": str(tmp_path)}

    def rehearsed(*dead: str) -> tuple[int, dict[str, Any]]:
        words = [word for name in dead for word in ("--kill", name)]
        done = runbook(own, "rehearse", PLAYBOOK, "--from-live", "--format", "json", *words)
        return done.returncode, json.loads(done.stdout)

    for dead in (one, leader):
        code, told = rehearsed(dead)
        assert (code, [name.partition(".")[0] for name in told["removed"]]) == (0, [dead]), told
        assert len(told["voters"]) == 4
        assert told["leader"].partition(".")[0] in {*lab.names} - {dead}
    code, told = rehearsed(one, two, leader)
    assert (code, told["removed"], told["leader"]) == (4, [], None), told
    code, told = rehearsed()
    assert (code, told["removed"], told["diagnoses"][-1]) == (0, [], "Healthy"), told
    assert changes(lab) == []
