"""A view as plain data and back: what was seen in an incident can be kept, and decided on again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from enum import Enum
from typing import Any

from runbook.raft.model import (
    AutopilotSettings,
    ClusterView,
    Configuration,
    Member,
    MemberStatus,
    Peer,
    Reach,
    Vantage,
)

Data = dict[str, Any]


def recorded(view: ClusterView) -> Data:
    """The whole view as JSON holds it; what is unknown is left out, so that a person can read it."""
    return _plain(asdict(view))  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items() if each is not None and each is not False}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.value if isinstance(value, Enum) else value


def view_from(data: Mapping[str, Any]) -> ClusterView:
    """The view that was recorded. Raises KeyError, TypeError or ValueError for anything else."""
    told: Data = dict(data)
    told["configuration"] = _configuration(told.get("configuration"))
    told["vantages"] = tuple(_vantage(each) for each in told["vantages"])
    told["probes"] = {address: Reach(word) for address, word in told.get("probes", {}).items()}
    told["hosts"] = {
        address: {int(port): Reach(word) for port, word in tried.items()}
        for address, tried in told.get("hosts", {}).items()
    }
    told["unhealthy"] = frozenset(told["unhealthy"]) if "unhealthy" in told else None
    told["autopilot"] = _autopilot(told["autopilot"]) if "autopilot" in told else None
    return ClusterView(leader_id=told.pop("leader_id", None), **told)


def _vantage(data: Mapping[str, Any]) -> Vantage:
    told = dict(data)
    told["reach"] = Reach(told["reach"])
    told["configuration"] = _configuration(told.get("configuration"))
    members = told.get("members")
    told["members"] = None if members is None else tuple(_member(each) for each in members)
    return Vantage(**told)


def _configuration(data: Mapping[str, Any] | None) -> Configuration | None:
    return None if data is None else Configuration(tuple(Peer(**{"voter": False, **each}) for each in data["peers"]))


def _member(data: Mapping[str, Any]) -> Member:
    return Member(data["name"], MemberStatus(data["status"]), data.get("id"), data["raft_address"])


def _autopilot(data: Mapping[str, Any]) -> AutopilotSettings:
    return AutopilotSettings(**{"cleanup_dead_servers": False, **data})
