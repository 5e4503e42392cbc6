"""What a diagnosis says: a name, how bad, how sure, which servers, on what evidence, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from enum import Enum
from typing import Any

from runbook.dataclass import dataclass
from runbook.raft.model import Member, Peer, Vantage

REMOVE_DEAD_PEERS = "remove-dead-peers"


class Severity(Enum):
    """How soon somebody must act. The value is for machines and is never changed."""

    CRITICAL = "critical"  # no change can be made, or the next failure ends the service
    WARNING = "warning"  # something is broken, and the cluster still works
    NOTICE = "notice"  # worth knowing; nothing is broken
    OK = "ok"


class Certainty(Enum):
    """How far one look proves it. *Certain* is only what was read; a cause that was inferred never is."""

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"


@dataclass(frozen=True)
class Server:
    """A server that a finding is about, whether the configuration lists it or only gossip knows it."""

    id: str
    address: str
    name: str


@dataclass(frozen=True)
class Finding:
    """One named thing that one look shows. ``playbook`` is the name of one that ships, where one helps."""

    name: str
    severity: Severity
    certainty: Certainty
    sentence: str
    evidence: tuple[str, ...]
    next_action: str
    servers: tuple[Server, ...] = ()
    playbook: str | None = None

    def record(self) -> dict[str, Any]:
        """The finding as plain data; these keys are a promise to whoever reads them."""
        return {**asdict(self), "severity": self.severity.value, "certainty": self.certainty.value}


def command_for(cluster: str, playbook: str | None) -> str:
    """What to type next on the cluster of this name. One of the inventory is named again; an address is in the
    environment still.
    """
    name = cluster.partition(":")[2]
    option = f" --cluster {name}" if name and "://" not in name else ""
    return f"runbook execute {playbook}{option}" if playbook else f"runbook diagnose{option}"


def worst_first(findings: list[Finding]) -> tuple[Finding, ...]:
    """Sort by severity, then by certainty; what is equal stays in the order in which it was found."""
    bad, sure = list(Severity), list(Certainty)
    return tuple(sorted(findings, key=lambda f: (bad.index(f.severity), sure.index(f.certainty))))


def server_of(one: Peer | Member | Vantage) -> Server:
    """Id, address and name of a peer, a gossip member or a server that answered."""
    if isinstance(one, Peer):
        return Server(one.id, one.address, one.label)
    if isinstance(one, Member):
        return Server(one.id or one.raft_address, one.raft_address, one.name)
    return Server(one.server_id or one.url, one.raft_address or one.url, one.label)


def format_names(peers: Sequence[Peer]) -> str:
    """``s1.global, s2.global and s3.global``, as a person reads a list."""
    labels = [peer.label for peer in peers]
    return labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]}" if labels else "nobody"


def format_choice(number: int, peers: Sequence[Peer]) -> str:
    """``any one of s1.global, s2.global and s3.global``; all of them where they are no more."""
    names = format_names(peers)
    words = {1: "one", 2: "two", 3: "three"}.get(number, str(number))
    return f"any {words} of {names}" if number < len(peers) else names


def format_count(number: int, thing: str) -> str:
    """``1 voter``, ``2 voters``."""
    return f"{number} {thing}{'' if number == 1 else 's'}"
