"""One server after the other: dead, hung, behind, not yet a voter, or seen differently by different observers."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.raft.findings import REMOVE_DEAD_PEERS, Certainty, Finding, Severity, count, named, server_of
from runbook.raft.liveness import GONE, Liveness, judge_once
from runbook.raft.model import MemberStatus, Peer, Vantage
from runbook.raft.scene import Phase, Scene
from runbook.raft.sightings import Appearance, Sighting
from runbook.raft.without_quorum import former_leaders

MAX_TRAILING = 250  # log entries: what autopilot itself tolerates by default
AGAIN = "Look again in a minute: gossip takes up to 48 s to notice a death"
GONE_FOR_GOOD = "Start {it} again; if that cannot be, remove {it}: the playbook first looks again for a while"
NO_WORD_OF_THE_LEADER = "Let this host reach the leader's own HTTP API, or look from beside it; then {it} can be judged"
TOO_FEW = "Start {it} again, or add a replacement first: a removal would leave {left} voters"
UNREAD = "Start {it} again: a removal is refused while the cluster's own minimum of voters cannot be read"
LEAST_VOTERS = 3  # what the shipped playbook leaves at least, unless a person names another number


def server_findings(scene: Scene) -> Iterator[Finding]:
    """What holds for single servers. Where no quorum is seen, the silent ones are evidence of that finding instead."""
    if scene.phase is Phase.LED:
        if scene.live >= scene.needed:
            yield from _grouped(scene)
        yield from _lagging(scene)
        yield from _not_yet_voters(scene)
    yield from _disagreements(scene)
    yield from _two_leaders(scene)


def _grouped(scene: Scene) -> Iterator[Finding]:
    """Servers in the same plight are one finding, so that nobody reads the same advice five times."""
    plights: dict[tuple[str, Certainty], list[Sighting]] = {}
    for sighting in scene.sightings:
        plight = _plight(scene, sighting)
        if plight is not None:
            plights.setdefault(plight, []).append(sighting)
    for (name, certainty), sightings in plights.items():
        yield _told(scene, name, certainty, sightings)


def _plight(scene: Scene, s: Sighting) -> tuple[str, Certainty] | None:
    if s.answers or s.appearance is Appearance.REPLACED:
        return None
    if s.appearance is Appearance.REFUSES_US:
        return None  # told as Forbidden
    if judge_once(scene.view, s.peer).liveness is Liveness.DEAD:
        return _dead(scene, s), Certainty.LIKELY
    if s.appearance is Appearance.HANGS:
        ill = s.said_gone or s.peer.id in (scene.view.unhealthy or ())
        return ("HungServer", Certainty.LIKELY) if ill else ("Unreachable", Certainty.LIKELY)
    if s.silent and s.said_alive:
        return "ObserversDisagree", Certainty.POSSIBLE
    return _dead(scene, s), Certainty.POSSIBLE


def _dead(scene: Scene, s: Sighting) -> str:
    if s in former_leaders(scene):
        return "DeadLeader"
    if s.said_gone and all(word == "absent" for word, _ in s.gossip):
        return "StalePeer"
    return "DeadFollower" if s.peer.voter else "NonVoterStuck"


_SENTENCES = {
    "DeadLeader": "no sign of life from the former leader {who}; {leader} has been elected since",
    "StalePeer": "no sign of life from {who}, and no gossip knows of it",
    "DeadFollower": "no sign of life from {who}",
    "NonVoterStuck": "no sign of life from the non-voter {who}: it will never vote",
    "HungServer": "connections to {who} open and nothing is said: a process that hangs is not dead",
    "Unreachable": "the HTTP API of {who} is out of reach from here, though a process listens",
    "ObserversDisagree": "this host hears nothing of {who}, and gossip says alive",
}
_NEXT = {
    "HungServer": "Stop its process by hand (a frozen one may wake up and go on); then it can be judged",
    "Unreachable": "Nothing, if its HTTP API is not meant to be reached from here; else look at it or at a firewall",
    "ObserversDisagree": f"{AGAIN}. If it stays alive for gossip, only this host cannot reach it",
}


def _told(scene: Scene, name: str, certainty: Certainty, sightings: list[Sighting]) -> Finding:
    sure = certainty is Certainty.LIKELY
    leader = scene.leader.label if scene.leader else "another"
    peers = [s.peer for s in sightings]
    left = len(scene.voters) - sum(peer.voter for peer in peers)
    settings, fewer = scene.view.autopilot, left < len(scene.voters)
    enough = not fewer or left >= max(LEAST_VOTERS, settings.min_quorum if settings else 0)
    unread = fewer and settings is None
    removable = name not in _NEXT and sure and enough and not unread
    unheard = not sure and all(s.said_gone for s in sightings)
    gone = TOO_FEW if not enough else UNREAD if unread else GONE_FOR_GOOD
    default = NO_WORD_OF_THE_LEADER if unheard else gone if sure else AGAIN
    words = {"it": "it" if len(peers) == 1 else "them", "left": left}
    return Finding(
        name,
        Severity.WARNING,
        certainty,
        _SENTENCES[name].format(who=named(peers), leader=leader),
        (
            *(s.evidence for s in sightings),
            *_doubts(scene, sightings, unheard),
            *_settings_too(scene, sure and fewer, removable),
        ),
        _NEXT.get(name, default).format(**words),
        tuple(server_of(peer) for peer in peers),
        REMOVE_DEAD_PEERS if removable else None,
    )


def _doubts(scene: Scene, sightings: list[Sighting], unheard: bool) -> tuple[str, ...]:
    """What still forbids the word *dead* where all gossip that was read agrees."""
    doubts = {judge_once(scene.view, s.peer).evidence[0] for s in sightings} if unheard else set()
    return tuple(sorted(doubts))


def _settings_too(scene: Scene, of_voters: bool, removable: bool) -> tuple[str, ...]:
    """The cluster's own floor, and a second actor: who vanishes meanwhile was taken out by it."""
    settings = scene.view.autopilot
    if settings is None:
        why = scene.view.autopilot_trouble or "it was not asked for"
        return (f"autopilot's MinQuorum could not be read: {why}",) if of_voters else ()
    floor = of_voters and settings.min_quorum > 0
    return (
        *([f"the cluster's own minimum, autopilot's MinQuorum, is {settings.min_quorum}"] if floor else []),
        *(
            ["autopilot's clean-up is on: it may take it out by itself"]
            if removable and settings.cleanup_dead_servers
            else []
        ),
    )


