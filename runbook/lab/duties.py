"""What a leader does of its own accord: reconcile gossip into Raft, and autopilot's two tasks.

The rules are those of docs/servers/raft.md#reconcile and docs/servers/nomad.md#clean-up-by-version.
"""

from __future__ import annotations

import re
from dataclasses import replace

from runbook.lab.consensus import propose
from runbook.lab.gossip import force_leave, serf_name
from runbook.lab.health import refresh
from runbook.lab.world import Server, World
from runbook.raft.model import Configuration, MemberStatus, Peer

AUTOPILOT_EVERY = 10.0
HEALTH_EVERY = 2.0
GO_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def perform(world: World) -> None:
    """Do what has fallen due on every server that leads; one that waits for a commit takes no further change."""
    for server in world.servers.values():
        if server.running and server.leads and world.now >= server.health_at:
            server.health_at = world.now + HEALTH_EVERY
            server.health = refresh(world, server, go_seconds(world.autopilot["LastContactThreshold"]))
        if _may_change(server) and world.now >= server.reconcile_at:
            server.reconcile_at = world.now + world.settings.reconcile_every
            _reconcile(world, server)
        if _may_change(server) and world.now >= server.autopilot_at:
            server.autopilot_at = world.now + AUTOPILOT_EVERY
            _promote(world, server)
            if world.autopilot["CleanupDeadServers"]:
                _clean_up(world, server)


def go_seconds(text: str) -> float:
    """Seconds of a duration as Go writes it (``1.5s``, ``200ms``, ``1h2m``). Raises ValueError."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)", text)
    if not text or (text != "0" and "".join(number + unit for number, unit in parts) != text):
        raise ValueError(f'time: invalid duration "{text}"')
    return sum(float(number) * GO_SECONDS[unit] for number, unit in parts)


def _may_change(server: Server) -> bool:
    return server.running and server.leads and not server.changing


def _reconcile(world: World, leader: Server) -> None:
    for name in sorted(leader.gossip):
        if not _may_change(leader):
            leader.reconcile_at = world.now
            return
        seen = leader.gossip[name]
        if seen.status is MemberStatus.ALIVE:
            _admit(world, leader, world.servers[name].address, seen.uuid)
        elif seen.status is MemberStatus.LEFT:
            _dismiss(world, leader, [peer for peer in leader.peers if peer.address == world.servers[name].address])


def _admit(world: World, leader: Server, address: str, uuid: str) -> None:
    """Nomad's addRaftPeer: an old entry with the same id or address goes first; protocol 3 adds a non-voter."""
    modern = world.settings.raft_protocol == 3
    newcomer = Peer(uuid if modern else address, address, voter=not modern)
    if any(peer.id == newcomer.id and peer.address == address for peer in leader.peers):
        return
    _dismiss(world, leader, [peer for peer in leader.peers if peer.id == newcomer.id or peer.address == address])
    if _may_change(leader):
        propose(world, leader, Configuration((*leader.peers, newcomer)))
    else:
        leader.reconcile_at = world.now


def _dismiss(world: World, leader: Server, peers: list[Peer]) -> None:
    for peer in peers:
        rest = Configuration(leader.peers).without(peer.id)
        if _may_change(leader) and rest.voters and peer.id != leader.raft_id:
            propose(world, leader, rest)


def _promote(world: World, leader: Server) -> None:
    stable = go_seconds(world.autopilot["ServerStabilizationTime"])
    ready = {
        row.id
        for row in leader.health or ()
        if row.healthy and row.stable_since is not None and world.now - row.stable_since >= stable
    }
    for peer in leader.peers:
        if not peer.voter and peer.id in ready and _may_change(leader):
            others = [each for each in leader.peers if each.id != peer.id]
            propose(world, leader, Configuration((*others, replace(peer, voter=True))))


def _clean_up(world: World, leader: Server) -> None:
    """Autopilot's own removal of dead servers, by the release's rule; a stale peer is dead to it too."""
    dead = [peer for peer in leader.peers if _is_dead(world, leader, peer)]
    voters = len(Configuration(leader.peers).voters)
    budget = _budget(world, voters, sum(peer.voter for peer in dead))
    for peer in sorted(dead, key=lambda each: each.voter):
        if peer.voter:
            budget -= 1
        if budget >= 0:
            _retire(world, leader, peer)


def _budget(world: World, voters: int, dead: int) -> int:
    """How many dead voters may go: up to 1.3 all of them or none, later one by one as far as it is allowed."""
    allowed = max(0, min((voters - 1) // 2, voters - int(world.autopilot["MinQuorum"])))
    return allowed if dead <= allowed or world.settings.at_least(1, 4) else 0


def _is_dead(world: World, leader: Server, peer: Peer) -> bool:
    seen = leader.gossip.get(_name_at(world, peer.address))
    return seen is None or seen.status in (MemberStatus.FAILED, MemberStatus.LEFT)


def _retire(world: World, leader: Server, peer: Peer) -> None:
    """A failed member is made to leave, which makes the leader remove it; a stale peer has no member to do that to."""
    name = _name_at(world, peer.address)
    if name in leader.gossip:
        force_leave(world, leader, serf_name(name))
    else:
        _dismiss(world, leader, [peer])


def _name_at(world: World, address: str) -> str:
    server = world.at(address)
    return server.name if server else ""
