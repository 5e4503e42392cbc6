"""Leader and quorum: is there one, is it about to go, is it gone for now, for good, or only out of sight?

Telling *lost* from *parted*: what hangs on it is in docs/servers/raft.md#a-recovered-minority-wins. A process seen to
be gone (its machine answers: nothing listens) cannot vote anywhere. A voter of which nothing came back may live behind
a cut. So a majority can be living elsewhere only if the voters out of sight are enough for a quorum of their own; if
they are, one cut explains what otherwise takes as many deaths, and that is said first, because recovering by hand on
the wrong side makes two clusters out of one.

Telling *for now* from *for good*: no request shows a disk. What can be seen hints at it only: another id answers at a
voter's address (its data were wiped), it left on purpose, or no gossip knows it any more. So *for good* is never more
than *possible*, and a person decides.
"""

from __future__ import annotations

from collections.abc import Iterator

from runbook.raft.findings import REMOVE_DEAD_PEERS, Certainty, Finding, Severity, named, server_of
from runbook.raft.liveness import Liveness, judge_once
from runbook.raft.quorum import failure_tolerance, quorum
from runbook.raft.scene import Phase, Scene
from runbook.raft.sightings import Appearance, Sighting

BY_HAND = "only if their disks are lost, recover with peers.json on the survivors"
BY_HAND_NEVER_YET = "first make sure that they are down and not merely out of sight"
NO_REMOVAL = "Send no removal: it would stay uncommitted and make recovery harder"


def quorum_findings(scene: Scene) -> Iterator[Finding]:
    """What holds for the cluster as a whole."""
    if scene.phase is Phase.ELECTING and len(scene.self_styled_leaders) > 1:
        return  # told as ObserversDisagree
    if scene.phase is Phase.ELECTING:
        yield _electing(scene)
    elif scene.phase is Phase.QUORUM_LOST:
        yield from _lost(scene)
    elif scene.phase is Phase.LED and scene.live < scene.needed:
        yield _led_yet_too_few(scene)
    elif scene.phase is Phase.LED and scene.tolerance == 0 and len(scene.voters) > 1:
        yield _at_risk(scene)


def former_leaders(scene: Scene) -> tuple[Sighting, ...]:
    """Peers that do not answer and are still named leader by a server that does: it has not heard of another."""
    words = {vantage.leader_address for vantage in scene.insiders} - {None}
    return tuple(s for s in scene.sightings if not s.answers and s.peer.address in words)


def _electing(scene: Scene) -> Finding:
    """Enough voters answer, so an election is due; nobody leads only for seconds, unless something else is wrong."""
    lost, missing = former_leaders(scene), scene.missing
    certainty = Certainty.LIKELY if lost or not missing else Certainty.POSSIBLE
    evidence = [f"{s.peer.label} is still named leader by a server that answers" for s in lost]
    return Finding(
        "DeadLeader" if missing else "QuorumLostTransient",
        Severity.CRITICAL,
        certainty,
        f"{_no_leader(scene)}, though {scene.numbers}",
        (*evidence, *_evidence(missing), *_terms(scene)),
        "Wait ten seconds and look again. If there is still none, look at these servers' clocks, disks and network",
        tuple(server_of(s.peer) for s in lost or missing),
    )


def _no_leader(scene: Scene) -> str:
    """Only servers that say so are evidence that nobody leads; a reply that did not come is none."""
    if scene.view.trouble in ("no_leader", "unavailable"):
        return "there is no leader yet"
    return f"no leader could be asked ({scene.view.trouble_text or scene.view.trouble or 'no reason was given'})"


def _lost(scene: Scene) -> Iterator[Finding]:
    if len(scene.hidden) >= scene.needed:
        yield _parted(scene)
        yield _for_now(scene)
        return
    yield _for_now(scene)
    gone = [s for s in scene.missing if s.appearance is Appearance.REPLACED or _written_off(s)]
    if len(scene.voters) - len(gone) < scene.needed:
        yield _for_good(scene, gone)


def _parted(scene: Scene) -> Finding:
    silent = all(s.silent for s in scene.missing)
    peers = [s.peer for s in scene.hidden]
    return Finding(
        "MinorityPartition",
        Severity.CRITICAL,
        Certainty.LIKELY if silent else Certainty.POSSIBLE,
        f"we may be on the wrong side of a cut network: {scene.numbers}, and {len(peers)} are out of sight from here",
        (
            f"{named(peers)} are enough for a leader of their own, and no process among them was seen to be gone",
            *_evidence(scene.missing),
            *_terms(scene),
        ),
        f"Change nothing from here. Run runbook diagnose on a machine beside {named(peers)}; "
        "peers.json on this side would make two clusters",
        tuple(server_of(peer) for peer in peers),
    )


