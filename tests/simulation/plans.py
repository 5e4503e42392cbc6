"""The playbook of an incident: the shipped one, one that goes on past failed removals, or one with commands."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from runbook.engine.plan import Plan, bind_plan
from runbook.playbook.model import Playbook
from runbook.playbook.params import bind_params
from runbook.playbook.parser import parse_playbook
from runbook.steps.registry import CATALOG
from tests.simulation.planned_commands import PlannedCommands

PLAYBOOK = Path(__file__).resolve().parents[2] / "playbooks" / "remove-dead-peers.yaml"
ONE_BY_ONE = b"""  - id: remove
    for_each: dead.peers
    steps:
      - id: quorum
        uses: raft.check_quorum
        with: { remove: ["${{ item }}"] }
      - id: one
        uses: raft.remove_peer
        with: { peer: "${{ item.id }}" }
        continue_on_failure: true

"""


@lru_cache(maxsize=100)
def _playbook(commands: PlannedCommands | None, *, goes_on: bool) -> Playbook:
    text = _going_on(PLAYBOOK.read_bytes()) if goes_on else PLAYBOOK.read_bytes()
    return parse_playbook(commands.within(text) if commands else text, str(PLAYBOOK), CATALOG)


def _going_on(text: bytes) -> bytes:
    """Each removal proven on its own and tried once, after which the others go on whatever became of it."""
    before, _, rest = text.partition(b"  # The proof that quorum holds")
    _, verify, after = rest.partition(b"  # Gone for every server")
    return before + ONE_BY_ONE + verify + after


@lru_cache(maxsize=1000)
def plan_of(params: tuple[tuple[str, str], ...], run: str, commands: PlannedCommands | None, *, goes_on: bool) -> Plan:
    playbook = _playbook(commands, goes_on=goes_on)
    return bind_plan(playbook, run, bind_params(playbook, dict(params)))
