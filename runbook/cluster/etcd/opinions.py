"""What each etcd member holds of the others: whether its streams to them are up, and bytes come by them. There is no
gossip.

The leader's streams are its pulse: each follower answers it ten times a second. Streams alone tell less: to a frozen
member they stay up for eight seconds, in 3.6 for a minute and more, and ones that broke do not tell a frozen member
from a dead one: docs/servers/etcd.md#every-member-is-a-vantage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runbook.cluster.etcd.replies import PeerStreams
from runbook.decode import ODD
from runbook.raft.model import ClusterView, Peer, Reach, Vantage
from runbook.raft.opinions import Opinion, OpinionKind

HEARD_AFTER = 10.0  # seconds between two samples that show a stream up: longer than a frozen member's of 3.4 stays so
BEAT = 1.0  # seconds at least between two samples of the bytes that came: ten heartbeats, as they are set by default
MEMORY = 900.0  # seconds for which a check compares with the numbers of the one before it
MOST_PAIRS = 10_000
STREAM_DELAY = 8.0  # seconds for which the stream to a frozen member is still up
SOURCE = "streams"

Streams = Mapping[str, PeerStreams]  # by the member's id
Opinions = dict[str, dict[str, Opinion]]


class StreamLog:
    """Since when each member has shown its streams to each other one as up, sample by sample."""

    def __init__(self) -> None:
        self._up_since: dict[tuple[str, str], float] = {}
        self._came: dict[tuple[str, str], tuple[float, float]] = {}  # when, and how many bytes by then
        self._heard: dict[tuple[str, str], float | None] = {}  # since when bytes came, by the newest two samples
        self.newest: dict[str, Streams] = {}

    def add(self, now: float, sample: Mapping[str | None, Streams | None]) -> None:
        """One look's sample, by the id of the member that showed it; what one member did not show is forgotten."""
        self.newest = {by: streams for by, streams in sample.items() if by is not None and streams is not None}
        self._up_since = {
            (by, peer): self._up_since.get((by, peer), now)
            for by, streams in self.newest.items()
            for peer, seen in streams.items()
            if seen.up
        }
        for by, streams in self.newest.items():
            for peer, seen in streams.items():
                self._compare((by, peer), now, seen.received)

    def _compare(self, pair: tuple[str, str], now: float, received: float | None) -> None:
        at, before = self._came.get(pair, (now, received))
        if received is None or before is None:
            self._came.pop(pair, None)
            self._heard.pop(pair, None)
        elif received < before:  # it was started anew and counts from the beginning: that says nothing
            self._came[pair] = (now, received)
            self._heard.pop(pair, None)
        elif pair not in self._came or now - at >= BEAT:
            if pair in self._came:
                self._heard[pair] = at if received > before else None
            self._came[pair] = (now, received)

    def record(self) -> Any:
        """How many bytes had come, for a later process to compare with."""
        return [[by, peer, at, received] for (by, peer), (at, received) in self._came.items()]

    def resume(self, record: Any, now: float) -> None:
        """Begin with the numbers of an earlier process; with none where it is something else, or of another hour."""
        try:
            told = {(str(by), str(peer)): (float(at), float(came)) for by, peer, at, came in record[:MOST_PAIRS]}
        except ODD:
            return
        self._came = {pair: come for pair, come in told.items() if 0 <= now - come[0] <= MEMORY}

    def counts(self, by: str, peer: str) -> bool:
        """Whether the member tells how many bytes came from the other."""
        return (by, peer) in self._came

    def is_compared(self, by: str, peer: str) -> bool:
        """Whether there are two samples of it that are far enough apart."""
        return (by, peer) in self._heard

    def heard_since(self, by: str, peer: str) -> float | None:
        """From when on bytes came, by the newest two such samples; None where none came."""
        return self._heard.get((by, peer))

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
    if leader is not None and leader.id in held:
        held = {by: own if by == leader.id else _without_proof(own) for by, own in held.items()}
    if leader is not None and leader.id not in held and door is not None and door.server_id in held:
        mine = held[door.server_id]
        held[leader.id] = {p.id: _through(view, p, mine, door) for p in peers if p.id != leader.id}
    if leader is not None and leader.id in held:
        words = "it leads, and a linearizable read was answered"
        held[leader.id][leader.id] = Opinion(OpinionKind.HEARD, words, "read", follows=True)
    return {by: opinions for by, opinions in held.items() if opinions}


def _opinion(peer: Peer, by: str, log: StreamLog, now: float, view: ClusterView) -> Opinion:
    seen = log.newest[by].get(peer.id)
    if seen is None:
        return Opinion(OpinionKind.UNSURE, "it shows no streams to it", SOURCE)
    if not seen.up:
        return Opinion(OpinionKind.GONE, "broken", SOURCE)
    if by == view.leader_id and log.counts(by, peer.id):
        return _pulse(log, by, peer, now)
    if log.up_for(by, peer.id, now) < HEARD_AFTER:
        return Opinion(OpinionKind.PRESENT, "up", SOURCE)
    words = f"its streams to it were up in every look of {log.up_for(by, peer.id, now):.0f} s"
    return Opinion(OpinionKind.HEARD, words, SOURCE, STREAM_DELAY, follows=by == view.leader_id)


def _pulse(log: StreamLog, by: str, peer: Peer, now: float) -> Opinion:
    """Of the leader, which each follower answers ten times a second."""
    if not log.is_compared(by, peer.id):
        return Opinion(OpinionKind.PRESENT, "up", SOURCE)
    since = log.heard_since(by, peer.id)
    if since is None:
        return Opinion(OpinionKind.UNSURE, "up, and no bytes come by them", SOURCE)
    words = f"bytes came by its streams to it in the last {now - since:.0f} s"
    return Opinion(OpinionKind.HEARD, words, SOURCE, now - since, follows=True)


def _without_proof(held: Mapping[str, Opinion]) -> dict[str, Opinion]:
    """What a follower holds where the leader's own word is known: streams that are up may lead to a frozen member."""
    return {
        peer: Opinion(OpinionKind.PRESENT, "up", SOURCE) if opinion.kind is OpinionKind.HEARD else opinion
        for peer, opinion in held.items()
    }


def _through(view: ClusterView, peer: Peer, held: Mapping[str, Opinion], door: Vantage) -> Opinion:
    """What the door's opinion is worth as the leader's. Of itself it has just answered, which is more than a stream."""
    if peer.id == door.server_id:
        return Opinion(OpinionKind.HEARD, "the leader answered through it", "read", follows=True)
    seen = held[peer.id]
    if seen.says_gone and view.probes.get(peer.address) is not Reach.REFUSED:
        words = f"the streams of {door.label} to it are broken, and those of the leader cannot be read"
        return Opinion(OpinionKind.UNSURE, words, SOURCE)
    return seen
