"""Every scenario that is shipped comes to what it expects, with the shipped recovery; and every diagnosis has one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from runbook.cli.rehearse import read_scenario
from runbook.lab.virtual.world import SHAPES
from runbook.shipped_playbooks import SCENARIOS, shipped_names, shipped_path
from tests.command_line import PLAYBOOK, runbook
from tests.diagnosis.test_cases import names_in_the_code

NOT_DRAWN = {
    "SealedServer",  # of Vault and OpenBao
    "EmptyServer",  # the same
    "CrashLooping",  # is made of several looks: `diagnose --watch`; the scenario crash-looping plays it
    "QuorumLostPermanent",  # empty servers give the others their votes, as real ones do, and a leader is elected
    "LaggingVoter",  # the model has no log that is long enough
    *("LeftOutReplaced", "LeftOutReturned", "LeftOutUnread"),  # of the list that a recovery has left on this host
    "DuplicateAddress",  # of servers set up wrongly, as no fault makes them
    "LeftOutReturned",  # after the recovery of a lost quorum, which needs machines
    "LeftOutReplaced",  # the same
    "LeftOutUnread",  # the same
    *("PeersJsonLeft", "SnapshotOld"),  # of the disk of the host that looks
    "CleanUpOff",  # which a check alone names
    *("CertificateExpires", "ClockDrift"),  # the model speaks no TLS, and has one clock
    "AutopilotZeroed",  # by a partial write, which no fault of a scenario makes
}


@pytest.mark.parametrize("name", shipped_names(SCENARIOS))
def test_a_shipped_scenario_comes_to_what_it_expects(name: str) -> None:
    """With its diagnosis, its exit code, who was removed, and who is left."""
    done = runbook(os.environ, "rehearse", PLAYBOOK, "--scenario", name, "--quiet", "--format", "json")
    told = json.loads(done.stdout)
    assert [row for row in told["expectations"] if not row["holds"]] == []
    assert (done.returncode, len(told["expectations"])) == (0, len(told["expectations"]))
    assert {"diagnosis", "exit code", "removed", "voters", "leader"} <= {row["what"] for row in told["expectations"]}


def test_there_is_one_for_every_diagnosis_and_every_shape() -> None:
    """But for those of which the simulation draws nothing, each with its reason."""
    scenarios = [read_scenario(shipped_path(name, SCENARIOS)) for name in shipped_names(SCENARIOS)]
    assert names_in_the_code() >= NOT_DRAWN
    assert {scenario.expect.diagnosis for scenario in scenarios} == names_in_the_code() - NOT_DRAWN
    assert {scenario.doors for scenario in scenarios} == set(SHAPES)
    assert [scenario.name for scenario in scenarios] == list(shipped_names(SCENARIOS))


def test_the_list_names_them_all() -> None:
    """With a sentence each."""
    done = runbook({}, "rehearse", "--list")
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(shipped_names(SCENARIOS))
    assert Path(SCENARIOS, "two-dead.yaml").exists()
