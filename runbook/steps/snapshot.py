"""``raft.snapshot``: evidence of how things were, before anything is touched."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runbook.cluster.port import ClusterError
from runbook.raft.model import ClusterView
from runbook.raft.quorum import quorum
from runbook.steps.base import Context, Output, led, tolerance


def run(context: Context, _arguments: dict[str, Any]) -> tuple[str, Output]:
    """Keep every reachable server's configuration, and the state snapshot where the cluster can give one."""
    view = context.look()
    configuration = led(view)
    _keep(context.folder / "snapshot.json", view)
    try:
        digest = context.cluster.save_state(context.folder / "state.snap")
        state = f"state.snap kept, SHA-256 {digest[:12]}…"
    except ClusterError as error:
        state = f"no state snapshot: {error}"
    context.memory.tolerance_at_start = tolerance(view)
    voters = len(configuration.voters)
    output = {
        "voters": voters,
        "quorum": quorum(voters),
        "tolerance": context.memory.tolerance_at_start,
        "leader": view.leader_id,
        "fingerprint": sorted(map(list, configuration.fingerprint)),
    }
    return f"{voters} voters, quorum {quorum(voters)}, failure tolerance {output['tolerance']}; {state}", output


def _keep(path: Path, view: ClusterView) -> None:
    """Atomically and for nobody else: a torn snapshot is worse than none."""
    held = {
        "leader": view.leader_id,
        "configuration": asdict(view.configuration) if view.configuration else None,
        "servers": [{"url": v.url, "id": v.server_id, "configuration": _held(v.configuration)} for v in view.vantages],
    }
    partial = path.with_suffix(".partial")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(held, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _held(configuration: Any) -> Any:
    return asdict(configuration) if configuration else None
