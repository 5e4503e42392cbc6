"""The bodies that a server answers with, JSON and the state snapshot, in the shape captured from real servers."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from runbook.raft.model import Configuration, MemberStatus, Peer
from runbook.simulation.agent_config import agent_config, compact, serf_port
from runbook.simulation.gossip import serf_name
from runbook.simulation.leader_tasks import failure_tolerance
from runbook.simulation.settings import REGION, SimulationSettings
from runbook.simulation.state import LEADER, ClusterState, ServerHealth, SimulatedServer

Json = dict[str, Any]
OTHER_STATS = compact(
    {
        "runtime": {
            "kernel.name": "linux",
            "arch": "amd64",
            "version": "go1.19.8",
            "max_procs": "2",
            "goroutines": "73",
            "cpu_count": "2",
        },
        "vault": {"tracked_for_revoked": "0", "token_ttl": "0s", "token_expire_time": ""},
    }
)
STATE_BLOCKS = 256  # of 32 bytes, in a state snapshot
NO_TIME = "0001-01-01T00:00:00Z"


def configuration(state: ClusterState, server: SimulatedServer) -> str:
    """As JSON. ``Servers`` is null on a server that never received a configuration; the order means nothing, so it
    varies.
    """
    rows = [_listed(state, server, peer) for peer in server.peers]
    servers = f"[{','.join(state.random.sample(rows, len(rows)))}]" if rows else "null"
    return f'{{"Index":0,"Servers":{servers}}}'


def addresses(state: ClusterState, server: SimulatedServer) -> list[str]:
    listed = [peer.address for peer in server.peers]
    return state.random.sample(listed, len(listed))


def members(state: ClusterState, server: SimulatedServer) -> str:
    """Its gossip, as JSON; the order means nothing, so it varies."""
    rows = [_member(state.settings, name, entry.uuid, entry.status) for name, entry in server.gossip.items()]
    whose = compact({"ServerDC": "dc1", "ServerName": server.name, "ServerRegion": REGION})
    return f'{{"Members":[{",".join(state.random.sample(rows, len(rows)))}],{whose[1:]}'


def agent_self(state: ClusterState, server: SimulatedServer) -> str:
    """What it says of itself, as JSON."""
    own = server.gossip[server.name]
    member = _member(state.settings, server.name, own.uuid, own.status)
    nomad, raft, serf = _nomad_stats(server.leads, server.leader), _raft_stats(state, server), _serf_stats(server)
    stats = f'{{"nomad":{nomad},"raft":{raft},"serf":{serf},{OTHER_STATS[1:]}'
    return f'{{"config":{agent_config(state.settings, server.name)},"member":{member},"stats":{stats}}}'


def health(state: ClusterState, leader: SimulatedServer) -> Json:
    """``Servers`` is null until the first look after an election. ``Leader`` and ``Voters`` are new in 1.7.7."""
    rows = leader.health or ()
    reply: Json = {
        "Healthy": bool(rows) and all(row.healthy for row in rows),
        "FailureTolerance": failure_tolerance(rows),
        "Servers": [_health_row(state, row) for row in rows] or None,
    }
    if state.settings.at_least(1, 7, 7):
        reply |= {"Leader": leader.raft_id, "Voters": [peer.id for peer in leader.peers if peer.voter]}
    return reply


def snapshot_archive(server: SimulatedServer) -> bytes:
    """A gzipped tar of three files with what this server has committed; the same bytes as long as that is the same."""
    return _archive(server.committed, json.dumps(_snapshot_meta(server, STATE_BLOCKS * 32)))


@lru_cache(maxsize=16)
def _archive(committed: int, meta: str) -> bytes:
    files = {"meta.json": meta.encode(), "state.bin": _state_at(committed)}
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
    packed = io.BytesIO()
    with tarfile.TarFile(fileobj=packed, mode="w") as tar:
        for name, data in {**files, "SHA256SUMS": sums.encode()}.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o600
            tar.addfile(entry, io.BytesIO(data))
    return gzip.compress(packed.getvalue(), mtime=0)


@lru_cache(maxsize=256)
def _state_at(committed: int) -> bytes:
    return b"".join(hashlib.sha256(f"{committed} {block}".encode()).digest() for block in range(STATE_BLOCKS))


def digest_header(data: bytes) -> str:
    """The value of the ``Digest`` header."""
    return "sha-256=" + base64.b64encode(hashlib.sha256(data).digest()).decode()


def _listed(state: ClusterState, server: SimulatedServer, peer: Peer) -> str:
    """The name is looked up by address in the answering server's own gossip, whatever its status."""
    other = state.server_at(peer.address)
    name = serf_name(other.name) if other is not None and other.name in server.gossip else None
    return _row(peer.address, peer.id, peer.voter, peer.address == server.leader, name, state.settings.raft_protocol)


