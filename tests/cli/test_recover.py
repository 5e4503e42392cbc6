"""``runbook recover plan``, and its playbook without a terminal, on the simulated lab: what is refused and printed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.command_line import Done, changes, environment, runbook


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    with SimulatedLab(5, gossip_delay=0.3, hold=0.3) as lab:
        lab.wait_for_leader()
        yield lab


def lose(lab: SimulatedLab, *names: str) -> None:
    for name in names:
        lab.kill(name)
    for name in names:
        lab.wait_for_gossip(name, "failed")
    until = time.monotonic() + 10
    while len(names) > 1 and lab.leader() and time.monotonic() < until:  # its lease must be over
        time.sleep(0.05)


def plan(lab: SimulatedLab, *words: str, lost: str = "") -> Done:
    named = [word for name in lost.split() for word in ("--lost", name)]
    return runbook(environment(lab, "s1"), "recover", "plan", *named, *words)


def test_while_there_is_a_leader_there_is_no_plan(lab: SimulatedLab) -> None:
    """Whoever is named: this is for clusters without one."""
    lose(lab, next(name for name in lab.names[1:] if name != lab.leader()))
    lab.wait_for_leader()
    done = plan(lab)
    assert (done.returncode, done.stdout) == (3, "")
    assert "there was a leader" in done.stderr


def test_silence_is_refused_and_who_is_named_is_left_out(lab: SimulatedLab) -> None:
    """One at a time: two names of three are not enough. And nothing is asked of a server but reads."""
    lose(lab, "s3", "s4", "s5")
    assert [plan(lab, lost=names).returncode for names in ("", "s3 s4", "s1 s3 s4 s5")] == [3, 3, 3]
    assert "silence is all there is of s5" in plan(lab, lost="s3 s4").stderr
    assert "s1.global is named as lost, and it answers" in plan(lab, lost="s1 s3 s4 s5").stderr
    done = plan(lab, lost="s3 s4 s5.global")
    assert done.returncode == 0, done.stderr
    assert "data=/opt/nomad/s1" in done.stdout
    assert 'raft="$data"/server/raft' in done.stdout
    record = json.loads(plan(lab, "--format", "json", lost="s3 s4 s5").stdout)
    assert [one["name"] for one in record["survivors"]] == ["s1.global", "s2.global"]
    assert {one["name"]: one["ground"] for one in record["left_out"]} == {
        f"{name}.global": "named" for name in ("s3", "s4", "s5")
    }
    assert [entry["non_voter"] for entry in json.loads(record["peers_json"])] == [False, False]
    assert changes(lab) == []


def test_a_name_of_nobody_is_said_with_the_names_there_are(lab: SimulatedLab) -> None:
    """Nothing is planned on a slip of the pen."""
    lose(lab, "s3", "s4", "s5")
    done = plan(lab, lost="s3 s4 s6")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--lost s6 names none of the servers, which are: s1.global, s2.global, s3.global" in done.stderr


def test_a_frozen_server_can_be_named_by_nobody(lab: SimulatedLab) -> None:
    """It may wake up with all its data."""
    lab.freeze("s5")
    lab.wait_for_gossip("s5", "failed")
    lose(lab, "s3", "s4")
    done = plan(lab, lost="s3 s4 s5")
    assert (done.returncode, done.stdout) == (3, "")
    assert "there is a sign of life of s5.global" in done.stderr


def test_yes_names_nobody_and_agrees_to_no_recovery(lab: SimulatedLab, state_dir: Path) -> None:
    """Without a terminal the playbook ends before anything is stopped."""
    lose(lab, "s3", "s4", "s5")
    own = environment(lab, "s1", RUNBOOK_STATE_DIR=str(state_dir))
    done = runbook(own, "execute", "recover-lost-quorum", "--yes")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "silence is all there is of s3.global, s4.global and s5.global" in done.stdout
    dry = runbook(own, "execute", "recover-lost-quorum", "--dry-run")
    assert "silence is all there is of s3.global, s4.global and s5.global" in dry.stdout, dry.stdout + dry.stderr
    assert dry.returncode == 3  # I14: neither could anybody name them in the real run
    assert changes(lab) == []
