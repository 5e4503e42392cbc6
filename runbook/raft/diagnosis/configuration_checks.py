"""Checks of the Raft configuration: copies that differ, duplicate ids and addresses, servers only gossip knows."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.raft.diagnosis.context import DiagnosisContext, Phase
from runbook.raft.diagnosis.findings import Certainty, Finding, Severity, format_count, format_names, server_of
from runbook.raft.diagnosis.observations import Appearance
from runbook.raft.model import Configuration, Member, MemberStatus, Peer, Vantage

RECONCILE = "the leader reconciles its configuration with gossip every 60 s"
NOTHING_REMOVED = "runbook removes nothing meanwhile"


def configuration_findings(context: DiagnosisContext) -> Iterator[Finding]:
    """Everything that is wrong with the configurations that the servers hold, and where gossip differs from them."""
    yield from _duplicate_addresses(context)
    yield from _configuration_divergence(context)
    yield from _duplicate_ids(context)
    yield from _zombie_peers(context)
    yield from _even_voters(context)


def _configuration_divergence(context: DiagnosisContext) -> Iterator[Finding]:
    """A server that is behind for a moment, or a change that never got committed and bars elections."""
    best = context.configuration
    others = [v for v in context.listed_vantages if v.configuration and v.configuration.fingerprint != best.fingerprint]
    if not others:
        return
    lost = context.phase is not Phase.HAS_LEADER
    whose = "the server with the newest log" if lost else "the leader"
    yield Finding(
        "ConfigurationDivergence",
        Severity.CRITICAL if lost else Severity.WARNING,
        Certainty.CERTAIN,
        f"{format_count(len(others), 'server')} {'holds' if len(others) == 1 else 'hold'} "
        f"a different Raft configuration than {whose}",
        tuple(f"{v.label}: {_difference(v.configuration, best)}" for v in others),  # type: ignore[arg-type]
        "An uncommitted change may block every election. Start the missing servers; send no further removal"
        if lost
        else "Run runbook diagnose again in 10 s. If they still differ, a change is not committed: make no other",
        tuple(server_of(v) for v in others),
    )


def _difference(held: Configuration, best: Configuration) -> str:
    """``also lists s3.global, lacks s4.global``."""
    also = [p for p in held.peers if best.peer(p.id) is None]
    lacks = [p for p in best.peers if held.peer(p.id) is None]
    other = [p for p in held.peers if (b := best.peer(p.id)) and (b.address, b.voter) != (p.address, p.voter)]
    same = {p.label for p in also} & {p.label for p in lacks}
    words = [("also lists", also), ("lacks", lacks), ("has a different address or vote for", other)]
    differences = [f"{verb} {format_names(peers)}" for verb, peers in words if peers]
    return ", ".join(differences) + (f" ({', '.join(sorted(same))} under another id)" if same else "")


def _duplicate_addresses(context: DiagnosisContext) -> Iterator[Finding]:
    held = [context.configuration, *(v.configuration for v in context.listed_vantages if v.configuration)]
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
            f"Wait: {RECONCILE}. {NOTHING_REMOVED}",
            tuple(server_of(p) for p in (*twins, *moved)),
        )


def _duplicate_ids(context: DiagnosisContext) -> Iterator[Finding]:
    """The same server under a new id (its data were wiped), or two servers with one id (a cloned machine)."""
    replaced = [(p, m) for p in context.configuration.peers for m in [_replacement(context, p)] if m is not None]
    if replaced:
        yield Finding(
            "DuplicateName",
            Severity.WARNING,
            Certainty.LIKELY,
            f"{format_names([p for p, _ in replaced])} came back with a new id",
            tuple(f"{p.address} was {p.id} and is now {m.id} ({m.name})" for p, m in replaced),
            f"Wait: {RECONCILE}. If the old id is still listed after some minutes, remove it by hand",
            tuple(server_of(m) for _, m in replaced),
        )
    clones = _members_with_one_id(context)
    if clones:
        living = sum(member.status not in (MemberStatus.FAILED, MemberStatus.LEFT) for member in clones) > 1
        then = "Stop one of the two and start it with a new, empty data directory. runbook removes neither meanwhile"
        was = "Nothing, if the server was renamed. If its machine was cloned, keep the clone from starting again"
        yield Finding(
            "DuplicateName",
            Severity.CRITICAL if living else Severity.NOTICE,
            Certainty.CERTAIN if living else Certainty.POSSIBLE,
            "two gossip members have the same id: a machine was cloned with its data directory"
            if living
            else "two gossip members have the same id, and one has gone: a server was renamed, or a clone was stopped",
            tuple(f"{m.name} at {m.raft_address} has id {m.id}, and is {m.status.value}" for m in clones),
            then if living else was,
            tuple(server_of(m) for m in clones),
        )


def _members(context: DiagnosisContext) -> dict[tuple[str, str | None, str], Member]:
    """Every member in the gossip of a listed server; alive where any of them says so."""
    found: dict[tuple[str, str | None, str], Member] = {}
    for vantage in context.listed_vantages:
        for member in vantage.members or ():
            key = (member.name, member.id, member.raft_address)
            if key not in found or member.status is MemberStatus.ALIVE:
                found[key] = member
    return found


def _replacement(context: DiagnosisContext, peer: Peer) -> Member | None:
    """The gossip member that is alive at this peer's address under another id."""
    if peer.id == peer.address or context.view.vantage_of(peer) is not None:
        return None
    others = (m for m in _members(context).values() if m.raft_address == peer.address and m.id not in (None, peer.id))
    return next((m for m in others if m.status is MemberStatus.ALIVE), None)


