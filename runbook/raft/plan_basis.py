"""What removals were planned on, and what has changed since: read again before each change.

The servers offer no compare-and-set, so the plan's basis stands in for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from runbook.raft.model import ClusterView, Configuration
from runbook.raft.removal import Refusal


@dataclass(frozen=True)
class PlanBasis:
    """What removals were planned on. There is no compare-and-set, so all of it is read again before each change.

    ``term`` is the leader's own, where it could be asked. ``removals`` are the ids of the peers that are to go.
    """

    leader: str
    term: int | None
    peers: frozenset[tuple[str, str, bool]]
    removals: frozenset[str]


def plan_basis_of(view: ClusterView, removals: Iterable[str]) -> PlanBasis:
    """The basis of a plan made on a view that has a leader."""
    assert view.configuration is not None  # noqa: S101 -- nothing is planned without a leader
    return PlanBasis(view.leader_id or "", leader_term(view), view.configuration.fingerprint, frozenset(removals))


def plan_basis_to_dict(basis: PlanBasis) -> dict[str, Any]:
    """As the journal keeps it; :func:`plan_basis_from_dict` reads it."""
    peers, removals = [list(entry) for entry in sorted(basis.peers)], sorted(basis.removals)
    return {"leader": basis.leader, "term": basis.term, "peers": peers, "removals": removals}


def plan_basis_from_dict(written: Mapping[str, Any] | None) -> PlanBasis | None:
    """What :func:`plan_basis_to_dict` wrote. Raises KeyError, IndexError or TypeError for anything else."""
    if written is None:
        return None
    peers = frozenset((str(entry[0]), str(entry[1]), bool(entry[2])) for entry in written["peers"])
    return PlanBasis(written["leader"], written["term"], peers, frozenset(written["removals"]))


def leader_term(view: ClusterView) -> int | None:
    """The term as the leader itself tells it."""
    leader = view.configuration.peer(view.leader_id) if view.configuration and view.leader_id else None
    vantage = view.vantage_of(leader) if leader else None
    return vantage.term if vantage else None


def refusal_if_plan_is_stale(basis: PlanBasis, view: ClusterView) -> Refusal | None:
    """Say what has changed since the plan was made, or None where nothing has.

    A peer that was to go and went by itself, or by our own hand, is no such change: autopilot may be faster.
    """
    if view.configuration is None or view.leader_id is None:
        return None  # the guard itself refuses that, in better words
    moved = _moved_peers(basis, view.configuration) + _moved_leader(basis, view)
    if not moved:
        return None
    code = "ConfigurationChanged" if _moved_peers(basis, view.configuration) else "LeaderChanged"
    return Refusal(code, f"since the plan was made {'; '.join(moved)}", "Run the playbook again: it will judge anew")


def _moved_peers(basis: PlanBasis, now: Configuration) -> list[str]:
    new = sorted(now.fingerprint - basis.peers)
    gone = sorted(entry for entry in basis.peers - now.fingerprint if entry[0] not in basis.removals)
    back = sorted(entry for entry in new if entry[0] in basis.removals)
    return [
        *(f"{_entry(entry)} came" for entry in new if entry not in back),
        *(f"{_entry(entry)} changed" for entry in back),
        *(f"{_entry(entry)} went" for entry in gone),
    ]


def _entry(entry: tuple[str, str, bool]) -> str:
    peer_id, address, voter = entry
    return f"{'voter' if voter else 'non-voter'} {address}{'' if peer_id == address else f' ({peer_id})'}"


def _moved_leader(basis: PlanBasis, view: ClusterView) -> list[str]:
    term = leader_term(view)
    if view.leader_id == basis.leader and (term == basis.term or None in (term, basis.term)):
        return []
    leader = view.configuration.peer(view.leader_id or "") if view.configuration else None
    return [
        f"the leader, {basis.leader} in term {_format_term(basis.term)}, became "
        f"{leader.label if leader and view.leader_id != basis.leader else view.leader_id} in term {_format_term(term)}"
    ]


def _format_term(term: int | None) -> str:
    return "unknown" if term is None else str(term)
