"""Autopilot's picture of the servers, with the quirks of both generations: docs/servers/nomad.md#autopilot-health."""

from __future__ import annotations

from runbook.lab.world import Server, ServerHealth, World
from runbook.raft.model import MemberStatus, Peer

FLAP = 7 / 30  # how often one dead server made a live one look unhealthy, up to 1.3


def refresh(world: World, leader: Server, threshold: float) -> tuple[ServerHealth, ...]:
    """The leader's next picture, made from its last one. ``threshold`` is the longest last contact, in seconds."""
    before = {row.id: row for row in leader.health or ()}
    silent = {peer.id for peer in leader.peers if not _answers(world, leader, peer)}
    if silent and not world.settings.at_least(1, 4) and world.random.random() < FLAP:
        silent.add(world.random.choice(leader.peers).id)  # one deadline is shared by all the questions
    return tuple(
        _row(world, leader, peer, before.get(peer.id), peer.id not in silent, threshold) for peer in leader.peers
    )


def failure_tolerance(rows: tuple[ServerHealth, ...]) -> int:
    """Healthy voters − (voters / 2 + 1), never below 0."""
    voters = [row for row in rows if row.voter]
    return max(0, sum(row.healthy for row in voters) - (len(voters) // 2 + 1))


def _answers(world: World, leader: Server, peer: Peer) -> bool:
    other = world.at(peer.address)
    return other is not None and (other is leader or world.hear(leader, other))


def _row(
    world: World, leader: Server, peer: Peer, before: ServerHealth | None, answered: bool, threshold: float
) -> ServerHealth:
    contact, term, index = _stats(world, leader, peer, before, answered)
    seen = next((seen for name, seen in leader.gossip.items() if world.servers[name].address == peer.address), None)
    status = seen.status if seen else MemberStatus.NONE
    healthy = (
        status is MemberStatus.ALIVE
        and contact is not None
        and contact <= threshold
        and term == leader.last[0]
        and index + int(world.autopilot["MaxTrailingLogs"]) >= leader.last[1]
    )
    server = world.at(peer.address)
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
        stable_since=_stable_since(world, before, healthy, contact),
    )


def _stats(
    world: World, leader: Server, peer: Peer, before: ServerHealth | None, answered: bool
) -> tuple[float | None, int, int]:
    """(last contact, last term, last index). From 1.4 on, a server that does not answer keeps those it had."""
    other = world.at(peer.address)
    if answered and other is not None:
        contact = 0.0 if other is leader else world.random.uniform(0.001, 0.05)
        return contact, other.last[0], other.last[1]
    if before is not None and world.settings.at_least(1, 4):
        return before.last_contact, before.last_term, before.last_index
    return None, 0, 0


def _stable_since(world: World, before: ServerHealth | None, healthy: bool, contact: float | None) -> float | None:
    if contact is None:
        return None
    if before is not None and before.healthy == healthy and before.stable_since is not None:
        return before.stable_since
    return world.now
