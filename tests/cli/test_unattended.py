"""`execute --yes --unattended`, as people put it into cron: one removal, on record, and then a day of rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.command_line import QUICK, changes, environment, followers, runbook

WORDS = ("execute", "remove-dead-peers", *QUICK, "--unattended", "--log-format", "json")


def test_one_dead_server_is_removed_and_the_next_one_waits_for_a_person(tmp_path: Path) -> None:
    """A second one that dies is refused, with the way out; how long the cool-down is a test of plans holds."""
    with SimulatedLab(7, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        asked, first, second = followers(lab)[:3]
        where = environment(lab, asked, RUNBOOK_STATE_DIR=str(tmp_path))
        lab.kill(first)
        lab.wait_for_gossip(first, "failed")
        done = runbook(where, *WORDS)
        assert (done.returncode, len(changes(lab))) == (0, 1), done.stderr
        lab.kill(second)
        lab.wait_for_gossip(second, "failed")
        refused = runbook(where, *WORDS)
    assert (refused.returncode, len(changes(lab))) == (3, 1), refused.stderr
    assert "CoolDown" in refused.stderr
    (journal, _) = sorted(tmp_path.glob("runs/*/journal.jsonl"))
    started = json.loads(journal.read_text().splitlines()[0])
    assert (started["kind"], started["unattended"]) == ("run.started", True)


@pytest.mark.parametrize(
    "more",
    [
        ("--override", "cooldown", "--reason", "x"),
        ("--take-over", "--reason", "x"),
        ("--confirmed-off", "s3", "--because", "x"),
    ],
)
def test_what_somebody_says_who_looks_does_not_go_with_it(more: tuple[str, ...]) -> None:
    done = runbook({}, "execute", "remove-dead-peers", "--unattended", *more)
    assert done.returncode == 2
    assert "nobody watches" in done.stderr
