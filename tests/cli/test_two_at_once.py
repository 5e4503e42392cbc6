"""Two operators press return in the same instant: one wins, the other is told, and nothing is removed twice.

``TWO_AT_ONCE`` in the environment says how many rounds; the default is a few.
"""

from __future__ import annotations

import os
import subprocess
from collections import Counter

from runbook.lab.simulated import SimulatedLab
from tests.command_line import PLAYBOOK, QUICK, changes, environment, followers, start

ROUNDS = int(os.environ.get("TWO_AT_ONCE", "2"))


def test_two_runs_started_at_once_have_one_winner() -> None:
    """Each has another server's address; the lock is on the peers, so that is no way round it. One request is sent."""
    ends: Counter[tuple[int, ...]] = Counter()
    for seed in range(ROUNDS):  # a new cluster each time, else the cool-down would speak first
        with SimulatedLab(5, gossip_delay=0.2, seed=seed) as lab:
            lab.wait_for_leader()
            dead, one, other, *_ = followers(lab)
            lab.kill(dead)
            lab.wait_for_gossip(dead, "failed")
            words = ("execute", PLAYBOOK, *QUICK, "--quiet")
            runs = [start(environment(lab, asked), *words, stdout=subprocess.PIPE) for asked in (one, other)]
            told = [run.communicate(timeout=120)[0] for run in runs]
            assert len(changes(lab)) == 1, told
            ends[tuple(sorted(run.returncode for run in runs))] += 1
    assert set(ends) <= {(0, 5), (0, 0), (0, 3)}, ends  # the other finds it locked, gone already, or freshly changed
    assert sum(ends.values()) == ROUNDS
