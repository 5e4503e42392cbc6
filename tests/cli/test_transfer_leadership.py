"""`runbook execute transfer-leadership` in the lab: who leads afterwards, what is asked, and what is told."""

from __future__ import annotations

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.command_line import Done, changes, environment, followers, runbook

TRANSFER = "/v1/operator/raft/transfer-leadership"


def execute(lab: SimulatedLab, *words: str) -> Done:
    return runbook(environment(lab, followers(lab)[-1]), "execute", "transfer-leadership", *words)


def told(done: Done) -> str:
    return " ".join((done.stdout + done.stderr).split())


def test_it_is_foretold_agreed_to_done_and_then_there_is_nothing_to_do() -> None:
    with SimulatedLab(3) as lab:
        before = lab.wait_for_leader()
        wanted = ("--param", f"to={followers(lab)[0]}")
        name = wanted[1].removeprefix("to=")
        done = execute(lab, *wanted, "--dry-run", "--yes")
        assert (done.returncode, changes(lab), lab.leader()) == (0, [], before), told(done)
        assert f"{name}.global leads now, and {before}.global did before" in told(done)
        done = execute(lab, *wanted)
        assert (done.returncode, changes(lab)) == (3, []), told(done)
        assert f"from {before}.global to {name}.global?" in told(done)
        done, (sent,) = execute(lab, *wanted, "--yes"), changes(lab)
        assert (done.returncode, lab.wait_for_leader(), sent.split("?")[0]) == (0, name, f"PUT {TRANSFER}"), told(done)
        done = execute(lab, *wanted)
        assert (done.returncode, len(changes(lab))) == (0, 1), told(done)
        assert f"{name}.global leads already" in told(done)


@pytest.mark.parametrize(
    ("version", "param", "code"), [("1.6.10", "to=", 3), ("1.11.3", "to=s9", 3), ("1.11.3", "within=0s", 2)]
)
def test_what_cannot_be_is_refused_and_nothing_is_asked_for(version: str, param: str, code: int) -> None:
    with SimulatedLab(3, version=version) as lab:
        lab.wait_for_leader()
        done = execute(lab, "--yes", "--param", param)
        assert (done.returncode, changes(lab)) == (code, []), told(done)
