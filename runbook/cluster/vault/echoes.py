"""What the active server holds of the others: there is no gossip, but each standby sends it an echo every five seconds.

Autopilot shows how long ago the last one was, at most two seconds late; ``sys/ha-status`` lists who sent one within a
quarter of a minute. After an election autopilot counts from then, as if everybody had just been heard: only the list is
never a guess (docs/servers/vault.md#signs-of-life-and-death-in-vault).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from runbook.cluster.vault.replies import AutopilotPicture, EchoingServer
from runbook.dataclass import dataclass
from runbook.raft.model import ClusterView, Peer, Reach, same_place
from runbook.raft.opinions import Opinion, OpinionKind

LATELY = 10.0  # seconds since the last echo: two that should have come
GONE = 60.0  # seconds without any: more than a restart takes, and four times what the list needs to forget a server
LATE = 2.0  # seconds by which autopilot's numbers are late at most
LIFE = 15.0  # seconds for which a sample is kept: an older sign of life says little of now
SOURCE = "echoes"

Opinions = dict[str, dict[str, Opinion]]


@dataclass(frozen=True)
class EchoSample:
    """What the active server told at one moment, by the tool's own clock; each part None where it could not be read."""

    asked_at: float
    came_at: float
    picture: AutopilotPicture | None
    listed: tuple[EchoingServer, ...] | None

    def entry_of(self, peer: Peer) -> EchoingServer | None:
        """Its line in the list of those who echo."""
        return next((each for each in self.listed or () if same_place(each.place, peer.address)), None)


class EchoLog:
    """The samples of the last seconds, oldest first."""

    def __init__(self) -> None:
        self.samples: tuple[EchoSample, ...] = ()

    def add(self, sample: EchoSample) -> None:
        """Forget what is too old to say anything of now."""
        kept = (each for each in self.samples if sample.came_at - each.asked_at <= LIFE)
        self.samples = (*kept, sample)


def opinions_in(view: ClusterView, samples: Sequence[EchoSample]) -> Opinions:
    """The active server's opinions, by its id and the peers'; none where its own words could not be read.

    Who echoed a moment ago, and whose port is refused now where others accept, may have died since: that is no life.
    """
    newest, leader = samples[-1] if samples else None, view.leader
    if newest is None or newest.picture is None or newest.listed is None or leader is None:
        return {}
    if newest.picture.leader != leader.id:
        return {}
    reign = leader.id, newest.picture.term
    same = [s for s in samples if s.picture is not None and (s.picture.leader, s.picture.term) == reign]
    held = {peer.id: _opinion(peer, newest, same) for peer in _peers(view) if peer != leader}
    if Reach.ACCEPTED in view.probes.values():
        refused = [peer.id for peer in _peers(view) if view.probes.get(peer.address) is Reach.REFUSED]
        held |= {peer_id: _no_life(held[peer_id]) for peer_id in refused if peer_id in held}
    held[leader.id] = Opinion(OpinionKind.HEARD, "it is active, and its own reply came", "reply", follows=True)
    return {leader.id: held}


def _no_life(opinion: Opinion) -> Opinion:
    return replace(opinion, kind=OpinionKind.PRESENT, follows=False) if opinion.kind is OpinionKind.HEARD else opinion


def _peers(view: ClusterView) -> Sequence[Peer]:
    return view.configuration.peers if view.configuration else ()


def _opinion(peer: Peer, newest: EchoSample, same: Sequence[EchoSample]) -> Opinion:
    entry, rows = newest.entry_of(peer), newest.picture.rows if newest.picture else {}
    contact = rows[peer.id].contact if peer.id in rows else None
    age = _age_of_new_echo(peer, newest, same)
    if age is not None:
        return Opinion(OpinionKind.HEARD, f"it echoed within the last {age:.0f} s", SOURCE, age, follows=True)
    if contact is None:
        return Opinion(OpinionKind.UNSURE, "autopilot does not show when it last echoed", SOURCE)
    if entry is not None and contact <= LATELY:
        return Opinion(OpinionKind.HEARD, f"it echoed {contact:.0f} s ago", SOURCE, contact + LATE)
    if entry is not None:
        return Opinion(OpinionKind.PRESENT, "listed among those who echo", SOURCE)
    kind = OpinionKind.GONE if contact >= GONE else OpinionKind.UNSURE
    return Opinion(kind, f"no echo for {contact:.0f} s", SOURCE)


def _age_of_new_echo(peer: Peer, newest: EchoSample, same: Sequence[EchoSample]) -> float | None:
    """How old its last echo is at most, by an earlier sample of the same reign that does not show that one yet."""
    now = newest.entry_of(peer)
    if now is None or now.last_echo is None:
        return None
    for earlier in reversed(same[:-1]):
        before = earlier.entry_of(peer)
        if earlier.listed is not None and (before is None or before.last_echo != now.last_echo):
            return newest.came_at - earlier.asked_at
    return None


def unhealthy_in(picture: AutopilotPicture | None) -> frozenset[str] | None:
    """The ids that autopilot calls unhealthy; None where it was not read."""
    return None if picture is None else frozenset(each for each, row in picture.rows.items() if not row.healthy)


def published_by(listed: tuple[EchoingServer, ...] | None) -> Mapping[str, str]:
    """By API address the Raft address of the server that publishes it; a balancer's, which several do, is nobody's."""
    told = [(each.api_address, each.place) for each in listed or () if each.api_address]
    addresses = [address for address, _ in told]
    return {address: place for address, place in told if addresses.count(address) == 1}
