"""``raft.snapshot`` keeps all that can be kept, and says where it is, what it is, or why it is not there."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

import pytest

from runbook.errors import ClusterError, ErrorKind
from runbook.lab.simulated import SimulatedLab
from runbook.raft.model import ClusterView
from runbook.run_state import RunState
from tests.command_line import PLAYBOOK, QUICK, environment, runbook
from tests.raft.worlds import Kind, view_of
from tests.steps.world import NoCluster, World

STATE = b"the state"
SHA256 = hashlib.sha256(STATE).hexdigest()
PASSES = ClusterError(ErrorKind.UNAVAILABLE, "cannot take snapshot now")
LASTS = ClusterError(ErrorKind.FORBIDDEN, "Permission denied")
FULL = OSError(28, "No space left on device")
LIVING = (Kind(),) * 3
NO_LEADER = (Kind(), Kind(sight="refused", gossip="failed"), Kind(sight="refused", gossip="failed"))


@dataclass
class Cluster(NoCluster):
    """Gives its state after so many faults."""

    view: ClusterView
    faults: list[Exception] = field(default_factory=list)
    asked: int = 0

    def look(self, *, within: float = inf) -> ClusterView:
        return self.view

    def save_state(self, path: Path, *, within: float = inf) -> str:
        self.asked += 1
        if self.faults:
            path.write_bytes(STATE[:3])
            raise self.faults.pop(0)
        path.write_bytes(STATE)
        return SHA256


@pytest.mark.parametrize(
    ("faults", "asked", "trouble"),
    [
        ([], 1, ""),
        ([PASSES, PASSES], 3, ""),
        ([PASSES] * 3, 3, "no state snapshot: cannot take snapshot now"),
        ([LASTS], 1, "no state snapshot: Permission denied"),
        ([FULL], 1, "No space left on device"),
    ],
)
def test_a_state_is_wanted_and_what_passes_is_tried_again(
    tmp_path: Path, faults: list[Exception], asked: int, trouble: str
) -> None:
    """The configuration is kept in any case; no part of a state stays."""
    cluster = Cluster(view_of(LIVING), list(faults))
    message, output = World(tmp_path, cluster=cluster).run("raft.snapshot")
    assert cluster.asked == asked
    assert trouble in output["state_trouble"]
    kept = tmp_path / "state.snap"
    assert (output["state_kept"], kept.exists()) == (not trouble, not trouble)
    expected = ("", "") if trouble else (str(kept), SHA256)
    assert (output["state_path"], output["state_sha256"]) == expected
    assert (trouble or f"state.snap kept, SHA-256 {SHA256[:12]}") in message
    assert len(json.loads((tmp_path / "snapshot.json").read_text())["servers"]) == 3
    assert output["path"] == str(tmp_path / "snapshot.json")


def test_a_state_that_is_required_fails_the_step_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="one is required: Permission denied") as caught:
        World(tmp_path, cluster=Cluster(view_of(LIVING), [LASTS])).run("raft.snapshot", state="required")
    assert caught.value.kind is ErrorKind.FORBIDDEN


def test_where_none_is_wanted_none_is_taken(tmp_path: Path) -> None:
    cluster = Cluster(view_of(LIVING))
    _, output = World(tmp_path, cluster=cluster).run("raft.snapshot", state="none")
    assert (cluster.asked, output["state_trouble"]) == (0, "no state snapshot: the playbook wants none")


def test_without_a_leader_all_that_is_left_is_kept_and_the_step_fails(tmp_path: Path) -> None:
    """What the survivors hold is what a peers.json is made of; an old state is better than none."""
    with pytest.raises(ClusterError, match="state.snap kept") as caught:
        World(tmp_path, cluster=Cluster(view_of(NO_LEADER, leader=None))).run("raft.snapshot")
    assert "snapshot.json holds what 1 of the servers hold" in str(caught.value)
    held = json.loads((tmp_path / "snapshot.json").read_text())
    assert (held["leader"], len(held["servers"])) == (None, 1)
    assert (tmp_path / "state.snap").read_bytes() == STATE


def test_a_second_snapshot_leaves_the_first_alone(tmp_path: Path) -> None:
    """The evidence of before is what is looked for afterwards."""
    state = RunState()
    state.uses = {"before": "raft.snapshot", "other": "set", "after": "raft.snapshot"}
    world = World(tmp_path, cluster=Cluster(view_of(LIVING)))
    for step, name in (("before", "state.snap"), ("after", "state.2.snap"), ("before", "state.snap")):
        _, output = world.run("raft.snapshot", world.context(step=step, state=state))
        assert output["state_path"] == str(tmp_path / name)


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    with SimulatedLab(3, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        yield lab


def test_show_says_who_when_where_and_whether_the_snapshot_is_what_was_kept(lab: SimulatedLab, state_dir: Path) -> None:
    """A header, the whole digest, and a look at the file as it is now."""
    where = environment(lab, "s1", SUDO_USER="ann")
    done = runbook(where, "execute", PLAYBOOK, *QUICK)
    (folder,) = (state_dir / "runs").iterdir()
    digest = hashlib.sha256((folder / "state.snap").read_bytes()).hexdigest()
    assert f"state snapshot     {folder / 'state.snap'}, SHA-256 {digest}" in done.stdout
    shown = runbook(where, "show", "last").stdout.splitlines()
    assert shown[0] == f"run                {folder.name}"
    assert shown[1].startswith(f"playbook           {PLAYBOOK}, SHA-256 ")
    assert shown[2] == f"cluster            nomad:{lab.addresses[0]}"
    assert " UTC, by ann on " in shown[3]
    assert shown[-1] == "state.snap is unchanged"
    with (folder / "state.snap").open("ab") as file:
        file.write(b"x")
    assert "state.snap HAS CHANGED since it was kept: SHA-256 " in runbook(where, "show", "last").stdout
    (folder / "state.snap").unlink()
    assert "state.snap cannot be verified: No such file" in runbook(where, "show", "last").stdout


def test_a_cluster_that_lost_quorum_gives_a_stale_state(lab: SimulatedLab, state_dir: Path) -> None:
    """Asked for as such, of whoever is left."""
    lab.kill("s2")
    lab.kill("s3")
    lab.wait_for_gossip("s2", "failed")
    while lab.leader() is not None:  # until its lease is over
        time.sleep(0.05)
    done = runbook(environment(lab, "s1"), "execute", PLAYBOOK, *QUICK)
    assert done.returncode == 4
    (folder,) = (state_dir / "runs").iterdir()
    assert "state.snap kept" in done.stdout
    assert (folder / "state.snap").exists()
    assert [request.path for request in lab.requests if "snapshot" in request.path] == ["/v1/operator/snapshot?stale"]
