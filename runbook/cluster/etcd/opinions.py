"""What each etcd member holds of the others: whether its streams to them are up. There is no gossip.

A stream to a frozen member stays up for up to eight seconds, and one that broke does not tell a frozen member from a
dead one: docs/servers/etcd.md#every-member-is-a-vantage.
"""

from __future__ import annotations

from collections.abc import Mapping

from runbook.raft.model import ClusterView, Peer, Reach, Vantage
from runbook.raft.opinions import Opinion, OpinionKind

HEARD_AFTER = 10.0  # seconds between two samples that show a stream up: longer than a frozen member's stays so
STREAM_DELAY = 8.0  # seconds for which the stream to a frozen member is still up
SOURCE = "streams"

Streams = Mapping[str, bool]  # whether the streams to a member are up, by its id
Opinions = dict[str, dict[str, Opinion]]


class StreamLog:
    """Since when each member has shown its streams to each other one as up, sample by sample."""

    def __init__(self) -> None:
        self._up_since: dict[tuple[str, str], float] = {}
        self.newest: dict[str, Streams] = {}

    def add(self, now: float, sample: Mapping[str | None, Streams | None]) -> None:
        """One look's sample, by the id of the member that showed it; what one member did not show is forgotten."""
        self.newest = {by: streams for by, streams in sample.items() if by is not None and streams is not None}
        self._up_since = {
            (by, peer): self._up_since.get((by, peer), now)
            for by, streams in self.newest.items()
            for peer, is_up in streams.items()
            if is_up
        }

    def up_for(self, by: str, peer: str, now: float) -> float:
        """For how many seconds the streams of one member to another were up in every sample."""
        return now - self._up_since.get((by, peer), now)


def opinions_in(view: ClusterView, log: StreamLog, now: float, door: Vantage | None) -> Opinions:
    """Every opinion of a member whose streams were read, by its id and the peer's.

    Where the leader's own could not be read, those of the ``door``, the member through which it answered, stand for
    them, and only of a member whose port is refused: streams that broke between two members may be a cut between them.
    """
    peers = view.best_configuration.peers if view.best_configuration else ()
    held = {by: {p.id: _opinion(p, by, log, now, view) for p in peers if p.id != by} for by in log.newest}
    leader = view.leader
    if leader is not None and leader.id not in held and door is not None and door.server_id in held:
        mine = held[door.server_id]
        held[leader.id] = {p.id: _through(view, p, mine, door) for p in peers if p.id != leader.id}
    if leader is not None and leader.id in held:
        words = "it leads, and a linearizable read was answered"
        held[leader.id][leader.id] = Opinion(OpinionKind.HEARD, words, "read", follows=True)
    return {by: opinions for by, opinions in held.items() if opinions}


def _opinion(peer: Peer, by: str, log: StreamLog, now: float, view: ClusterView) -> Opinion:
    is_up = log.newest[by].get(peer.id)
    if is_up is None:
        return Opinion(OpinionKind.UNSURE, "it shows no streams to it", SOURCE)
    if not is_up:
        return Opinion(OpinionKind.GONE, "broken", SOURCE)
    if log.up_for(by, peer.id, now) < HEARD_AFTER:
        return Opinion(OpinionKind.PRESENT, "up", SOURCE)
    words = f"its streams to it were up in every look of {log.up_for(by, peer.id, now):.0f} s"
    return Opinion(OpinionKind.HEARD, words, SOURCE, STREAM_DELAY, follows=by == view.leader_id)


def _through(view: ClusterView, peer: Peer, held: Mapping[str, Opinion], door: Vantage) -> Opinion:
    """What the door's opinion is worth as the leader's. Of itself it has just answered, which is more than a stream."""
    if peer.id == door.server_id:
        return Opinion(OpinionKind.HEARD, "the leader answered through it", "read", follows=True)
    seen = held[peer.id]
    if seen.says_gone and view.probes.get(peer.address) is not Reach.REFUSED:
        words = f"the streams of {door.label} to it are broken, and those of the leader cannot be read"
        return Opinion(OpinionKind.UNSURE, words, SOURCE)
    return seen
