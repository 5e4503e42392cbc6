"""The JSON that a server answers with, in the shape of the replies captured from real servers."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from runbook.lab.agent_config import agent_config, serf_port
from runbook.lab.gossip import serf_name
from runbook.lab.health import failure_tolerance
from runbook.lab.settings import REGION
from runbook.lab.world import Role, Seen, Server, ServerHealth, World
from runbook.raft.model import MemberStatus, Peer

Json = dict[str, Any]
NO_TIME = "0001-01-01T00:00:00Z"


def configuration(world: World, server: Server) -> Json:
    """``Servers`` is null on a server that never received a configuration; the order means nothing, so it varies."""
    rows = [_listed(world, server, peer) for peer in server.peers]
    return {"Index": 0, "Servers": world.random.sample(rows, len(rows)) or None}


def addresses(world: World, server: Server) -> list[str]:
    listed = [peer.address for peer in server.peers]
    return world.random.sample(listed, len(listed))


def members(world: World, server: Server) -> Json:
    rows = [member(world, world.servers[name], seen) for name, seen in server.gossip.items()]
    return {
        "Members": world.random.sample(rows, len(rows)),
        "ServerDC": "dc1",
        "ServerName": server.name,
        "ServerRegion": REGION,
    }


def member(world: World, server: Server, seen: Seen) -> Json:
    settings = world.settings
    tags = {
        "port": str(settings.rpc_port),
        "id": seen.uuid,
        "rpc_addr": server.host,
        "build": settings.release,
        "mvn": "1",
        "expect": str(settings.servers),
        "region": REGION,
        "dc": "dc1",
        "role": "nomad",
        "raft_vsn": str(settings.raft_protocol),
        "vsn": "1",
    }
    serf = {"ProtocolMin": 1, "ProtocolMax": 5, "ProtocolCur": 2}
    delegate = {"DelegateMin": 2, "DelegateMax": 5, "DelegateCur": 4}
    where = {"Name": serf_name(server.name), "Addr": server.host, "Port": serf_port(settings)}
    return {**where, "Status": seen.status.value, "Tags": tags, **serf, **delegate}


def agent_self(world: World, server: Server) -> Json:
    return {
        "config": agent_config(world, server),
        "member": member(world, server, server.gossip[server.name]),
        "stats": {
            "nomad": _nomad_stats(server),
            "raft": _raft_stats(world, server),
            "serf": _serf_stats(server),
            "runtime": {
                "kernel.name": "linux",
                "arch": "amd64",
                "version": "go1.19.8",
                "max_procs": "2",
                "goroutines": "73",
                "cpu_count": "2",
            },
            "vault": {"tracked_for_revoked": "0", "token_ttl": "0s", "token_expire_time": ""},
        },
    }


def health(world: World, leader: Server) -> Json:
    """``Servers`` is null until the first look after an election. ``Leader`` and ``Voters`` are new in 1.7.7."""
    rows = leader.health or ()
    reply: Json = {
        "Healthy": bool(rows) and all(row.healthy for row in rows),
        "FailureTolerance": failure_tolerance(rows),
        "Servers": [_health_row(world, row) for row in rows] or None,
    }
    if world.settings.at_least(1, 7, 7):
        reply |= {"Leader": leader.raft_id, "Voters": [peer.id for peer in leader.peers if peer.voter]}
    return reply


def _listed(world: World, server: Server, peer: Peer) -> Json:
    """The name is looked up by address in the answering server's own gossip, whatever its status."""
    other = world.at(peer.address)
    known = other is not None and other.name in server.gossip
    return {
        "Address": peer.address,
        "ID": peer.id,
        "Leader": peer.address == server.leader,
        "Node": serf_name(other.name) if other and known else "(unknown)",
        "RaftProtocol": str(world.settings.raft_protocol) if known else "unknown",
        "Voter": peer.voter,
    }


def _health_row(world: World, row: ServerHealth) -> Json:
    return {
        "ID": row.id,
        "Name": serf_name(row.name) if row.name else "",
        "Address": row.address,
        "SerfStatus": row.status.value,
        "Version": world.settings.release,
        "Leader": row.leader,
        "LastContact": "-1ns" if row.last_contact is None else _go_duration(row.last_contact),
        "LastTerm": row.last_term,
        "LastIndex": row.last_index,
        "Healthy": row.healthy,
        "Voter": row.voter,
        "StableSince": NO_TIME if row.stable_since is None else _wall_time(world, row.stable_since),
    }


def _nomad_stats(server: Server) -> Json:
    return {
        "server": "true",
        "leader": "true" if server.leads else "false",
        "leader_addr": server.leader or "",
        "bootstrap": "false",
        "known_regions": "1",
    }


def _raft_stats(world: World, server: Server) -> Json:
    listed = " ".join(
        f"{{Suffrage:{'Voter' if peer.voter else 'Nonvoter'} ID:{peer.id} Address:{peer.address}}}"
        for peer in server.peers
    )
    return {
        "state": server.role.value,
        "term": str(server.term),
        "last_log_index": str(server.last[1]),
        "last_log_term": str(server.last[0]),
        "commit_index": str(server.committed),
        "applied_index": str(server.committed),
        "fsm_pending": "0",
        "last_snapshot_index": "0",
        "last_snapshot_term": "0",
        "latest_configuration": f"[{listed}]",
        "latest_configuration_index": "0",
        "last_contact": _last_contact(world, server),
        "num_peers": str(_voters_beside(server)),
        "protocol_version": str(world.settings.raft_protocol),
        "protocol_version_min": "0",
        "protocol_version_max": "3",
        "snapshot_version_min": "0",
        "snapshot_version_max": "1",
    }


def _voters_beside(server: Server) -> int:
    """The other voters, if it is a voter itself."""
    voters = {peer.id for peer in server.peers if peer.voter}
    return len(voters) - 1 if server.raft_id in voters else 0


def _last_contact(world: World, server: Server) -> str:
    if server.role is Role.LEADER:
        return "0"
    return _go_duration(max(world.now - server.heard_at, 0.0) + world.random.uniform(0.001, 0.05))


def _serf_stats(server: Server) -> Json:
    counts = {status: 0 for status in MemberStatus}
    for seen in server.gossip.values():
        counts[seen.status] += 1
    quiet = ("event_queue", "query_queue", "intent_queue", "health_score", "coordinate_resets")
    return {
        **dict.fromkeys(quiet, "0"),
        "encrypted": "false",
        "event_time": "1",
        "query_time": "1",
        "member_time": str(server.life + len(server.gossip) - 1),
        "members": str(len(server.gossip)),
        "failed": str(counts[MemberStatus.FAILED]),
        "left": str(counts[MemberStatus.LEFT]),
    }


def _go_duration(seconds: float) -> str:
    if seconds == 0:
        return "0s"
    return f"{seconds * 1000:.6f}ms" if seconds < 1 else f"{seconds:.9f}s"


def _wall_time(world: World, at: float) -> str:
    moment = datetime.fromtimestamp(world.settings.epoch + at, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
