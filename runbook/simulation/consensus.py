"""Raft as far as an operator can see it: leading, elections, and changes of the configuration.

What it plays is in docs/servers/raft.md, from #a-change-of-the-configuration to #removing-a-living-server.
"""

from __future__ import annotations

from runbook.dataclass import dataclass
from runbook.raft.model import Configuration
from runbook.simulation.state import ClusterState, LogEntry, Role, SimulatedServer

LEASE = 0.5  # seconds a leader goes on believing in itself without a quorum, as Nomad comes


class NoVoterLeftError(Exception):
    """The one change the library itself refuses; the text shows what would have been left."""


@dataclass(frozen=True)
class Proposal:
    """A change that a leader appended to its log, and that is committed, lost or neither yet."""

    leader: str
    term: int
    index: int


def tick(state: ClusterState) -> None:
    """One moment of Raft: leaders send to their followers, and whoever has heard nothing for too long campaigns."""
    for server in state.servers.values():
        if not server.running:
            continue
        if server.leads:
            replicate(state, server)
        elif state.now >= server.campaign_at:
            _campaign(state, server)


def replicate(state: ClusterState, leader: SimulatedServer) -> None:
    """Bring every peer in reach up to the leader's log, commit what a quorum holds, step down without a quorum."""
    reached, votes, voters = [leader], 0, 0
    for peer in leader.peers:
        voters += peer.voter
        server = state.server_at(peer.address)
        if server is None or not (server is leader or state.connected(leader, server)):
            continue
        if server is not leader:
            if server.term > leader.term:
                step_down(state, leader, server.term)  # as when a live server was removed and added again
                return
            server.term, server.role, server.leader = leader.term, Role.FOLLOWER, leader.address
            server.heard_at, server.campaign_at = state.now, state.draw_election_deadline()
            if server.log != leader.log:
                server.log = list(leader.log)
            server.committed = leader.committed
            reached.append(server)
        votes += peer.voter
    if votes >= voters // 2 + 1:
        _commit(state, leader, reached)
    elif state.now - leader.heard_at >= LEASE:
        step_down(state, leader)


def step_down(state: ClusterState, server: SimulatedServer, term: int | None = None) -> None:
    server.role, server.leader, server.health = Role.FOLLOWER, None, None
    server.term = max(server.term, term or 0)
    server.campaign_at = state.draw_election_deadline()


def transfer_leadership(state: ClusterState, leader: SimulatedServer, target: SimulatedServer) -> None:
    """The leader brings the target up to date and tells it to campaign at once; it is voted for though a leader is
    known. Where it is out of reach, or wins no quorum, it does not lead afterwards.
    """
    replicate(state, leader)
    if not leader.leads or not state.connected(leader, target):
        return
    step_down(state, leader)
    for server in state.servers.values():
        if state.connected(server, target):
            server.leader = None
    _campaign(state, target)


def propose(state: ClusterState, leader: SimulatedServer, configuration: Configuration) -> Proposal:
    """Append a change; a quorum of the *new* voters commits it, often at once. Raises NoVoterLeftError."""
    if not configuration.voters:
        left = " ".join(f"{{Nonvoter {peer.id} {peer.address}}}" for peer in configuration.peers)
        need = "need" if state.settings.at_least(1, 4) else "Need"
        raise NoVoterLeftError(f"{need} at least one voter in configuration: {{[{left}]}}")
    return append(state, leader, configuration)


def append(state: ClusterState, leader: SimulatedServer, configuration: Configuration | None = None) -> Proposal:
    """One more entry of its log."""
    proposal = Proposal(leader.name, leader.term, leader.last[1] + 1)
    leader.log.append(LogEntry(leader.term, proposal.index, configuration))
    replicate(state, leader)
    return proposal


def outcome(state: ClusterState, proposal: Proposal) -> bool | None:
    """True: committed. False: the leader lost its place first, and the entry may survive or not."""
    leader = state.servers[proposal.leader]
    entry = leader.log[proposal.index - 1] if len(leader.log) >= proposal.index else None
    if entry and entry.term == proposal.term and leader.committed >= proposal.index:
        return True
    return None if leader.leads and leader.term == proposal.term else False


def _is_quorum(server: SimulatedServer, reached: list[SimulatedServer]) -> bool:
    """Of the voters in its latest configuration, committed or not."""
    voters = server.configuration.voters if server.configuration else ()
    addresses = {each.address for each in reached}
    return sum(voter.address in addresses for voter in voters) >= len(voters) // 2 + 1


def _commit(state: ClusterState, leader: SimulatedServer, reached: list[SimulatedServer]) -> None:
    leader.heard_at = state.now
    index = leader.last[1]
    for server in reached:
        server.committed = index
    if all(peer.id != leader.raft_id for peer in leader.peers):
        step_down(state, leader)  # it was removed: the process stays up


def _campaign(state: ClusterState, server: SimulatedServer) -> None:
    server.leader, server.campaign_at = None, state.draw_election_deadline()
    configuration = server.configuration
    if configuration is None or server.raft_id not in {peer.id for peer in configuration.voters}:
        server.role = Role.FOLLOWER
        return
    server.role = Role.CANDIDATE
    found = (state.server_at(voter.address) for voter in configuration.voters if voter.address != server.address)
    others = [other for other in found if other and state.connected(server, other)]
    if state.settings.at_least(1, 9):
        willing = [other for other in others if _grants(state, other, server, server.term + 1)]
        if not _is_quorum(server, [server, *willing]):
            return  # pre-vote: the term does not grow for nothing
    server.term += 1
    server.voted = (server.term, server.name)
    granted = [server, *(other for other in others if _vote(state, other, server))]
    if _is_quorum(server, granted):
        server.role, server.leader, server.heard_at = Role.LEADER, server.address, state.now
        server.log.append(LogEntry(server.term, server.last[1] + 1))
        server.health, server.health_at = None, state.now + 2.0
        server.reconcile_at, server.autopilot_at = state.now, state.now + 10.0
        replicate(state, server)
    server.term = max([server.term, *(other.term for other in others)])


def _grants(state: ClusterState, voter: SimulatedServer, candidate: SimulatedServer, term: int) -> bool:
    """A server with a leader says no, and so does one whose own log is newer: hence the dead end of a late removal."""
    if state.settings.at_least(1, 4, 3) and voter.peers and candidate.raft_id not in {peer.id for peer in voter.peers}:
        return False
    if voter.leader is not None or term < voter.term:
        return False
    if voter.voted is not None and voter.voted[0] == term and voter.voted[1] != candidate.name:
        return False
    return candidate.last >= voter.last


def _vote(state: ClusterState, voter: SimulatedServer, candidate: SimulatedServer) -> bool:
    granted = _grants(state, voter, candidate, candidate.term)
    if voter.leader is None and candidate.term > voter.term:
        voter.term, voter.role = candidate.term, Role.FOLLOWER
    if granted:
        voter.voted, voter.campaign_at = (candidate.term, candidate.name), state.draw_election_deadline()
    return granted
