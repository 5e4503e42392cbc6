"""The main job against real etcd, old and current, whichever is on PATH."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from runbook.lab.agent_api import get_json
from runbook.lab.agent_layout import AgentLayout
from runbook.lab.agents import AgentLab
from tests.contract.test_recovery import ROOT, Outcome, execute

pytestmark = pytest.mark.etcd
QUICK = ("--param", "confirm_final_for=4s")
# Both releases at log level debug list every call of the gateway: "response type":"/etcdserverpb.Cluster/MemberList"
CALL = re.compile(r'"response type":"/etcdserverpb\.(\w+/\w+)"')


class OneDoorLayout(AgentLayout):
    """The client addresses are not published, as with etcd's default: only the address that is given can be asked."""

    def config(self, name: str, data_dir: Path) -> dict[str, Any]:
        return super().config(name, data_dir) | {"advertise-client-urls": "http://localhost:2379"}


@pytest.fixture
def door(tmp_path: Path) -> Iterator[AgentLab]:
    """Five members of which the tool knows the one that `execute` names: the first that runs."""
    lab = AgentLab("etcd", 5, folder=tmp_path / "lab")
    lab.layout = OneDoorLayout(**asdict(lab.layout))
    with lab:
        lab.wait_for_leader(60)
        yield lab


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AgentLab]:
    with AgentLab("etcd", getattr(request, "param", 5), folder=tmp_path / "lab") as lab:
        lab.wait_for_leader(60)
        yield lab


def run(lab: AgentLab, tmp_path: Path, *options: str) -> Outcome:
    return execute(lab, tmp_path / "runs", *QUICK, *options)


