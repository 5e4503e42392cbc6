"""What a leader does of its own accord: reconcile gossip into Raft, and autopilot's health checks and clean-up.

The rules are those of docs/servers/raft.md#reconcile, docs/servers/nomad.md#clean-up-by-version and, with the quirks of
both generations, docs/servers/nomad.md#autopilot-health.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

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
        if not (server.running and server.leads):
            continue
        if state.now >= server.health_at:
            server.health_at = state.now + HEALTH_EVERY
            server.health = _check_health(state, server)
        if _may_change(server) and state.now >= server.reconcile_at:
            server.reconcile_at = state.now + state.settings.reconcile_every
            _reconcile(state, server)
        if _may_change(server) and state.now >= server.autopilot_at:
            server.autopilot_at = state.now + AUTOPILOT_EVERY
            _promote(state, server)
            if state.autopilot["CleanupDeadServers"]:
                _remove_dead_servers(state, server)


@lru_cache(maxsize=100)
def go_seconds(text: str) -> float:
    """Seconds of a duration as Go writes it (``1.5s``, ``200ms``, ``1h2m``). Raises ValueError."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)", text)
    if not text or (text != "0" and "".join(number + unit for number, unit in parts) != text):
        raise ValueError(f'time: invalid duration "{text}"')
    return sum(float(number) * GO_SECONDS[unit] for number, unit in parts)


def failure_tolerance(rows: tuple[ServerHealth, ...]) -> int:
    """Healthy voters − (voters / 2 + 1), never below 0."""
    voters = [row for row in rows if row.voter]
    return max(0, sum(row.healthy for row in voters) - (len(voters) // 2 + 1))


def _may_change(server: SimulatedServer) -> bool:
    return server.running and server.leads and not server.change_pending


def _reconcile(state: ClusterState, leader: SimulatedServer) -> None:
    for name in sorted(leader.gossip):
        if not _may_change(leader):
            leader.reconcile_at = state.now
            return
        entry, address = leader.gossip[name], state.servers[name].address
        if entry.status is MemberStatus.ALIVE:
            _add_peer(state, leader, address, entry.uuid)
        elif entry.status is MemberStatus.LEFT:
            _remove_peers(state, leader, [peer for peer in leader.peers if peer.address == address])


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
    """Autopilot's own removal of dead servers, by the release's rule; a stale peer is dead to it too.

    Up to 1.3 all dead voters go or none, later one by one as far as it is allowed.
    """
    dead: list[tuple[Peer, str]] = []  # with the name of the member that was it, if gossip has one
    for peer in leader.peers:
        server = state.server_at(peer.address)
        entry = leader.gossip.get(server.name) if server else None
        if server is None or entry is None:
            dead.append((peer, ""))
        elif entry.status in (MemberStatus.FAILED, MemberStatus.LEFT):
            dead.append((peer, serf_name(server.name)))
    voters, dead_voters = sum(peer.voter for peer in leader.peers), sum(peer.voter for peer, _ in dead)
    allowed = max(0, min((voters - 1) // 2, voters - int(state.autopilot["MinQuorum"])))
    budget = allowed if dead_voters <= allowed or state.settings.at_least(1, 4) else 0
    for peer, member in sorted(dead, key=lambda each: each[0].voter):
        budget -= peer.voter
        if budget >= 0 and member:
            force_leave(state, leader, member)  # a left member makes the leader remove it
        elif budget >= 0:
            _remove_peers(state, leader, [peer])


def _check_health(state: ClusterState, leader: SimulatedServer) -> tuple[ServerHealth, ...]:
    """The leader's next picture, made from its last one."""
    behind = [(peer, state.server_at(peer.address)) for peer in leader.peers]
    silent = [server is not leader and not (server and state.connected(leader, server)) for _, server in behind]
    if any(silent) and not state.settings.at_least(1, 4) and state.random.random() < FLAP:
        silent[state.random.randrange(len(behind))] = True  # one deadline is shared by all the questions
    before = {row.id: row for row in leader.health or ()}
    limits = go_seconds(state.autopilot["LastContactThreshold"]), int(state.autopilot["MaxTrailingLogs"])
    return tuple(
        _health_of(state, leader, peer, server, before.get(peer.id), limits, answers=not quiet)
        for (peer, server), quiet in zip(behind, silent, strict=True)
    )


def _health_of(
    state: ClusterState,
    leader: SimulatedServer,
    peer: Peer,
    server: SimulatedServer | None,
    old: ServerHealth | None,
    limits: tuple[float, int],
    *,
    answers: bool,
) -> ServerHealth:
    """One row, by the ``limits`` of contact and of missing entries. From 1.4 on, a server that does not answer keeps
    the numbers it had.
    """
    contact, term, index = None, 0, 0
    if server is not None and answers:
        contact = 0.0 if server is leader else state.random.uniform(0.001, 0.05)
        term, index = server.last
    elif old is not None and state.settings.at_least(1, 4):
        contact, term, index = old.last_contact, old.last_term, old.last_index
    entry = leader.gossip.get(server.name) if server else None
    last_term, last_index = leader.last
    healthy = (
        contact is not None
        and entry is not None
        and entry.status is MemberStatus.ALIVE
        and contact <= limits[0]
        and term == last_term
        and index + limits[1] >= last_index
    )
    stable_since = None if contact is None else state.now
    if stable_since is not None and old is not None and old.healthy == healthy and old.stable_since is not None:
        stable_since = old.stable_since
    return ServerHealth(
        id=peer.id,
        name=server.name if server and entry else "",
        address=peer.address,
        status=entry.status if entry else MemberStatus.NONE,
        leader=server is leader,
        voter=peer.voter,
        healthy=healthy,
        last_contact=contact,
        last_term=term,
        last_index=index,
        stable_since=stable_since,
    )