@lru_cache(maxsize=256)
def _row(address: str, server_id: str, voter: bool, leads: bool, name: str | None, protocol: int) -> str:
    """One peer of a configuration, as JSON; ``name`` where gossip knows it."""
    return compact(
        {
            "Address": address,
            "ID": server_id,
            "Leader": leads,
            "Node": name or "(unknown)",
            "RaftProtocol": str(protocol) if name else "unknown",
            "Voter": voter,
        }
    )


def _health_row(state: ClusterState, row: ServerHealth) -> Json:
    stable_since = NO_TIME if row.stable_since is None else _moment(int(state.settings.epoch + row.stable_since))
    return {
        "ID": row.id,
        "Name": serf_name(row.name) if row.name else "",
        "Address": row.address,
        "SerfStatus": row.status.value,
        "Version": state.settings.release,
        "Leader": row.leader,
        "LastContact": "-1ns" if row.last_contact is None else _go_duration(row.last_contact),
        "LastTerm": row.last_term,
        "LastIndex": row.last_index,
        "Healthy": row.healthy,
        "Voter": row.voter,
        "StableSince": stable_since,
    }


@lru_cache(maxsize=256)
def _moment(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(maxsize=256)
def _member(settings: SimulationSettings, name: str, uuid: str, status: MemberStatus) -> str:
    """One member as JSON."""
    tags = {
        "port": str(settings.rpc_port),
        "id": uuid,
        "rpc_addr": settings.host(name),
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
    where = {"Name": serf_name(name), "Addr": settings.host(name), "Port": serf_port(settings)}
    return compact({**where, "Status": status.value, "Tags": tags, **serf, **delegate})


@lru_cache(maxsize=64)
def _nomad_stats(leads: bool, leader: str | None) -> str:
    return compact(
        {
            "server": "true",
            "leader": "true" if leads else "false",
            "leader_addr": leader or "",
            "bootstrap": "false",
            "known_regions": "1",
        }
    )


def _raft_stats(state: ClusterState, server: SimulatedServer) -> str:
    """As JSON, which is asked for at every look of every server."""
    listed = " ".join(
        f"{{Suffrage:{'Voter' if peer.voter else 'Nonvoter'} ID:{peer.id} Address:{peer.address}}}"
        for peer in server.peers
    )
    voters = {peer.id for peer in server.peers if peer.voter}
    last_contact = "0"
    if server.role is not LEADER:
        last_contact = _go_duration(max(state.now - server.heard_at, 0.0) + state.random.uniform(0.001, 0.05))
    term, index = server.last
    return (
        f'{{"state":"{server.role.value}","term":"{server.term}","last_log_index":"{index}","last_log_term":"{term}",'
        f'"commit_index":"{server.committed}","applied_index":"{server.committed}","fsm_pending":"0",'
        '"last_snapshot_index":"0","last_snapshot_term":"0",'
        f'"latest_configuration":"[{listed}]","latest_configuration_index":"0","last_contact":"{last_contact}",'
        f'"num_peers":"{len(voters) - 1 if server.raft_id in voters else 0}",'
        f'"protocol_version":"{state.settings.raft_protocol}","protocol_version_min":"0","protocol_version_max":"3",'
        '"snapshot_version_min":"0","snapshot_version_max":"1"}'
    )


def _serf_stats(server: SimulatedServer) -> str:
    statuses = [entry.status for entry in server.gossip.values()]
    return _serf(server.life, len(statuses), statuses.count(MemberStatus.FAILED), statuses.count(MemberStatus.LEFT))


@lru_cache(maxsize=256)
def _serf(life: int, members: int, failed: int, left: int) -> str:
    quiet = ("event_queue", "query_queue", "intent_queue", "health_score", "coordinate_resets")
    return compact(
        {
            **dict.fromkeys(quiet, "0"),
            "encrypted": "false",
            "event_time": "1",
            "query_time": "1",
            "member_time": str(life + members - 1),
            "members": str(members),
            "failed": str(failed),
            "left": str(left),
        }
    )


def _go_duration(seconds: float) -> str:
    if seconds == 0:
        return "0s"
    return f"{seconds * 1000:.6f}ms" if seconds < 1 else f"{seconds:.9f}s"


def _snapshot_meta(server: SimulatedServer, size: int) -> dict[str, object]:
    configuration = server.committed_configuration or Configuration(())
    peers = " ".join(peer.address for peer in configuration.peers)
    listed = [
        {"Suffrage": 0 if peer.voter else 1, "ID": peer.id, "Address": peer.address} for peer in configuration.peers
    ]
    index = max((entry.index for entry in server.log[: server.committed] if entry.configuration), default=0)
    return {
        "Version": 1,
        "ID": f"{server.last[0]}-{server.committed}-1",
        "Index": server.committed,
        "Term": server.last[0],
        "Peers": base64.b64encode(peers.encode()).decode(),
        "Configuration": {"Servers": listed},
        "ConfigurationIndex": index,
        "Size": size,
    }