def changes_received(lab: AgentLab) -> list[str]:
    """What the members' own logs list of calls that change the members; that reads are listed shows that calls are."""
    logs = [(lab.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace") for name in lab.names]
    calls = [call for log in logs for call in CALL.findall(log)]
    assert "Cluster/MemberList" in calls
    return [call for call in calls if call.startswith("Cluster/Member") and call != "Cluster/MemberList"]


def followers(lab: AgentLab) -> list[str]:
    leader = lab.wait_for_leader(60)
    return [row.name for row in lab.status() if row.state == "running" and row.name != leader]


@pytest.mark.smoke
def test_a_frozen_member_stays_and_a_dead_one_goes_and_then_the_dead_leader(lab: AgentLab, tmp_path: Path) -> None:
    frozen, killed, *_ = followers(lab)
    lab.freeze(frozen)
    outcome = run(lab, tmp_path)
    assert (outcome.asked, changes_received(lab)) == ([], []), outcome.text
    lab.thaw(frozen)
    lab.wait_for_gossip(frozen, "alive")

    lab.kill(killed)
    outcome = run(lab, tmp_path)
    assert (outcome.code, outcome.asked) == (0, [killed]), outcome.text
    outcome = run(lab, tmp_path)
    assert (outcome.code, outcome.asked) == (0, []), outcome.text

    leader = lab.wait_for_leader()
    lab.kill(leader)
    outcome = run(lab, tmp_path)
    assert (outcome.code, outcome.asked) == (0, [leader]), outcome.text


def test_two_of_five_go_and_a_dry_run_before_sends_nothing(lab: AgentLab, tmp_path: Path) -> None:
    dead = followers(lab)[:2]
    for name in dead:
        lab.kill(name)
    outcome = run(lab, tmp_path, "--dry-run")
    assert (outcome.code, outcome.asked, changes_received(lab)) == (0, [], []), outcome.text
    outcome = run(lab, tmp_path)
    assert (outcome.code, sorted(outcome.asked)) == (0, sorted(dead)), outcome.text
    assert changes_received(lab) == ["Cluster/MemberRemove"] * 2


def test_three_of_five_dead_is_no_case_for_a_removal(lab: AgentLab, tmp_path: Path) -> None:
    """etcd would hold a removal without quorum until the client gives up."""
    for name in followers(lab)[:3]:
        lab.kill(name)
    outcome = run(lab, tmp_path)
    assert (outcome.code, outcome.asked, changes_received(lab)) == (4, [], []), outcome.text
    assert "quorum is lost: 2 of 5 voters answer and 3 are needed" in outcome.text


class LearnerLayout(AgentLayout):
    """A member more, that is started once the others have added it."""

    def config(self, name: str, data_dir: Path) -> dict[str, Any]:
        return super().config(name, data_dir) | {"initial-cluster-state": "existing"}


def add_learner(lab: AgentLab, peer_address: str) -> None:
    """Tried for a while: etcd refuses while its members have not been connected for five seconds."""
    body = json.dumps({"peerURLs": [f"http://{peer_address}"], "isLearner": True})
    deadline = time.monotonic() + 30
    while get_json(lab.addresses[0], "/v3/cluster/member/add", post=body.encode(), timeout=10) is None:
        assert time.monotonic() < deadline
        time.sleep(1)


def start_learner(lab: AgentLab) -> str:
    """Of a member more; it has started once it has told the others its name."""
    lab.layout = LearnerLayout(**asdict(lab.layout) | {"servers": 4})
    learner = lab.names[-1]
    add_learner(lab, lab.layout.rpc_address(learner))
    lab.restart(learner)
    deadline = time.monotonic() + 30
    while learner not in str(get_json(lab.addresses[0], "/v3/cluster/member/list", post=b"{}", timeout=10)):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return learner


@pytest.mark.parametrize("lab", [3], indirect=True)
def test_a_learner_is_in_no_quorum_and_goes_when_it_is_dead(lab: AgentLab, tmp_path: Path) -> None:
    learner = start_learner(lab)
    leader = lab.wait_for_leader(60)
    killed, other = [name for name in lab.names[:3] if name != leader]
    lab.kill(learner)
    outcome = run(lab, tmp_path, "--dry-run")
    assert re.search(rf"would remove +{learner} ", outcome.text), outcome.text
    outcome = run(lab, tmp_path)
    assert (outcome.code, outcome.asked) == (0, [learner]), outcome.text
    assert re.search(r"voters +3 \(3 alive\) -> 3 \(3 alive\)", outcome.text), outcome.text

    lab.kill(killed)
    lab.kill(other)
    outcome = run(lab, tmp_path)
    assert (outcome.code, outcome.asked) == (4, []), outcome.text
    assert "1 of 3 voters answer" in outcome.text


@pytest.mark.parametrize("lab", [3], indirect=True)
def test_a_learner_that_runs_stays_and_makes_up_for_no_voter(lab: AgentLab, tmp_path: Path) -> None:
    """Three processes run where one voter of three is left, and that is no quorum."""
    start_learner(lab)
    outcome = run(lab, tmp_path)
    assert (outcome.code, outcome.asked) == (0, []), outcome.text
    leader = lab.wait_for_leader(60)
    for name in [name for name in lab.names[:3] if name != leader]:
        lab.kill(name)
    outcome = run(lab, tmp_path)
    assert (outcome.code, outcome.asked) == (4, []), outcome.text
    assert changes_received(lab).count("Cluster/MemberRemove") == 0
    assert "1 of 3 voters answer" in outcome.text


@pytest.mark.parametrize("lab", [3], indirect=True)
def test_a_member_that_was_added_and_not_started_is_never_dead(lab: AgentLab, tmp_path: Path) -> None:
    """Refused at its port and without a metric, and its removal would be accepted: it would undo a colleague's work."""
    add_learner(lab, f"127.0.{lab.layout.octet}.99:{lab.layout.rpc_port}")
    outcome = run(lab, tmp_path)
    assert (outcome.asked, set(changes_received(lab))) == ([], {"Cluster/MemberAdd"}), outcome.text
    assert "not started" in outcome.text


def test_through_one_door_the_dead_go_and_a_frozen_member_stays(door: AgentLab, tmp_path: Path) -> None:
    """The door's streams stand for the leader's where the port is refused, and a read proves quorum."""
    outcome = run(door, tmp_path)
    assert (outcome.code, outcome.asked) == (0, []), outcome.text
    leader = door.wait_for_leader()
    killed, frozen = [name for name in door.names[1:] if name != leader][:2]
    door.kill(killed)
    outcome = run(door, tmp_path)
    assert (outcome.code, outcome.asked) == (0, [killed]), outcome.text
    door.freeze(frozen)
    outcome = run(door, tmp_path)
    assert (outcome.asked, changes_received(door)) == ([], ["Cluster/MemberRemove"]), outcome.text


def test_through_one_door_a_dead_leader_goes(door: AgentLab, tmp_path: Path) -> None:
    leader = door.wait_for_leader()
    door.kill(leader)
    outcome = run(door, tmp_path)
    assert (outcome.code, outcome.asked) == (0, [leader]), outcome.text


def test_nobody_else_may_be_stopped_beside_a_frozen_member(door: AgentLab, tmp_path: Path) -> None:
    """In 3.6 the streams to it stay up for a minute and more; no bytes come by them. Through the leader's door."""
    leader = door.wait_for_leader(60)
    first, second, third, *_ = [name for name in door.names if name != leader]
    assert may_stop(door, tmp_path, leader, first) == 0
    for name in (second, third):
        door.freeze(name)
    assert may_stop(door, tmp_path, leader, first) == 3


def may_stop(lab: AgentLab, folder: Path, door: str, server: str) -> int:
    """The exit code of `safe-to-stop`, by this member's address."""
    environment = {**os.environ, "ETCDCTL_ENDPOINTS": lab.layout.address(door), "RUNBOOK_STATE_DIR": str(folder)}
    command = [sys.executable, "-m", "runbook", "execute", "safe-to-stop", "--param", f"server={server}"]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, timeout=120, check=False).returncode
