"""What removals were planned on, and what has changed since then.

The servers offer no compare-and-set for a removal, so all of it is read again and compared before each change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runbook.dataclass import dataclass
from runbook.raft.model import ClusterView, Configuration
from runbook.raft.removal import Refusal


@dataclass(frozen=True)
class PlanBasis:
    """The leader, its term and the configuration that removals were planned on.

    ``term`` is the leader's own, where it could be asked. ``removals`` are the ids of the peers that are to go.
    """

    leader: str
    term: int | None
    peers: frozenset[tuple[str, str, bool]]
    removals: frozenset[str]


def plan_basis_of(view: ClusterView, configuration: Configuration, removals: Iterable[str]) -> PlanBasis:
    """The basis of a plan that removes the peers with the ids ``removals``, made on this view of a leader's words."""
    return PlanBasis(view.leader_id or "", leader_term(view), configuration.fingerprint, frozenset(removals))


def plan_basis_to_dict(basis: PlanBasis) -> dict[str, Any]:
    """Turn it into plain data, as the journal keeps it."""
    peers, removals = [list(entry) for entry in sorted(basis.peers)], sorted(basis.removals)
    return {"leader": basis.leader, "term": basis.term, "peers": peers, "removals": removals}


def plan_basis_from_dict(written: Mapping[str, Any] | None) -> PlanBasis | None:
    """Read what :func:`plan_basis_to_dict` wrote; None stays None.

    Raises:
        KeyError, IndexError, TypeError: it is anything else.
    """
    if written is None:
        return None
    peers = frozenset((str(entry[0]), str(entry[1]), bool(entry[2])) for entry in written["peers"])
    return PlanBasis(written["leader"], written["term"], peers, frozenset(written["removals"]))


def leader_term(view: ClusterView) -> int | None:
    """The term by the leader's own answer, else by what it said through another server's door; None where neither."""
    vantage = view.vantage_of(view.leader) if view.leader else None
    return vantage.term if vantage and vantage.term is not None else view.leader_term


def refusal_if_plan_is_stale(basis: PlanBasis, view: ClusterView) -> Refusal | None:
    """Say what has changed since the plan was made, or None where nothing has.

    A peer that was to go and went by itself, or by our own hand, is no such change: autopilot may be faster.
    """
    if view.configuration is None or view.leader_id is None:
        return None  # the guard itself refuses that, in better words
    changes = _changed_peers(basis, view.configuration) + _changed_leader(basis, view)
    if not changes:
        return None
    code = "ConfigurationChanged" if _changed_peers(basis, view.configuration) else "LeaderChanged"
    return Refusal(code, f"since the plan was made, {'; '.join(changes)}", "Run the playbook again to plan anew")


def _changed_peers(basis: PlanBasis, now: Configuration) -> list[str]:
    new = sorted(now.fingerprint - basis.peers)
    gone = sorted(entry for entry in basis.peers - now.fingerprint if entry[0] not in basis.removals)
    back = sorted(entry for entry in new if entry[0] in basis.removals)
    return [
        *(f"{format_peer(entry)} was added" for entry in new if entry not in back),
        *(f"{format_peer(entry)} changed" for entry in back),
        *(f"{format_peer(entry)} was removed" for entry in gone),
    ]


def format_peer(entry: tuple[str, str, bool]) -> str:
    """Its id, address and whether it votes, in words."""
    peer_id, address, voter = entry
    return f"{'voter' if voter else 'non-voter'} {address}{'' if peer_id == address else f' ({peer_id})'}"


def _changed_leader(basis: PlanBasis, view: ClusterView) -> list[str]:
    term = leader_term(view)
    if view.leader_id == basis.leader and (term == basis.term or None in (term, basis.term)):
        return []
    now = "unknown" if term is None else str(term)
    before = "unknown" if basis.term is None else str(basis.term)
    if view.leader_id == basis.leader:
        return [f"the leader {basis.leader} was elected again: term {before} then, term {now} now"]
    leader = view.configuration.peer(view.leader_id or "") if view.configuration else None
    name = leader.label if leader else view.leader_id
    return [f"the leader changed from {basis.leader} in term {before} to {name} in term {now}"]
