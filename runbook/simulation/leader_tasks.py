"""What a leader does of its own accord: reconcile gossip into Raft, and autopilot's health checks and clean-up.

The rules are those of docs/servers/raft.md#reconcile, docs/servers/nomad.md#clean-up-by-version and, with the quirks of
both generations, docs/servers/nomad.md#autopilot-health.
"""

from __future__ import annotations

import re
from dataclasses import replace

from runbook.raft.model import Configuration, MemberStatus, Peer
from runbook.simulation.consensus import propose
from runbook.simulation.gossip import force_leave, serf_name
from runbook.simulation.state import ClusterState, ServerHealth, SimulatedServer

AUTOPILOT_EVERY = 10.0
HEALTH_EVERY = 2.0
FLAP = 7 / 30  # how often one dead server made a live one look unhealthy, up to 1.3
GO_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def tick(state: ClusterState) -> None:
    """Do what has fallen due on every server that leads; one that waits for a commit takes no further change."""
    for server in state.servers.values():
        if server.running and server.leads and state.now >= server.health_at:
            server.health_at = state.now + HEALTH_EVERY
            server.health = _check_health(state, server, go_seconds(state.autopilot["LastContactThreshold"]))
        if _may_change(server) and state.now >= server.reconcile_at:
            server.reconcile_at = state.now + state.settings.reconcile_every
            _reconcile(state, server)
        if _may_change(server) and state.now >= server.autopilot_at:
            server.autopilot_at = state.now + AUTOPILOT_EVERY
            _promote(state, server)
            if state.autopilot["CleanupDeadServers"]:
                _remove_dead_servers(state, server)


def go_seconds(text: str) -> float:
    """Seconds of a duration as Go writes it (``1.5s``, ``200ms``, ``1h2m``). Raises ValueError."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)", text)
    if not text or (text != "0" and "".join(number + unit for number, unit in parts) != text):
        raise ValueError(f'time: invalid duration "{text}"')
    return sum(float(number) * GO_SECONDS[unit] for number, unit in parts)


def _may_change(server: SimulatedServer) -> bool:
    return server.running and server.leads and not server.change_pending


def _reconcile(state: ClusterState, leader: SimulatedServer) -> None:
    for name in sorted(leader.gossip):
        if not _may_change(leader):
            leader.reconcile_at = state.now
            return
        seen = leader.gossip[name]
        if seen.status is MemberStatus.ALIVE:
            _add_peer(state, leader, state.servers[name].address, seen.uuid)
        elif seen.status is MemberStatus.LEFT:
            _remove_peers(state, leader, [peer for peer in leader.peers if peer.address == state.servers[name].address])


def _add_peer(state: ClusterState, leader: SimulatedServer, address: str, uuid: str) -> None:
    """Nomad's addRaftPeer: an old entry with the same id or address goes first; protocol 3 adds a non-voter."""
    modern = state.settings.raft_protocol == 3
    newcomer = Peer(uuid if modern else address, address, voter=not modern)
    if any(peer.id == newcomer.id and peer.address == address for peer in leader.peers):
        return
    _remove_peers(state, leader, [peer for peer in leader.peers if peer.id == newcomer.id or peer.address == address])
    if _may_change(leader):
        propose(state, leader, Configuration((*leader.peers, newcomer)))
    else:
        leader.reconcile_at = state.now


def _remove_peers(state: ClusterState, leader: SimulatedServer, peers: list[Peer]) -> None:
    for peer in peers:
        rest = Configuration(leader.peers).without(peer.id)
        if _may_change(leader) and rest.voters and peer.id != leader.raft_id:
            propose(state, leader, rest)


def _promote(state: ClusterState, leader: SimulatedServer) -> None:
    stable = go_seconds(state.autopilot["ServerStabilizationTime"])
    ready = {
        row.id
        for row in leader.health or ()
        if row.healthy and row.stable_since is not None and state.now - row.stable_since >= stable
    }
    for peer in leader.peers:
        if not peer.voter and peer.id in ready and _may_change(leader):
            others = [each for each in leader.peers if each.id != peer.id]
            propose(state, leader, Configuration((*others, replace(peer, voter=True))))


