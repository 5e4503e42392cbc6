"""``runbook check`` as cron starts it, with nothing in the environment, against a cluster in every state."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runbook.lab.simulated import SimulatedLab
from tests.clock import CLOCK
from tests.command_line import followers, runbook


@dataclass(frozen=True)
class Case:
    """How many of five servers are killed, and what a monitor must be told of that."""

    killed: int
    code: int
    line: str
    told: dict[str, float]  # in the textfile, without the seconds


CASES = {
    "healthy": Case(
        0,
        0,
        "RAFT OK - healthy: 5 of 5 voters answer, 3 needed | voters=5 live_voters=5 failure_tolerance=2 dead=0",
        {"status": 0, "voters": 5, "live_voters": 5, "failure_tolerance": 2, "dead": 0, "unknown": 0, "leader": 1},
    ),
    "degraded": Case(
        1,
        1,
        "RAFT WARNING - degraded: 4 of 5 voters answer, 3 needed; DeadFollower (likely); next: runbook execute ",
        {"status": 1, "voters": 5, "live_voters": 4, "failure_tolerance": 1, "dead": 1, "unknown": 0, "leader": 1},
    ),
    "at its limit": Case(
        2,
        2,
        "RAFT CRITICAL - no further voter may fail: 3 of 5 voters answer, 3 needed; QuorumAtRisk (certain); next: ",
        {"status": 2, "voters": 5, "live_voters": 3, "failure_tolerance": 0, "dead": 2, "unknown": 0, "leader": 1},
    ),
    "leaderless": Case(
        3,
        2,
        "RAFT CRITICAL - no leader: 2 of 5 voters answer, 3 needed; ",
        {"status": 2, "voters": 5, "live_voters": 2, "failure_tolerance": 0, "leader": 0},
    ),
    "dead": Case(5, 3, "RAFT UNKNOWN - ", {"status": 3}),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_state_has_its_code_its_line_and_its_numbers(case: Case, tmp_path: Path) -> None:
    """The textfile is read by Prometheus' own parser: every number a gauge with its help, and whole or not there."""
    textfile = tmp_path / "runbook.prom"
    with SimulatedLab(5, gossip_delay=0.3, hold=0.3) as lab:
        asked, *others = [*followers(lab), lab.wait_for_leader()]
        for name in ([asked, *others] if case.killed == 5 else others)[: case.killed]:
            lab.kill(name)
            if case.killed < 3:
                lab.wait_for_gossip(name, "failed")
        CLOCK.sleep(1 if case.killed == 3 else 0)  # the leader's lease
        address = lab.addresses[lab.names.index(asked)]
        done = runbook({"NOMAD_ADDR": address}, "check", "--textfile", str(textfile))
    assert (done.returncode, done.stderr) == (case.code, "")
    assert done.stdout.startswith(case.line)
    assert done.stdout.count("\n") == 1
    families = list(text_string_to_metric_families(textfile.read_text(encoding="utf-8")))
    told = {family.name.removeprefix("runbook_raft_"): family.samples[0].value for family in families}
    labels = {"cluster": address, "kind": "nomad", "instance": address}
    assert [sample.labels for family in families for sample in family.samples] == [labels] * len(families)
    assert 0 <= told.pop("check_seconds") < 60
    assert told.items() >= case.told.items()
    assert told.get("dead", 0) + told.get("unknown", 0) == (0 if case.killed == 5 else case.killed)
    assert len(told) == (2 if case.killed == 5 else 9)
    assert [family.name for family in families if family.type != "gauge" or not family.documentation] == []
    assert [path.name for path in tmp_path.iterdir()] == ["runbook.prom"]


def test_servers_that_are_parted_are_not_called_healthy() -> None:
    """This host reaches all five, and by the numbers two may fail; what `diagnose` is certain of is not OK here."""
    with SimulatedLab(5, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        cut_off = followers(lab)[:2]
        lab.partition([[name for name in lab.names if name not in cut_off], cut_off])
        environment = {**os.environ, "NOMAD_ADDR": lab.addresses[0]}
        until = time.monotonic() + 15
        while "ObserversDisagree" not in names_in(json_of("diagnose", environment)[0]) and time.monotonic() < until:
            CLOCK.sleep(1)
        diagnosed, checked = json_of("diagnose", environment), json_of("check", environment)
    assert (checked[1], checked[0]["status"], checked[0]["failure_tolerance"]) == (1, "WARNING", 2)
    assert names_in(diagnosed[0]) == ["ObserversDisagree"]
    assert names_in(checked[0]) == ["ObserversDisagree", "CleanUpOff"]  # which is for monitors; the lab's is off
    assert checked[0]["sentence"].startswith("ObserversDisagree (certain): the servers disagree about ")


def json_of(verb: str, environment: dict[str, str]) -> tuple[dict[str, Any], int]:
    done = runbook(environment, verb, "--format", "json")
    return json.loads(done.stdout), done.returncode


def names_in(told: dict[str, Any]) -> list[str]:
    return [finding["name"] for finding in told["findings"]]


def test_cron_gives_it_an_address_and_nothing_else() -> None:
    """The process itself: no variable but one, no working directory of its own, one line, and the exit code."""
    with SimulatedLab(3, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        command = ["/usr/bin/env", "-i", f"NOMAD_ADDR={lab.addresses[0]}", sys.executable, "-m", "runbook", "check"]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("RAFT OK - healthy: 3 of 3 voters answer")
    assert done.stdout.count("\n") == 1


def test_a_textfile_that_cannot_be_written_is_unknown_and_told(tmp_path: Path) -> None:
    """The old numbers stay, so the monitor must hear that they are old."""
    with SimulatedLab(3, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        textfile = tmp_path / "missing" / "runbook.prom"
        done = runbook({"NOMAD_ADDR": lab.addresses[0]}, "check", "--textfile", str(textfile))
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout == f"RAFT UNKNOWN - {tmp_path}/missing/runbook.prom: No such file or directory\n"
