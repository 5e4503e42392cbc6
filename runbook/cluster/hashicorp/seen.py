"""What was heard from one address, and whose words are asked for first."""

from __future__ import annotations

from dataclasses import dataclass

from runbook.errors import ClusterError
from runbook.raft.model import Vantage


@dataclass(frozen=True)
class Seen:
    """One server's words, and what kept it from saying all of them."""

    vantage: Vantage
    error: ClusterError | None = None


def worth(vantage: Vantage) -> tuple[bool, int]:
    """Who is asked for the leader's configuration: the leader of the highest term, else one that may be asked."""
    return vantage.configuration is not None, (vantage.term or 0) if vantage.state == "Leader" else -1