def _lagging(scene: Scene) -> Iterator[Finding]:
    """Behind by its own numbers. Autopilot's *unhealthy* alone counts only where nobody is missed."""
    own = scene.view.vantage_of(scene.leader) if scene.leader else None
    zeroed = scene.view.autopilot is not None and scene.view.autopilot.zeroed
    everybody = not zeroed and all(s.answers and _contradiction(scene, s) is None for s in scene.sightings)
    for sighting in scene.voters:
        vantage = scene.view.vantage_of(sighting.peer)
        if vantage is None or sighting.peer == scene.leader:
            continue
        behind = _behind(own, vantage, sighting.peer.label)
        ill = everybody and sighting.peer.id in (scene.view.unhealthy or ())
        if behind or ill:
            words = behind or "the leader's autopilot calls it unhealthy"
            yield _lags(sighting.peer, words, Certainty.LIKELY if behind else Certainty.POSSIBLE)


def _behind(leader: Vantage | None, one: Vantage, name: str) -> str | None:
    if leader is None or leader.last_log_index is None or one.last_log_index is None:
        return None
    missing = leader.last_log_index - one.last_log_index
    older = (one.last_log_term or 0) < (leader.last_log_term or 0)
    if missing > MAX_TRAILING or (older and missing > 0):
        return (
            f"{name}'s log ends at {one.last_log_term}/{one.last_log_index}, the leader's at "
            f"{leader.last_log_term}/{leader.last_log_index}: {count(missing, 'entry')} behind".replace(
                "entrys", "entries"
            )
        )
    return None


