"""What a person sets aside by name, more than one guard at once, and what of it is on record."""

from __future__ import annotations

import json
from pathlib import Path

from runbook.lab.simulated import SimulatedLab
from tests.command_line import PLAYBOOK, QUICK, changes, environment, followers, runbook

AUTOPILOT = "/v1/operator/autopilot/configuration"
BOTH = ("--override", "cluster-minimum", "--override", "cooldown", "--reason", "a proxy closes that path")


def test_an_unread_minimum_refuses_until_it_is_set_aside_by_name_beside_another_guard() -> None:
    """Exit 3 with the way on; then one removal with both words on record, and no guard is set aside unrecorded."""
    with SimulatedLab(5, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        dead, asked, *_ = followers(lab)
        lab.kill(dead)
        lab.wait_for_gossip(dead, "failed")
        lab.inject("too_many_connections", path=AUTOPILOT, times=None)
        refused = runbook(environment(lab, asked), "execute", PLAYBOOK, *QUICK, "--log-format", "text")
        assert (refused.returncode, changes(lab)) == (3, []), refused.stderr
        assert f"{AUTOPILOT} answered 429" in refused.stdout
        assert "--override cluster-minimum --reason TEXT" in " ".join(refused.stdout.split())
        unsaid = runbook(environment(lab, asked), "execute", PLAYBOOK, *QUICK, *BOTH[:4])
        assert (unsaid.returncode, "say why with --reason TEXT" in unsaid.stderr) == (2, True)
        done = runbook(environment(lab, asked), "execute", PLAYBOOK, *QUICK, *BOTH, "--log-format", "text")
        assert (done.returncode, len(changes(lab))) == (0, 1), done.stderr
        folder = Path(done.stdout.rpartition("record")[2].strip())
    records = [json.loads(line) for line in (folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    set_aside = [record for record in records if record["kind"] == "guard.overridden"]
    assert [(record["guard"], record["reason"]) for record in set_aside] == [("cluster-minimum", BOTH[-1])]
    assert "MinQuorum, could not be read" in set_aside[0]["refusal"]
