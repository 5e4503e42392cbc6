"""Raft as far as an operator can see it: leading, elections, and changes of the configuration.

What it plays is in docs/servers/raft.md, from #a-change-of-the-configuration to #removing-a-living-server.
"""

from __future__ import annotations

from dataclasses import dataclass

from runbook.lab.world import Entry, Role, Server, World
from runbook.raft.model import Configuration

LEASE = 0.5  # seconds a leader goes on believing in itself without a quorum, as Nomad comes


class NoVoterLeftError(Exception):
    """The one change the library itself refuses; the text shows what would have been left."""


@dataclass(frozen=True)
class Proposal:
    """A change that a leader appended to its log, and that is committed, lost or neither yet."""

    leader: str
    term: int
    index: int


def beat(world: World) -> None:
    """One moment of Raft: leaders send to their followers, and whoever has heard nothing for too long campaigns."""
    for server in world.servers.values():
        if not server.running:
            continue
        if server.leads:
            lead(world, server)
        elif world.now >= server.campaign_at:
            _campaign(world, server)


def lead(world: World, leader: Server) -> None:
    """Bring every peer in reach up to the leader's log, commit what a quorum holds, step down without a quorum."""
    reached = [leader]
    for other in _others(world, leader):
        if other.term > leader.term:
            step_down(world, leader, other.term)  # as when a live server was removed and added again
            return
        _follow(world, other, leader)
        reached.append(other)
    if _is_quorum(leader, reached):
        _commit(world, leader, reached)
    elif world.now - leader.heard_at >= LEASE:
        step_down(world, leader)


def step_down(world: World, server: Server, term: int | None = None) -> None:
    server.role, server.leader, server.health = Role.FOLLOWER, None, None
    server.term = max(server.term, term or 0)
    server.campaign_at = world.draw_timeout()


def propose(world: World, leader: Server, configuration: Configuration) -> Proposal:
    """Append a change; a quorum of the *new* voters commits it, often at once. Raises NoVoterLeftError."""
    if not configuration.voters:
        left = " ".join(f"{{Nonvoter {peer.id} {peer.address}}}" for peer in configuration.peers)
        need = "need" if world.settings.at_least(1, 4) else "Need"
        raise NoVoterLeftError(f"{need} at least one voter in configuration: {{[{left}]}}")
    proposal = Proposal(leader.name, leader.term, leader.last[1] + 1)
    leader.log.append(Entry(leader.term, proposal.index, configuration))
    lead(world, leader)
    return proposal


def outcome(world: World, proposal: Proposal) -> bool | None:
    """True: committed. False: the leader lost its place first, and the entry may survive or not."""
    leader = world.servers[proposal.leader]
    entry = leader.log[proposal.index - 1] if len(leader.log) >= proposal.index else None
    if entry and entry.term == proposal.term and leader.committed >= proposal.index:
        return True
    return None if leader.leads and leader.term == proposal.term else False


def _others(world: World, server: Server) -> list[Server]:
    """The other servers behind the addresses of its configuration, as far as it can reach them."""
    found = (world.at(peer.address) for peer in server.peers if peer.address != server.address)
    return [other for other in found if other and world.hear(server, other)]


def _is_quorum(server: Server, reached: list[Server]) -> bool:
    """Of the voters in its latest configuration, committed or not."""
    voters = server.configuration.voters if server.configuration else ()
    addresses = {each.address for each in reached}
    return sum(voter.address in addresses for voter in voters) >= len(voters) // 2 + 1


def _follow(world: World, follower: Server, leader: Server) -> None:
    follower.term, follower.role, follower.leader = leader.term, Role.FOLLOWER, leader.address
    follower.heard_at, follower.campaign_at = world.now, world.draw_timeout()
    if follower.log != leader.log:
        follower.log = list(leader.log)
    follower.committed = leader.committed


def _commit(world: World, leader: Server, reached: list[Server]) -> None:
    leader.heard_at = world.now
    for server in reached:
        server.committed = leader.last[1]
    if leader.raft_id not in {peer.id for peer in leader.peers}:
        step_down(world, leader)  # it was removed: the process stays up


def _campaign(world: World, server: Server) -> None:
    server.leader, server.campaign_at = None, world.draw_timeout()
    configuration = server.configuration
    if configuration is None or server.raft_id not in {peer.id for peer in configuration.voters}:
        server.role = Role.FOLLOWER
        return
    server.role = Role.CANDIDATE
    others = [other for other in _others(world, server) if other.address in {v.address for v in configuration.voters}]
    if world.settings.at_least(1, 9) and not _would_win(world, server, others):
        return  # pre-vote: the term does not grow for nothing
    server.term += 1
    server.voted = (server.term, server.name)
    granted = [server, *(other for other in others if _vote(world, other, server))]
    if _is_quorum(server, granted):
        _win(world, server)
    server.term = max([server.term, *(other.term for other in others)])


def _would_win(world: World, candidate: Server, others: list[Server]) -> bool:
    willing = [other for other in others if _grants(world, other, candidate, candidate.term + 1)]
    return _is_quorum(candidate, [candidate, *willing])


def _grants(world: World, voter: Server, candidate: Server, term: int) -> bool:
    """A server with a leader says no, and so does one whose own log is newer: hence the dead end of a late removal."""
    if world.settings.at_least(1, 4, 3) and voter.peers and candidate.raft_id not in {peer.id for peer in voter.peers}:
        return False
    if voter.leader is not None or term < voter.term:
        return False
    if voter.voted is not None and voter.voted[0] == term and voter.voted[1] != candidate.name:
        return False
    return candidate.last >= voter.last


def _vote(world: World, voter: Server, candidate: Server) -> bool:
    granted = _grants(world, voter, candidate, candidate.term)
    if voter.leader is None and candidate.term > voter.term:
        voter.term, voter.role = candidate.term, Role.FOLLOWER
    if granted:
        voter.voted, voter.campaign_at = (candidate.term, candidate.name), world.draw_timeout()
    return granted


def _win(world: World, server: Server) -> None:
    server.role, server.leader, server.heard_at = Role.LEADER, server.address, world.now
    server.log.append(Entry(server.term, server.last[1] + 1))
    server.health, server.health_at = None, world.now + 2.0
    server.reconcile_at, server.autopilot_at = world.now, world.now + 10.0
    lead(world, server)
