"""What is written down wrongly: configurations that differ, one identity twice, and servers that gossip knows alone."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.raft.findings import Certainty, Finding, Severity, count, named, server_of
from runbook.raft.model import Configuration, Member, MemberStatus, Peer
from runbook.raft.scene import Phase, Scene
from runbook.raft.sightings import Appearance

RECONCILE = "the leader compares gossip with its configuration every 60 s"


def record_findings(scene: Scene) -> Iterator[Finding]:
    """What holds for the lists themselves: configurations and gossip."""
    yield from _addresses_twice(scene)
    yield from _divergence(scene)
    yield from _identities_twice(scene)
    yield from _zombies(scene)
    yield from _even(scene)


def _divergence(scene: Scene) -> Iterator[Finding]:
    """A server that is behind for a moment, or a change that never got committed and bars elections."""
    best = scene.configuration
    others = [v for v in scene.insiders if v.configuration and v.configuration.fingerprint != best.fingerprint]
    if not others:
        return
    lost = scene.phase is not Phase.LED
    whose = "the leader's" if not lost else "that of the newest log"
    yield Finding(
        "ConfigurationDivergence",
        Severity.CRITICAL if lost else Severity.WARNING,
        Certainty.CERTAIN,
        f"{count(len(others), 'server')} that answers holds another configuration than {whose}"
        if len(others) == 1
        else f"{len(others)} servers that answer hold another configuration than {whose}",
        tuple(f"{v.name or v.url}: {_difference(v.configuration, best)}" for v in others),  # type: ignore[arg-type]
        "An unfinished change may bar every election. Start the servers that are missing; send no further removal"
        if lost
        else "Look again in ten seconds. If it stays, a change was not committed: make no other",
        tuple(server_of(v) for v in others),
    )


def _difference(held: Configuration, best: Configuration) -> str:
    """``also lists s3.global, lacks s4.global``."""
    also = [p for p in held.peers if best.peer(p.id) is None]
    lacks = [p for p in best.peers if held.peer(p.id) is None]
    other = [p for p in held.peers if (b := best.peer(p.id)) and (b.address, b.voter) != (p.address, p.voter)]
    same = {p.label for p in also} & {p.label for p in lacks}
    words = [("also lists", also), ("lacks", lacks), ("has another address or vote for", other)]
    told = [f"{verb} {named(peers)}" for verb, peers in words if peers]
    return ", ".join(told) + (f" ({', '.join(sorted(same))} under another id)" if same else "")


def _addresses_twice(scene: Scene) -> Iterator[Finding]:
    held = [scene.configuration, *(v.configuration for v in scene.insiders if v.configuration)]
    peers = {(p.id, p.address): p for configuration in held for p in configuration.peers}
    twins = [p for p in peers.values() if sum(q.address == p.address for q in peers.values()) > 1]
    moved = [p for p in peers.values() if sum(q.id == p.id for q in peers.values()) > 1]
    if twins or moved:
        evidence = [f"{p.address} is listed for id {p.id}" for p in twins]
        evidence += [f"id {p.id} is listed at {p.address}" for p in moved]
        yield Finding(
            "DuplicateAddress",
            Severity.WARNING,
            Certainty.CERTAIN,
            "one address is listed for two servers" if twins else "one server is listed at two addresses",
            tuple(sorted(evidence)),
            f"Wait: {RECONCILE} and settles it. Nothing is removed meanwhile",
            tuple(server_of(p) for p in (*twins, *moved)),
        )


def _identities_twice(scene: Scene) -> Iterator[Finding]:
    """The same server under a new id (its data were wiped), or two servers with one id (a cloned machine)."""
    replaced = [(p, m) for p in scene.configuration.peers for m in [_usurper(scene, p)] if m is not None]
    if replaced:
        yield Finding(
            "DuplicateName",
            Severity.WARNING,
            Certainty.LIKELY,
            f"{named([p for p, _ in replaced])} came back under a new id",
            tuple(f"{p.address} was {p.id} and is now {m.id} ({m.name})" for p, m in replaced),
            f"Wait: {RECONCILE} and replaces the old id. If it lingers for minutes, remove the old id by hand",
            tuple(server_of(m) for _, m in replaced),
        )
    clones = _clones(scene)
    if clones:
        yield Finding(
            "DuplicateName",
            Severity.CRITICAL,
            Certainty.CERTAIN,
            "two members of gossip carry one id: a machine was cloned with its data",
            tuple(f"{m.name} at {m.raft_address} carries id {m.id}" for m in clones),
            "Stop one of the two and give it a data directory of its own. Nothing is removed meanwhile",
            tuple(server_of(m) for m in clones),
        )


def _members(scene: Scene) -> dict[tuple[str, str | None, str], Member]:
    """Every member that some insider's gossip holds; alive where anybody says so."""
    found: dict[tuple[str, str | None, str], Member] = {}
    for vantage in scene.insiders:
        for member in vantage.members or ():
            key = (member.name, member.id, member.raft_address)
            if key not in found or member.status is MemberStatus.ALIVE:
                found[key] = member
    return found