def _lags(peer: Peer, words: str, certainty: Certainty) -> Finding:
    return Finding(
        "LaggingVoter",
        Severity.WARNING,
        certainty,
        f"{peer.label} is alive and does not keep up",
        (words,),
        "Look at its disk, its load and its network. It lives: it is not to be removed",
        (server_of(peer),),
    )


def _not_yet_voters(scene: Scene) -> Iterator[Finding]:
    zeroed = scene.view.autopilot is not None and scene.view.autopilot.zeroed
    waiting = [s.peer for s in scene.sightings if s.answers and not s.peer.voter and s.peer.id not in scene.removed]
    if zeroed:
        yield Finding(
            "NonVoterStuck",
            Severity.WARNING,
            Certainty.LIKELY if waiting else Certainty.POSSIBLE,
            "autopilot's thresholds are 0 s, so no server is ever healthy and no new one becomes a voter",
            tuple(f"{peer.label} is not a voter" for peer in waiting) or ("there is no non-voter now",),
            "Write autopilot's whole configuration anew: a partial write sets the rest to zero",
            tuple(server_of(peer) for peer in waiting),
        )
    elif waiting:
        ill = [peer for peer in waiting if peer.id in (scene.view.unhealthy or ())]
        yield Finding(
            "NonVoterStuck",
            Severity.WARNING if ill else Severity.NOTICE,
            Certainty.LIKELY if ill else Certainty.POSSIBLE,
            f"{named(waiting)} is not a voter" if len(waiting) == 1 else f"{named(waiting)} are not voters",
            tuple(f"autopilot calls {peer.label} unhealthy" for peer in ill) or ("one look cannot tell for how long",),
            "Look again in 30 s: a healthy newcomer is promoted after 13 to 20 s. It counts only once it is a voter",
            tuple(server_of(peer) for peer in waiting),
        )


def _disagreements(scene: Scene) -> Iterator[Finding]:
    """Gossip against gossip, and gossip against a server that answers: a cut between servers, or a firewall."""
    told = [(s.peer, words) for s in scene.sightings if (words := _contradiction(scene, s)) is not None]
    if told:
        yield Finding(
            "ObserversDisagree",
            Severity.WARNING,
            Certainty.CERTAIN,
            f"the servers do not agree on {named([peer for peer, _ in told])}",
            tuple(words for _, words in told),
            "Look again in a minute; if it stays, the network between servers is cut. Nothing is removed meanwhile",
            tuple(server_of(peer) for peer, _ in told),
        )


def _contradiction(scene: Scene, s: Sighting) -> str | None:
    said: dict[MemberStatus, list[str]] = {}
    for vantage in scene.insiders:
        member = vantage.member_for(s.peer)
        if member is not None and vantage.server_id != s.peer.id:
            said.setdefault(member.status, []).append(vantage.name or vantage.url)
    gone = sorted(name for status in GONE for name in said.get(status, ()))
    alive = sorted(said.get(MemberStatus.ALIVE, ()))
    if gone and alive:
        return f"{s.peer.label}: alive for {', '.join(alive)}; gone for {', '.join(gone)}"
    if gone and s.answers:
        return f"{s.peer.label} answers this host, and is gone for {', '.join(gone)}"
    return None


def _two_leaders(scene: Scene) -> Iterator[Finding]:
    """Two that say so of themselves, or followers of two that both answer; one that has gone is told as DeadLeader."""
    leaders = scene.self_styled_leaders
    gone = {s.peer.address for s in former_leaders(scene)}
    followed = {v.leader_address for v in scene.insiders if v.leader_address} - gone
    if len(leaders) < 2 and len(followed) < 2:
        return
    labels = {peer.address: peer.label for peer in scene.configuration.peers}
    words = [
        f"{v.name or v.url} ({v.state}, term {v.term}) follows {labels.get(v.leader_address or '', 'nobody')}"
        for v in scene.insiders
    ]
    yield Finding(
        "ObserversDisagree",
        Severity.WARNING if scene.phase is Phase.LED else Severity.CRITICAL,
        Certainty.CERTAIN,
        "the servers do not agree on who leads",
        tuple(words),
        "Look again in ten seconds: an election may be under way, and the higher term wins",
        tuple(server_of(v) for v in leaders),
    )
