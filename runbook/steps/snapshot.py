"""``raft.snapshot``: evidence of how things were, before anything is touched."""

from __future__ import annotations

import json
from dataclasses import asdict
from math import inf
from pathlib import Path
from typing import Any

from runbook.cluster.port import ClusterError
from runbook.files import replace_file
from runbook.raft.model import ClusterView
from runbook.raft.quorum import quorum
from runbook.steps.base import StepResult
from runbook.steps.context import StepContext, led, tolerance


def run(context: StepContext, _arguments: dict[str, Any]) -> StepResult:
    """Keep every reachable server's configuration, and the state snapshot where the cluster can give one."""
    view = context.look()
    configuration = led(view)
    _keep(context.folder / "snapshot.json", view)
    state = _state(context)
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


def _state(context: StepContext) -> str:
    """A cluster too ill to give its state is the one that needs this run most, so its absence is told and borne."""
    path = context.folder / "state.snap"
    try:
        digest = context.cluster.save_state(path, within=context.left(inf))
    except (ClusterError, OSError) as error:
        path.unlink(missing_ok=True)  # a full disk must be left with room for the journal
        return f"no state snapshot: {error}"
    return f"state.snap kept, SHA-256 {digest[:12]}…"


def _keep(path: Path, view: ClusterView) -> None:
    """Evidence, and the material for a peers.json should quorum be lost for good."""
    held = {
        "leader": view.leader_id,
        "configuration": asdict(view.configuration) if view.configuration else None,
        "servers": [{"url": v.url, "id": v.server_id, "configuration": _held(v.configuration)} for v in view.vantages],
    }
    replace_file(path, json.dumps(held, indent=1).encode())


def _held(configuration: Any) -> Any:
    return asdict(configuration) if configuration else None