def _usurper(scene: Scene, peer: Peer) -> Member | None:
    """Who lives at this peer's address under another id."""
    if peer.id == peer.address or scene.view.vantage_of(peer) is not None:
        return None
    others = (m for m in _members(scene).values() if m.raft_address == peer.address and m.id not in (None, peer.id))
    return next((m for m in others if m.status is MemberStatus.ALIVE), None)


def _clones(scene: Scene) -> list[Member]:
    """Within one server's gossip only: two servers may know a restarted one by an old and a new name."""
    for vantage in scene.insiders:
        members = vantage.members or ()
        twice = [m for m in members if m.id is not None and sum(n.id == m.id for n in members) > 1]
        if twice:
            return twice
    return []


def _zombies(scene: Scene) -> Iterator[Finding]:
    """Alive in gossip and out of the configuration, or back in it as a non-voter after one of our runs removed it."""
    if scene.phase is not Phase.LED:  # then nobody adds a server, and nobody knows for sure who is listed
        return
    for member in _members(scene).values():
        certainty = _zombie(scene, member)
        if certainty is not None:
            yield _comes_back(scene, server_id=member.id or member.raft_address, member=member, certainty=certainty)
    for sighting in scene.sightings:
        if sighting.peer.id in scene.removed and not sighting.peer.voter:
            yield _is_back(sighting.peer, sighting.appearance)


def _zombie(scene: Scene, member: Member) -> Certainty | None:
    """Nothing for a newcomer, whose own configuration does not list it: the leader is about to add it."""
    listed = {word for peer in scene.configuration.peers for word in (peer.id, peer.address)}
    if member.status is not MemberStatus.ALIVE or {member.id, member.raft_address} & listed:
        return None
    if member.id in scene.removed:
        return Certainty.CERTAIN
    own = next((v for v in scene.view.answering if v.server_id == member.id and member.id), None)
    if own is None or own.configuration is None:
        return Certainty.POSSIBLE
    return Certainty.LIKELY if own.configuration.peer(str(member.id)) else None


def _comes_back(scene: Scene, server_id: str, member: Member, certainty: Certainty) -> Finding:
    own = next((v for v in scene.view.answering if v.server_id == server_id), None)
    evidence = [f"gossip calls {member.name} alive, and the configuration does not list {server_id}"]
    if own is not None:
        evidence.append(f"its own HTTP API answers at {own.url}: {own.state or 'of unknown state'}, term {own.term}")
    if server_id in scene.removed:
        evidence.append("an earlier run removed it")
    return Finding(
        "ZombiePeer",
        Severity.WARNING,
        certainty,
        f"{member.name} is out of the configuration and alive in gossip: the leader will add it back",
        tuple(evidence),
        f"Stop its process if it is to stay out ({RECONCILE}); if it is to come back, wait until it is a voter",
        (server_of(member),),
    )


def _is_back(peer: Peer, appearance: Appearance) -> Finding:
    return Finding(
        "ZombiePeer",
        Severity.WARNING,
        Certainty.CERTAIN,
        f"{peer.label} was removed by an earlier run, and the leader has added it back as a non-voter",
        (f"it is listed as {peer.id}, and {appearance.value}",),
        "Stop its process if it is to stay out, and run the playbook again; if it is to come back, wait for its vote",
        (server_of(peer),),
    )


def _even(scene: Scene) -> Iterator[Finding]:
    voters = len(scene.voters)
    newcomers = [s for s in scene.sightings if s.answers and not s.peer.voter]
    if scene.phase is Phase.LED and voters % 2 == 0 and not newcomers:
        yield Finding(
            "EvenVoters",
            Severity.NOTICE,
            Certainty.CERTAIN,
            f"{voters} voters tolerate {(voters - 1) // 2}, no more than {voters - 1} would",
            (f"quorum of {voters} is {scene.needed}",),
            "Add one voter, or leave one out, when there is time",
        )
