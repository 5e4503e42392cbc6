"""Worlds of a few servers, built from one word of what this host sees of a server and one of what gossip says of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from runbook.cluster.hashicorp.opinions import opinions_in
from runbook.raft.liveness import Verdict, judge
from runbook.raft.model import AutopilotSettings, ClusterView, Configuration, Member, MemberStatus, Peer, Reach, Vantage

PORT = {"answers": Reach.ACCEPTED, "accepts": Reach.ACCEPTED, "refused": Reach.REFUSED, "silent": Reach.SILENT,
        "off": Reach.SILENT, "full": Reach.SILENT, "unreachable": Reach.UNREACHABLE}  # fmt: skip
MACHINE = {"answers": Reach.REFUSED, "full": Reach.REFUSED, "off": Reach.SILENT}  # on a port where nobody listens
STATUS = {status.value: status for status in MemberStatus}


@dataclass(frozen=True)
class Kind:
    """One server. ``sight``: answers, accepts, refused, off (its whole machine is silent), full (its port is silent and
    its machine is not), silent (nobody asked its machine), unreachable or untried; ``gossip``: what all others say of
    it, or ``absent``.
    """

    voter: bool = True
    sight: str = "answers"
    gossip: str = "alive"


def peer(number: int, kind: Kind = Kind()) -> Peer:  # noqa: B008 - frozen
    name = None if kind.gossip == "absent" else f"s{number}.global"
    return Peer(f"id-{number}", f"10.0.0.{number}:4647", voter=kind.voter, name=name, protocol=3)


def view_of(kinds: Iterable[Kind], at: float = 0.0, leader: int | None = 1) -> ClusterView:
    """The first server leads, unless told otherwise; every server that answers says the same of every other."""
    numbered = list(enumerate(kinds, 1))
    peers = [peer(number, kind) for number, kind in numbered]
    members = tuple(
        Member(f"s{number}.global", STATUS[kind.gossip], each.id, each.address)
        for each, (number, kind) in zip(peers, numbered, strict=True)
        if kind.gossip != "absent"
    )
    configuration = Configuration(tuple(peers))
    vantages = tuple(
        Vantage(f"http://10.0.0.{number}:4646", Reach.ANSWERED, each.id, f"s{number}.global", each.address,
                state="Leader" if number == leader else "Follower", term=7, configuration=configuration,
                members=_own(members, each), last_contact=0.02)
        for each, (number, kind) in zip(peers, numbered, strict=True)
        if kind.sight == "answers"
    )  # fmt: skip
    probes = {each.address: PORT[kind.sight] for each, (_, kind) in zip(peers, numbered, strict=True)
              if kind.sight != "untried"}  # fmt: skip
    hosts = {each.address: {9: MACHINE[kind.sight]} for each, (_, kind) in zip(peers, numbered, strict=True)
             if kind.sight in MACHINE}  # fmt: skip
    led = configuration if leader else None
    autopilot = AutopilotSettings(cleanup_dead_servers=False, min_quorum=0)
    view = ClusterView(
        "nomad:x",
        at,
        led,
        f"id-{leader}" if leader else None,
        vantages,
        probes,
        hosts,
        autopilot=autopilot if led else None,
    )
    return with_gossip(view)


def with_gossip(view: ClusterView) -> ClusterView:
    """The opinions that the members of its vantages amount to, as the adapter fills them in."""
    return replace(view, opinions=opinions_in(view))


def _own(members: tuple[Member, ...], each: Peer) -> tuple[Member, ...]:
    """Nobody calls itself dead."""
    return tuple(replace(m, status=MemberStatus.ALIVE) if m.id == each.id else m for m in members)


def verdicts_of(view: ClusterView, confirm_for: float = 30.0) -> dict[str, Verdict]:
    """As if nothing had moved for three looks."""
    looks = [replace(view, taken_at=at) for at in (0.0, 15.0, 30.0)]
    seen = view.best_configuration
    return {p.id: judge(looks, p, confirm_for=confirm_for) for p in seen.peers} if seen else {}