def _remove_dead_servers(state: ClusterState, leader: SimulatedServer) -> None:
    """Autopilot's own removal of dead servers, by the release's rule; a stale peer is dead to it too."""
    dead = [peer for peer in leader.peers if _is_dead(state, leader, peer)]
    voters = len(Configuration(leader.peers).voters)
    budget = _budget(state, voters, sum(peer.voter for peer in dead))
    for peer in sorted(dead, key=lambda each: each.voter):
        if peer.voter:
            budget -= 1
        if budget >= 0:
            _remove_dead_peer(state, leader, peer)


def _budget(state: ClusterState, voters: int, dead: int) -> int:
    """How many dead voters may go: up to 1.3 all of them or none, later one by one as far as it is allowed."""
    allowed = max(0, min((voters - 1) // 2, voters - int(state.autopilot["MinQuorum"])))
    return allowed if dead <= allowed or state.settings.at_least(1, 4) else 0


def _is_dead(state: ClusterState, leader: SimulatedServer, peer: Peer) -> bool:
    seen = leader.gossip.get(_name_at(state, peer.address))
    return seen is None or seen.status in (MemberStatus.FAILED, MemberStatus.LEFT)


def _remove_dead_peer(state: ClusterState, leader: SimulatedServer, peer: Peer) -> None:
    """A failed member is made to leave, which makes the leader remove it; a stale peer has no member to do that to."""
    name = _name_at(state, peer.address)
    if name in leader.gossip:
        force_leave(state, leader, serf_name(name))
    else:
        _remove_peers(state, leader, [peer])


def _name_at(state: ClusterState, address: str) -> str:
    server = state.server_at(address)
    return server.name if server else ""


def _check_health(state: ClusterState, leader: SimulatedServer, threshold: float) -> tuple[ServerHealth, ...]:
    """The leader's next picture, made from its last one. ``threshold`` is the longest last contact, in seconds."""
    before = {row.id: row for row in leader.health or ()}
    silent = {peer.id for peer in leader.peers if not _answers(state, leader, peer)}
    if silent and not state.settings.at_least(1, 4) and state.random.random() < FLAP:
        silent.add(state.random.choice(leader.peers).id)  # one deadline is shared by all the questions
    return tuple(
        _row(state, leader, peer, before.get(peer.id), peer.id not in silent, threshold) for peer in leader.peers
    )


def failure_tolerance(rows: tuple[ServerHealth, ...]) -> int:
    """Healthy voters − (voters / 2 + 1), never below 0."""
    voters = [row for row in rows if row.voter]
    return max(0, sum(row.healthy for row in voters) - (len(voters) // 2 + 1))


def _answers(state: ClusterState, leader: SimulatedServer, peer: Peer) -> bool:
    other = state.server_at(peer.address)
    return other is not None and (other is leader or state.connected(leader, other))


def _row(
    state: ClusterState,
    leader: SimulatedServer,
    peer: Peer,
    before: ServerHealth | None,
    answered: bool,
    threshold: float,
) -> ServerHealth:
    contact, term, index = _stats(state, leader, peer, before, answered)
    seen = next((seen for name, seen in leader.gossip.items() if state.servers[name].address == peer.address), None)
    status = seen.status if seen else MemberStatus.NONE
    healthy = (
        status is MemberStatus.ALIVE
        and contact is not None
        and contact <= threshold
        and term == leader.last[0]
        and index + int(state.autopilot["MaxTrailingLogs"]) >= leader.last[1]
    )
    server = state.server_at(peer.address)
    return ServerHealth(
        id=peer.id,
        name=server.name if server and seen else "",
        address=peer.address,
        status=status,
        leader=peer.address == leader.address,
        voter=peer.voter,
        healthy=healthy,
        last_contact=contact,
        last_term=term,
        last_index=index,
        stable_since=_stable_since(state, before, healthy, contact),
    )


def _stats(
    state: ClusterState, leader: SimulatedServer, peer: Peer, before: ServerHealth | None, answered: bool
) -> tuple[float | None, int, int]:
    """(last contact, last term, last index). From 1.4 on, a server that does not answer keeps those it had."""
    other = state.server_at(peer.address)
    if answered and other is not None:
        contact = 0.0 if other is leader else state.random.uniform(0.001, 0.05)
        return contact, other.last[0], other.last[1]
    if before is not None and state.settings.at_least(1, 4):
        return before.last_contact, before.last_term, before.last_index
    return None, 0, 0


def _stable_since(
    state: ClusterState, before: ServerHealth | None, healthy: bool, contact: float | None
) -> float | None:
    if contact is None:
        return None
    if before is not None and before.healthy == healthy and before.stable_since is not None:
        return before.stable_since
    return state.now
