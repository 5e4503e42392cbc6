"""The voters that one look proves neither alive nor dead, and that show a sign of trouble.

Who is only out of sight, with the leader having nothing against it, shows none: most clusters are run with one door.
"""

from __future__ import annotations

from dataclasses import dataclass

from runbook.raft.liveness import Liveness, Verdict, judge_once, mute_listener
from runbook.raft.model import ClusterView
from runbook.raft.opinions import OpinionKind

UNDECIDED = "Undecided"  # the code of the refusal for a run that found nothing else to do
LONGER = "It looks dead, and was not seen so for long enough"


@dataclass(frozen=True)
class Undecided:
    """One voter: what is wrong with it, and what would settle it."""

    name: str
    sign: str
    settled_by: str


def undecided_voters(view: ClusterView) -> tuple[Undecided, ...]:
    """By a look at a cluster with a leader; without one nobody knows who votes."""
    voters = view.configuration.voters if view.configuration else ()
    verdicts = (judge_once(view, peer) for peer in voters)
    found = ((verdict, _sign(view, verdict)) for verdict in verdicts if verdict.liveness is not Liveness.ALIVE)
    return tuple(_told(verdict, sign) for verdict, sign in found if sign is not None)


def _sign(view: ClusterView, verdict: Verdict) -> str | None:
    """What any server holds against it, or that it accepts connections and says nothing."""
    for by, opinion in view.opinions_of(verdict.peer).items():
        if opinion.kind not in (OpinionKind.HEARD, OpinionKind.PRESENT):
            return f"{opinion.source} of {view.label_of(by)}: {opinion.words}"
    listener = mute_listener(view, verdict.peer)
    return f"{listener.url} accepts connections but does not answer" if listener else None


def _told(verdict: Verdict, sign: str) -> Undecided:
    words = dict.fromkeys((*verdict.evidence[:1], sign))
    settled_by = LONGER if verdict.liveness is Liveness.DEAD else verdict.settled_by
    return Undecided(verdict.peer.label, "; ".join(words), settled_by)