def _members_with_one_id(context: DiagnosisContext) -> list[Member]:
    """Within one server's gossip only: two servers may know a restarted one by an old and a new name."""
    for vantage in context.listed_vantages:
        members = vantage.members or ()
        twice = [m for m in members if m.id is not None and sum(n.id == m.id for n in members) > 1]
        if twice:
            return twice
    return []


def _zombie_peers(context: DiagnosisContext) -> Iterator[Finding]:
    """Alive in gossip and out of the configuration, or back in it as a non-voter after one of our runs removed it."""
    if context.phase is not Phase.HAS_LEADER:  # then nobody adds a server, and nobody knows for sure who is listed
        return
    for member in _members(context).values():
        certainty = _zombie_certainty(context, member)
        if certainty is not None:
            yield _will_be_added_back(
                context, server_id=member.id or member.raft_address, member=member, certainty=certainty
            )
    yield from (_goes_on_answering(vantage) for vantage in context.view.vantages if vantage.state == "Removed")
    for observation in context.observations:
        came_back = observation.peer.id in context.removed and not observation.peer.voter
        if came_back and not context.view.removal_is_final:  # else a person has let it join anew
            yield _was_added_back(observation.peer, observation.appearance)


def _zombie_certainty(context: DiagnosisContext, member: Member) -> Certainty | None:
    """Nothing for a newcomer, whose own configuration does not list it: the leader is about to add it."""
    listed = {word for peer in context.configuration.peers for word in (peer.id, peer.address)}
    if member.status is not MemberStatus.ALIVE or {member.id, member.raft_address} & listed:
        return None
    if member.id in context.removed:
        return Certainty.CERTAIN
    own = next((v for v in context.view.answering if v.server_id == member.id and member.id), None)
    if own is None or own.configuration is None:
        return Certainty.POSSIBLE
    return Certainty.LIKELY if own.configuration.peer(str(member.id)) else None


def _will_be_added_back(context: DiagnosisContext, server_id: str, member: Member, certainty: Certainty) -> Finding:
    own = next((v for v in context.view.answering if v.server_id == server_id), None)
    evidence = [f"gossip says {member.name} is alive, but the Raft configuration does not list {server_id}"]
    if own is not None:
        evidence.append(f"its own HTTP API answers at {own.url}: {own.state or 'of unknown state'}, term {own.term}")
    if server_id in context.removed:
        evidence.append("an earlier run removed it")
    return Finding(
        "ZombiePeer",
        Severity.WARNING,
        certainty,
        f"{member.name} is alive in gossip but not in the Raft configuration: the leader will add it back",
        tuple(evidence),
        f"To keep it out, stop its process ({RECONCILE}); to let it come back, wait until it is a voter",
        (server_of(member),),
    )


def _goes_on_answering(vantage: Vantage) -> Finding:
    """Where nobody adds a removed server back, it runs on outside of the configuration and lags more and more."""
    return Finding(
        "ZombiePeer",
        Severity.WARNING,
        Certainty.LIKELY,
        f"a server that is not in the Raft configuration answers at {vantage.url}: what it serves is old",
        (vantage.trouble or vantage.url,),
        "Stop it, and send no client there. Before it joins again, its Raft data must be deleted",
        (server_of(vantage),),
    )


def _was_added_back(peer: Peer, appearance: Appearance) -> Finding:
    return Finding(
        "ZombiePeer",
        Severity.WARNING,
        Certainty.CERTAIN,
        f"{peer.label} was removed by an earlier run, and the leader has added it back as a non-voter",
        (f"it is listed as {peer.id}, and {appearance.value}",),
        "To keep it out, stop its process and run the playbook again; to let it come back, wait until it is a voter",
        (server_of(peer),),
    )


def _even_voters(context: DiagnosisContext) -> Iterator[Finding]:
    voters = len(context.voters)
    newcomers = [o for o in context.observations if o.answers and not o.peer.voter]
    if context.phase is Phase.HAS_LEADER and voters % 2 == 0 and not newcomers:
        yield Finding(
            "EvenVoters",
            Severity.NOTICE,
            Certainty.CERTAIN,
            f"{voters} voters tolerate {format_count((voters - 1) // 2, 'failure')}, the same as "
            f"{format_count(voters - 1, 'voter')}",
            (f"a quorum of {voters} voters is {context.needed}",),
            "Add or remove one voter when there is time",
        )