def _for_now(scene: Scene) -> Finding:
    """Whether the data still exist only a person can say, so this is never *certain*."""
    reached = [s for s in scene.missing if s.appearance in (Appearance.DOWN, Appearance.HANGS, Appearance.REFUSES_US)]
    enough = scene.live + len(reached) >= scene.needed
    lacking = scene.needed - scene.live
    by_hand = BY_HAND_NEVER_YET if len(scene.hidden) >= scene.needed else BY_HAND
    back = [s.peer for s in scene.missing if s.appearance is not Appearance.REPLACED] or [s.peer for s in scene.missing]
    start = f"Start {named(back)}" if len(back) <= lacking else f"Start {lacking} of {named(back)}"
    return Finding(
        "QuorumLostTransient",
        Severity.CRITICAL,
        Certainty.LIKELY if enough else Certainty.POSSIBLE,
        f"quorum is lost: {scene.numbers}",
        (*_evidence(scene.missing), *_terms(scene), "whether their disks live cannot be seen from here"),
        f"{NO_REMOVAL}. {start} again with the data it has; {by_hand}",
        tuple(server_of(peer) for peer in back),
    )


def _for_good(scene: Scene, gone: list[Sighting]) -> Finding:
    peers = [s.peer for s in gone]
    return Finding(
        "QuorumLostPermanent",
        Severity.CRITICAL,
        Certainty.POSSIBLE,
        f"quorum may be lost for good: {named(peers)} may never come back with their data",
        (*_evidence(tuple(gone)), *_terms(scene), "whether their old disks exist somewhere only a person knows"),
        f"{NO_REMOVAL}. Look for the old data of {named(peers)} first; "
        "if they are lost, recover with peers.json on all survivors",
        tuple(server_of(peer) for peer in peers),
    )


def _led_yet_too_few(scene: Scene) -> Finding:
    """Somebody leads, so a quorum lives: out of our sight, or until the leader notices (half a second)."""
    peers = [s.peer for s in scene.missing]
    if scene.live + len(scene.hidden) < scene.needed:
        return Finding(
            "QuorumLostTransient",
            Severity.CRITICAL,
            Certainty.LIKELY,
            f"quorum has just been lost and the leader has not noticed: {scene.numbers}",
            _evidence(scene.missing),
            f"{NO_REMOVAL}. Start {scene.needed - scene.live} of {named(peers)} again with the data it has",
            tuple(server_of(peer) for peer in peers),
        )
    return Finding(
        "MinorityPartition",
        Severity.CRITICAL,
        Certainty.LIKELY,
        f"the cluster has a leader, and this host reaches too little of it: {scene.numbers}",
        _evidence(scene.missing),
        f"Change nothing from here. Run runbook diagnose on a machine that reaches {named(peers)}",
        tuple(server_of(peer) for peer in peers),
    )


def _at_risk(scene: Scene) -> Finding:
    dead = [s for s in scene.missing if judge_once(scene.view, s.peer).liveness is Liveness.DEAD]
    after = failure_tolerance(len(scene.voters) - len(dead), scene.live)
    gain = f"Removing {named([s.peer for s in dead])} makes it {len(scene.voters) - len(dead)} voters, of which "
    if not scene.missing:
        next_action = f"Add a server: {len(scene.voters)} voters tolerate no failure"
    elif after > 0:
        next_action = f"{gain}{after} more may fail"
    else:
        next_action = (
            f"Start {named([s.peer for s in scene.missing])} again, or add a replacement: a removal gains nothing"
        )
    return Finding(
        "QuorumAtRisk",
        Severity.CRITICAL if scene.missing else Severity.WARNING,
        Certainty.LIKELY if scene.hidden else Certainty.CERTAIN,
        f"no further voter may fail: {scene.numbers}",
        (*_evidence(scene.missing), f"{len(scene.voters)} voters need {quorum(len(scene.voters))}"),
        next_action,
        tuple(server_of(s.peer) for s in scene.missing),
        REMOVE_DEAD_PEERS if scene.missing and after > 0 else None,
    )


def _written_off(sighting: Sighting) -> bool:
    """It left on purpose, or no gossip knows it: it was gone for days, or the others were started after it had gone."""
    return bool(sighting.gossip) and all(word in ("absent", "left") for word, _ in sighting.gossip)


def _evidence(sightings: tuple[Sighting, ...]) -> tuple[str, ...]:
    return tuple(s.evidence for s in sightings)


def _terms(scene: Scene) -> tuple[str, ...]:
    """Whose log is newest: who can win an election, and whom a recovery by hand must not leave out."""
    rows = [
        f"{v.name or v.url} is {v.state or 'of unknown state'} in term {v.term}, its log ends at "
        f"{v.last_log_term}/{v.last_log_index}"
        for v in scene.insiders
        if v.term is not None
    ]
    return tuple(rows)
