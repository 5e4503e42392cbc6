"""``raft.snapshot``: evidence of how things were, before anything is touched."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import Step, StepResult

if TYPE_CHECKING:
    from runbook.raft.model import ClusterView, Configuration
    from runbook.steps.context import StepContext

SNAPSHOT = StepDeclaration(
    "raft.snapshot",
    "Keep the configuration of every reachable server, and the cluster's own state snapshot with its digest verified.",
    Effect.READ,
    results=(
        Field("voters", "int", "voters in the leader's configuration"),
        Field("quorum", "int", "how many of them must agree"),
        Field("tolerance", "int", "how many more may fail"),
        Field("leader", "string", "id of the leader"),
        Field("fingerprint", "string", "what is compared just before a change: id, address and vote of every peer"),
    ),
    observe="It changes nothing.",
    shadow="It is done as in a real run.",
    example="""\
- id: before
  uses: raft.snapshot       # snapshot.json and state.snap are in the folder of this run
- uses: log.message
  with: { text: "${{ before.voters }} voters, and ${{ before.tolerance }} more may fail" }
""",
)


def keep_snapshot(context: StepContext, _arguments: dict[str, Any]) -> StepResult:
    """Keep every reachable server's configuration, and the state snapshot where the cluster can give one."""
    from runbook.raft.quorum import quorum
    from runbook.steps.raft.looking import require_leader_configuration, tolerance

    view = context.look()
    configuration = require_leader_configuration(view)
    write_evidence(context.folder / "snapshot.json", view)
    state = _save_state(context)
    voters = len(configuration.voters)
    output = {
        "voters": voters,
        "quorum": quorum(voters),
        "tolerance": tolerance(view),
        "leader": view.leader_id,
        "fingerprint": sorted(map(list, configuration.fingerprint)),
    }
    message = f"{voters} voters, quorum {quorum(voters)}, failure tolerance {output['tolerance']}; {state}"
    return StepResult(message, output)


def _save_state(context: StepContext) -> str:
    """A cluster too ill to give its state is the one that needs this run most, so its absence is told and borne."""
    from runbook.errors import ClusterError

    path = context.folder / "state.snap"
    try:
        digest = context.cluster.save_state(path, within=context.left(inf))
    except (ClusterError, OSError) as error:
        path.unlink(missing_ok=True)  # a full disk must be left with room for the journal
        return f"no state snapshot: {error}"
    return f"state.snap kept, SHA-256 {digest[:12]}…"


def write_evidence(path: Path, view: ClusterView) -> None:
    """Evidence, and the material for a peers.json should quorum be lost for good."""
    import json

    from runbook.files import replace_file

    held = {
        "leader": view.leader_id,
        "configuration": _as_data(view.configuration),
        "servers": [
            {"url": v.url, "id": v.server_id, "configuration": _as_data(v.configuration)} for v in view.vantages
        ],
    }
    replace_file(path, json.dumps(held, indent=1).encode())


def _as_data(configuration: Configuration | None) -> dict[str, Any] | None:
    from dataclasses import asdict

    return asdict(configuration) if configuration else None


STEPS = (Step(SNAPSHOT, keep_snapshot),)
