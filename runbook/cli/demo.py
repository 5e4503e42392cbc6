"""``runbook demo``: the main job on the simulated lab, so that a new user has seen a recovery before needing one."""

from __future__ import annotations

import os
import secrets
import sys

from runbook.cli import exit_codes
from runbook.cli.execute import execute_playbook
from runbook.cli.running import Terminal
from runbook.errors import LabError
from runbook.lab.simulated import SimulatedLab
from runbook.session.open_run import RunRequest
from runbook.shipped_playbooks import path_of

PLAYBOOK = "remove-dead-peers"
QUICK = {"confirm_for": "4s", "watch_for": "5s", "cooldown": "0s"}  # at 3 a.m. they are 30 s, 70 s and 1 h


def demonstrate() -> int:
    """The run's exit code; 1 where no lab could be started. Each is a new cluster: no other one's cool-down is its."""
    try:
        with SimulatedLab(servers=5, gossip_delay=2.0, seed=secrets.randbits(32)) as lab:
            victim = next(name for name in lab.names if name != lab.wait_for_leader())
            _say(f"A practice cluster runs: {', '.join(lab.names)}; its leader is {lab.leader()}.")
            lab.kill(victim)
            _say(f"{victim} has just been killed. Now, as an operator would:\n")
            _say(f"  NOMAD_ADDR={lab.addresses[-1]} runbook execute {PLAYBOOK}\n")
            kept = {name: value for name, value in os.environ.items() if not name.startswith(("NOMAD_", "CONSUL_"))}
            agreed = Terminal(yes=True)  # whoever typed `runbook demo` wants to see the server go
            environment = {**kept, "NOMAD_ADDR": lab.addresses[-1]}
            return execute_playbook(RunRequest(path_of(PLAYBOOK), QUICK), agreed, environment)
    except LabError as error:
        _say(f"runbook: {error}")
        return exit_codes.FAILED


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
