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
from runbook.raft.opinions import HostWord, Opinion, OpinionKind

Data = dict[str, Any]


def view_to_dict(view: ClusterView) -> Data:
    """Turn the whole view into plain data for JSON; what is unknown is left out, so that a person can read it."""
    data: Data = _plain(asdict(view))
    usual = {"source": "gossip", "age": 0.0}
    for held in data["opinions"].values():
        for peer_id, opinion in held.items():
            held[peer_id] = {key: each for key, each in opinion.items() if usual.get(key) != each}
    if not view.host_words:
        del data["host_words"]
    return data


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items() if each is not None and each is not False}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.value if isinstance(value, Enum) else value


def view_from_dict(data: Mapping[str, Any]) -> ClusterView:
    """Read the view that :func:`view_to_dict` wrote.

    Raises:
        KeyError, TypeError, ValueError: it is anything else.
    """
    fields: Data = dict(data)
    fields["configuration"] = _configuration(fields.get("configuration"))
    fields["vantages"] = tuple(_vantage(each) for each in fields["vantages"])
    fields["probes"] = {address: Reach(word) for address, word in fields.get("probes", {}).items()}
    fields["hosts"] = {
        address: {int(port): Reach(word) for port, word in tried.items()}
        for address, tried in fields.get("hosts", {}).items()
    }
    fields["unhealthy"] = frozenset(fields["unhealthy"]) if "unhealthy" in fields else None
    fields["autopilot"] = _autopilot(fields["autopilot"]) if "autopilot" in fields else None
    if "opinions" not in fields:
        raise ValueError("it has no opinions: an older release wrote this look, and it cannot be judged again")
    fields["opinions"] = {
        by: {peer_id: _opinion(each) for peer_id, each in held.items()} for by, held in fields["opinions"].items()
    }
    words = fields.get("host_words", {})
    fields["host_words"] = {peer_id: HostWord(**{"stopped": False, **word}) for peer_id, word in words.items()}
    return ClusterView(leader_id=fields.pop("leader_id", None), **fields)


def _vantage(data: Mapping[str, Any]) -> Vantage:
    fields = dict(data)
    fields["reach"] = Reach(fields["reach"])
    fields["configuration"] = _configuration(fields.get("configuration"))
    members = fields.get("members")
    fields["members"] = None if members is None else tuple(_member(each) for each in members)
    return Vantage(**fields)


def _configuration(data: Mapping[str, Any] | None) -> Configuration | None:
    return None if data is None else Configuration(tuple(Peer(**{"voter": False, **each}) for each in data["peers"]))


def _member(data: Mapping[str, Any]) -> Member:
    return Member(data["name"], MemberStatus(data["status"]), data.get("id"), data["raft_address"])


def _opinion(data: Mapping[str, Any]) -> Opinion:
    return Opinion(**{**data, "kind": OpinionKind(data["kind"])})


def _autopilot(data: Mapping[str, Any]) -> AutopilotSettings:
    return AutopilotSettings(**{"cleanup_dead_servers": False, **data})
