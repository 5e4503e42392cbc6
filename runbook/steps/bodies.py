"""What each declared step does. Apart from the catalogue, so that ``validate`` need not load what only a run needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from runbook.steps import check_quorum, find_dead, remove_peer, snapshot, verify
from runbook.steps.base import Context, Output

Body = Callable[[Context, dict[str, Any]], tuple[str, Output]]

BODIES: Mapping[str, Body] = {
    "raft.snapshot": snapshot.run,
    "raft.find_dead": find_dead.run,
    "raft.check_quorum": check_quorum.run,
    "raft.remove_peer": remove_peer.run,
    "raft.verify": verify.run,
}
